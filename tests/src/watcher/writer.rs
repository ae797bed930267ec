//! Writes the user's login file as clients do: by rename, as Claude Code does, or in place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Gid, Pid, Uid, setfsgid, setfsuid};

use super::shared_processor;
use crate::test_user::{LOGIN, TestUser, UID};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMethod {
    /// A temporary file in the same directory, synced, and renamed over it
    /// (`docs/design/claude-code.md`).
    Rename,
    /// Truncated and written in place.
    InPlace,
}

/// One step of a writer.
#[derive(Clone, Debug)]
pub enum WriteStep {
    /// Writes the complete file.
    Write(WriteMethod, String),
    /// Waits this long.
    Wait(Duration),
}

/// Writes as the user, in its own thread, so that the user owns the files.
pub struct Writer {
    acts: Sender<Vec<WriteStep>>,
    done: Receiver<io::Result<Instant>>,
}

impl Writer {
    /// Returns a writer of the user's login file.
    pub fn new(test_user: &TestUser) -> Self {
        let file = test_user.path(LOGIN);
        let (acts, inbox) = channel::<Vec<WriteStep>>();
        let (reply, done) = channel();
        thread::spawn(move || {
            share_processor();
            setfsgid(Gid::from_raw(UID));
            setfsuid(Uid::from_raw(UID));
            for (count, acts) in inbox.iter().enumerate() {
                if reply.send(perform(&acts, &file, count)).is_err() {
                    break;
                }
            }
        });
        Self { acts, done }
    }

    /// Performs the steps in order. Returns the moment after the last.
    ///
    /// # Panics
    /// If something cannot be written.
    #[track_caller]
    pub fn perform(&self, acts: Vec<WriteStep>) -> Instant {
        self.acts.send(acts).expect("the thread lives");
        self.done.recv().expect("the thread lives").expect("all of it can be written")
    }

    /// Writes the complete file once.
    ///
    /// # Panics
    /// If it cannot be written.
    #[track_caller]
    pub fn write(&self, way: WriteMethod, text: &str) -> Instant {
        self.perform(vec![WriteStep::Write(way, text.to_owned())])
    }
}

/// Pins this thread to the shared processor, where the watcher has a higher priority.
fn share_processor() {
    let mut one = CpuSet::new();
    let pinned = one.set(shared_processor()).and_then(|()| sched_setaffinity(Pid::from_raw(0), &one));
    pinned.expect("it may use that processor");
}

fn perform(acts: &[WriteStep], file: &Path, count: usize) -> io::Result<Instant> {
    let mut done = Instant::now();
    for (index, act) in acts.iter().enumerate() {
        match act {
            WriteStep::Wait(span) => thread::sleep(*span),
            WriteStep::Write(way, text) => write(*way, text, file, count * 100 + index)?,
        }
        done = Instant::now();
    }
    Ok(done)
}

fn write(way: WriteMethod, text: &str, path: &Path, number: usize) -> io::Result<()> {
    match way {
        WriteMethod::InPlace => File::create(path)?.write_all(text.as_bytes()),
        WriteMethod::Rename => {
            let temporary: PathBuf = path.with_file_name(format!(".credentials.json.tmp.{number:08x}"));
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            drop(file);
            fs::rename(&temporary, path)
        }
    }
}

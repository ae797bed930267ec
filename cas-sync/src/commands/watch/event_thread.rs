//! The thread that sees what is written, and does nothing else: it has to be at the next file before that is renamed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cas_core::claude_files::credentials_file::LIMIT;
use cas_core::credential::login::Login;
use cas_core::credential::login_file::LoginFileState;
use cas_core::fs::owned_file::{self, Ownership};

use super::inotify::{Event, FileWatch};
use super::open_candidates::OpenCandidates;
use super::queue::Queue;
use super::sync_marker::SyncMarker;
use crate::os::environment::now;

/// Sees every write to one person's credential file.
pub(super) struct EventThread {
    pub(super) file: PathBuf,
    pub(super) owner: u32,
    pub(super) marker: Arc<SyncMarker>,
}

impl EventThread {
    /// Tells the inbox of every login that was in the file, and that there is something to look at, for ever.
    ///
    /// # Errors
    /// When the kernel gives no more watches to this user.
    pub(super) fn watch(&self, inbox: &Queue) -> io::Result<()> {
        loop {
            let eyes = FileWatch::new(&self.file)?.with_marker(&self.marker)?;
            // What is written from here on is told; what was written before has to be looked at.
            inbox.push(None);
            inbox.up_to_date();
            self.watch_with(&eyes, inbox)?;
        }
    }

    /// Until the file is no longer where the eyes look.
    fn watch_with(&self, eyes: &FileWatch, inbox: &Queue) -> io::Result<()> {
        let mut held = OpenCandidates::new(self.owner);
        loop {
            let events = eyes.wait()?;
            // First of all, before any of them is renamed.
            for event in &events {
                match event {
                    Event::Created(path) if !eyes.is_the_file(path) => held.open(path),
                    _ => (),
                }
            }
            for event in events {
                match event {
                    Event::Lost => return Ok(()),
                    Event::MarkerTouched => inbox.up_to_date(),
                    Event::Created(path) if eyes.is_the_file(&path) => {
                        // Whoever created it may be about to write it; whoever gave it a second name is done.
                        if let Some(login) = self.login_in(&path) {
                            inbox.push([login]);
                        }
                    }
                    Event::Created(_) => (),
                    Event::Modified(path) => held.on_modify(&path, now()),
                    Event::Closed(path) if eyes.is_the_file(&path) => inbox.push(self.login_in(&path)),
                    Event::Closed(path) => held.on_close(&path, now()),
                    Event::MovedFrom(path, cookie) => held.on_move_from(&path, cookie),
                    Event::RenamedTo(path, cookie) => {
                        let seen = held.on_move_to(cookie, now());
                        inbox.push(seen.into_iter().chain(self.login_in(&path)));
                    }
                }
            }
            held.prune();
        }
    }

    fn login_in(&self, path: &Path) -> Option<Login> {
        let found = owned_file::read(path, self.owner, LIMIT, Ownership::Owner).ok()??;
        LoginFileState::parse(&found.content, now()).into_login()
    }
}

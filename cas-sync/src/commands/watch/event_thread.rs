//! The thread that sees what is written, and does nothing else: it has to be at the next file before that is renamed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cas_core::claude_files::credentials_file::LIMIT;
use cas_core::credential::login::OauthLogin;
use cas_core::credential::login_file::LocalLogin;
use cas_core::fs::owned_file::{self, Guard};

use super::inotify::{Event, Eyes};
use super::open_candidates::Held;
use super::queue::Inbox;
use super::sync_marker::Marker;
use crate::os::environment::now;

/// Sees every write to one person's credential file.
pub(super) struct Catcher {
    pub(super) file: PathBuf,
    pub(super) owner: u32,
    pub(super) marker: Arc<Marker>,
}

impl Catcher {
    /// Tells the inbox of every login that was in the file, and that there is something to look at, for ever.
    ///
    /// # Errors
    /// When the kernel gives no more watches to this user.
    pub(super) fn watch(&self, inbox: &Inbox) -> io::Result<()> {
        loop {
            let eyes = Eyes::on(&self.file)?.and_on(&self.marker)?;
            // What is written from here on is told; what was written before has to be looked at.
            inbox.look(None);
            inbox.up_to_date();
            self.watch_with(&eyes, inbox)?;
        }
    }

    /// Until the file is no longer where the eyes look.
    fn watch_with(&self, eyes: &Eyes, inbox: &Inbox) -> io::Result<()> {
        let mut held = Held::by(self.owner);
        loop {
            let events = eyes.wait()?;
            // First of all, before any of them is renamed.
            for event in &events {
                match event {
                    Event::Created(path) if !eyes.is_the_file(path) => held.hold(path),
                    _ => (),
                }
            }
            for event in events {
                match event {
                    Event::Astray => return Ok(()),
                    Event::Marked => inbox.up_to_date(),
                    Event::Created(path) if eyes.is_the_file(&path) => {
                        // Whoever created it may be about to write it; whoever gave it a second name is done.
                        if let Some(login) = self.login_in(&path) {
                            inbox.look([login]);
                        }
                    }
                    Event::Created(_) => (),
                    Event::Changed(path) => held.changed(&path, now()),
                    Event::Written(path) if eyes.is_the_file(&path) => inbox.look(self.login_in(&path)),
                    Event::Written(path) => held.written(&path, now()),
                    Event::MovedFrom(path, cookie) => held.moved_from(&path, cookie),
                    Event::MovedHere(path, cookie) => {
                        let seen = held.moved_here(cookie, now());
                        inbox.look(seen.into_iter().chain(self.login_in(&path)));
                    }
                }
            }
            held.forget_gone();
        }
    }

    fn login_in(&self, path: &Path) -> Option<OauthLogin> {
        let found = owned_file::read(path, self.owner, LIMIT, Guard::Owned).ok()??;
        LocalLogin::parse(&found.content, now()).into_login()
    }
}

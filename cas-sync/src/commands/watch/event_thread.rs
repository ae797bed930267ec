//! The thread that reads events and does nothing else: it must open the next file before that is
//! renamed.

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

/// Observes the writes to the credential file of a user.
pub(super) struct EventThread {
    pub(super) file: PathBuf,
    pub(super) owner: u32,
    pub(super) marker: Arc<SyncMarker>,
}

impl EventThread {
    /// Puts each login that was in the file into the queue, with a request to inspect the file.
    /// Does not return without an error.
    ///
    /// # Errors
    /// If the user has no inotify watches left.
    pub(super) fn watch(&self, queue: &Queue) -> io::Result<()> {
        loop {
            let watch = FileWatch::new(&self.file)?.with_marker(&self.marker)?;
            // Later writes cause events; earlier writes must be inspected.
            queue.push(None);
            queue.mark_synced();
            self.watch_with(&watch, queue)?;
        }
    }

    /// Handles events until the watched paths have changed.
    fn watch_with(&self, watch: &FileWatch, queue: &Queue) -> io::Result<()> {
        let mut candidates = OpenCandidates::new(self.owner);
        loop {
            let events = watch.wait()?;
            // Candidates are opened first, before any of them is renamed.
            for event in &events {
                match event {
                    Event::Created(path) if !watch.is_credential_file(path) => candidates.open(path),
                    _ => (),
                }
            }
            for event in events {
                match event {
                    Event::Lost => return Ok(()),
                    Event::MarkerTouched => queue.mark_synced(),
                    Event::Created(path) if watch.is_credential_file(&path) => {
                        // A new file may be incomplete; a hard link is complete.
                        if let Some(login) = self.login_in(&path) {
                            queue.push([login]);
                        }
                    }
                    Event::Created(_) => (),
                    Event::Modified(path) => candidates.on_modify(&path, now()),
                    Event::Closed(path) if watch.is_credential_file(&path) => {
                        queue.push(self.login_in(&path))
                    }
                    Event::Closed(path) => candidates.on_close(&path, now()),
                    Event::MovedFrom(path, cookie) => candidates.on_move_from(&path, cookie),
                    Event::RenamedTo(path, cookie) => {
                        let seen = candidates.on_move_to(cookie, now());
                        queue.push(seen.into_iter().chain(self.login_in(&path)));
                    }
                }
            }
            candidates.prune();
        }
    }

    fn login_in(&self, path: &Path) -> Option<Login> {
        let found = owned_file::read(path, self.owner, LIMIT, Ownership::Owner).ok()??;
        LoginFileState::parse(&found.content, now()).into_login()
    }
}

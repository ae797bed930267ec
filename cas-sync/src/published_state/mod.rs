//! What each sync publishes for root: the same `state.json` as in the person's state directory, in a folder of theirs outside
//! of the home. Root must know how everybody is without opening anything in a home, which may hang or not be mounted.
//!
//! Enrolling makes the folder, so whoever was never enrolled has none. What lies in it is the person's: [`read`] trusts
//! none of it.

pub(crate) mod read;
pub(crate) mod report;
pub(crate) mod rows;
mod sanitize;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cas_core::fs::atomic_file;
use cas_core::fs::owned_file::{self, FileError, Ownership};
use cas_core::outcome::Status;
use cas_core::outcome::state_report::{FILE_NAME, SCHEMA, StateReport};
use cas_core::time::timestamp::Timestamp;

use cas_protocol::paths::STATE_DIR;

/// Everybody's folders, in [`STATE_DIR`].
pub(crate) const USERS_DIR: &str = "people";

/// The largest state that is read, in bytes; real ones have less than two thousand.
pub(crate) const LIMIT: usize = 64 << 10;

/// Where one person's state is published.
#[derive(Clone, Debug)]
pub(crate) struct PublishedState {
    folder: PathBuf,
    owner: u32,
}

impl PublishedState {
    /// The shelf of the person with this login name and user id.
    pub(crate) fn for_user(user: &str, owner: u32) -> Self {
        Self { folder: published_dir(user), owner }
    }

    /// Publishes what a sync has found. Where there is no folder, because no service of theirs ever ran, nothing is.
    ///
    /// # Errors
    /// [`FileError`]; what was published before is still there.
    pub(crate) fn write(&self, state: &StateReport) -> Result<(), FileError> {
        let is_theirs = |found: fs::Metadata| found.is_dir() && found.uid() == self.owner;
        if !fs::symlink_metadata(&self.folder).is_ok_and(is_theirs) {
            return Ok(());
        }
        // A state is made of strings, numbers and words, and always becomes JSON.
        let content = serde_json::to_vec(state).unwrap_or_default();
        atomic_file::write_atomic(&self.folder.join(FILE_NAME), &content).map(drop)
    }

    /// Publishes that a sync could do nothing, and why; what was found before stays.
    ///
    /// # Errors
    /// As [`PublishedState::write`].
    pub(crate) fn write_skipped(&self, user: &str, now: Timestamp, why: &str) -> Result<(), FileError> {
        let before = owned_file::read(&self.folder.join(FILE_NAME), self.owner, LIMIT, Ownership::Owner);
        let before = before.ok().flatten().and_then(|found| serde_json::from_slice(&found.content).ok());
        self.write(&StateReport {
            schema: SCHEMA,
            user: user.to_owned(),
            at_ms: now,
            status: Status::Skip.to_string(),
            text: why.to_owned(),
            exit_code: 0,
            ..before.unwrap_or_default()
        })
    }
}

/// The folder of the person with this login name.
pub(crate) fn published_dir(user: &str) -> PathBuf {
    Path::new(STATE_DIR).join(USERS_DIR).join(user)
}

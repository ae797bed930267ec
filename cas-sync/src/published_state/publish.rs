//! `cas-sync internal publish-state USER`, with which the service of a sync ends: publishes the
//! result of the sync as root.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cas_core::fs::atomic_file;
use cas_core::fs::directories;
use cas_core::fs::owned_file::{self, Ownership};
use cas_core::system::identity::Identities;
use cas_protocol::paths::{self, STATE_DIR};
use nix::unistd::Uid;

use super::record::PublishedRecord;
use super::state_reader::{self, FoundState};
use super::{MAX_SIZE, PUBLISHED_DIR, published_file};
use crate::os::environment::now;
use crate::os::undo::remove_if_exists;

/// The time limit for reading from a home. The sync has just used it.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Publishes the state of this user, or nothing if the user is not enrolled.
///
/// # Errors
/// If the caller is not root, the uid for which the user was enrolled is unknown, or the file
/// cannot be written.
pub(crate) fn publish(user: &str) -> Result<()> {
    ensure!(Uid::effective().is_root(), "only root can publish a state; the service of the sync runs this");
    if !paths::is_enrolled(user) {
        return Ok(());
    }
    let uid = Identities::open().bound_uid(user)?;
    let uid = uid.with_context(|| {
        format!("cannot publish the state of {user}: the name is not bound to a user id; run `cas-sync enroll {user}`")
    })?;
    let record = match state_reader::read_as_user(user, READ_TIMEOUT) {
        Ok(FoundState::Text(text)) => Some(PublishedRecord::from_state(uid, text.as_bytes())),
        Ok(FoundState::Absent) => None,
        Ok(FoundState::HomeUnavailable(why)) => {
            Some(PublishedRecord::skipped(uid, published(user), now(), &why))
        }
        Ok(FoundState::Unreadable(why)) | Err(why) => Some(PublishedRecord::unreadable(uid, &why)),
    };
    write(user, record.as_ref())
}

/// Writes the file of an enrolled user, or removes it.
///
/// # Errors
/// Those of the file system; the old file is then unchanged.
pub(super) fn write(user: &str, record: Option<&PublishedRecord>) -> Result<()> {
    let path = published_file(user);
    match record {
        Some(record) => {
            directories::create_root_directory(&Path::new(STATE_DIR).join(PUBLISHED_DIR))?;
            let content = record.to_bytes();
            atomic_file::write_atomic(&path, &content).context("cannot publish a state")?;
        }
        None => drop(remove_if_exists(&path)?),
    }
    // `cas-sync unenroll` may have run meanwhile.
    if !paths::is_enrolled(user) {
        remove_if_exists(&path)?;
    }
    Ok(())
}

/// Returns the published state; `None` if it is missing or invalid.
fn published(user: &str) -> Option<PublishedRecord> {
    let owner = Uid::effective().as_raw();
    let file = owned_file::read(&published_file(user), owner, MAX_SIZE, Ownership::OwnerOnlyWritable);
    file.ok().flatten().and_then(|file| PublishedRecord::parse(&file.content))
}

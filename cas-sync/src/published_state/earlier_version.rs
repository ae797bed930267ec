//! Migrates the published states of version 0.1.0. That version gave each user a directory below
//! `people`, in which the user's syncs published. The directory can contain anything, including a
//! mount that never answers. So root resolves no path in it: a process that has become the owner
//! reads the state and empties the directory, with a time limit, and root removes the empty
//! directory.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use cas_core::fs::directories::list_names;
use cas_core::fs::directory_owner::{self, DirectoryOwner};
use cas_core::outcome::state_report::FILE_NAME;
use cas_core::system::identity::Identities;
use cas_protocol::paths::{self, STATE_DIR, USERS_0_1_0};
use nix::unistd::{Gid, Uid};

use super::clear_directory::clear_directory;
use super::publish;
use super::published_file;
use super::record::PublishedRecord;
use super::state_reader::{FoundState, read_file};
use crate::os::parallel;
use crate::os::run_as_user;

/// The time limit for reading and emptying one directory. A directory with one file takes
/// milliseconds.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(20);

/// Publishes the states that syncs of version 0.1.0 published, and removes their directories.
///
/// # Errors
/// The directories that could not be removed, with the reasons; all others are removed.
pub(crate) fn migrate() -> Result<()> {
    let directory = Path::new(STATE_DIR).join(USERS_0_1_0);
    let names = list_names(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let Some(names) = names else { return Ok(()) };
    let names: Vec<_> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
    let removed = parallel::map(names, |name| remove_directory(&name));
    let mut failures: Vec<_> =
        removed.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    if failures.is_empty() {
        return fs::remove_dir(&directory).with_context(|| format!("cannot remove {}", directory.display()));
    }
    failures.sort();
    bail!(failures.join("; "))
}

/// Removes the directory of this user, and publishes what an enrolled user published in it. Returns
/// false if it does not exist.
///
/// # Errors
/// The reason why the directory still exists.
fn remove_directory(user: &str) -> Result<bool> {
    let path = Path::new(STATE_DIR).join(USERS_0_1_0).join(user);
    let Some(owner) = find_owner(&path).with_context(|| format!("cannot remove {}", path.display()))? else {
        return Ok(false);
    };
    let shown = path.display();
    if owner.uid.is_root() {
        fs::remove_dir(&path).with_context(|| format!("cannot remove {shown}, which belongs to root"))?;
        return Ok(true);
    }
    let found = empty(user, &owner);
    publish_found_state(user, &owner, found.as_ref().ok());
    let removed = found.and_then(|_| fs::remove_dir(&path).map_err(|error| error.to_string()));
    removed.map(|()| true).map_err(|why| {
        let command =
            format!("setpriv --reuid={} --clear-groups find {shown} -mindepth 1 -delete", owner.uid);
        anyhow!("cannot empty {shown}, which belongs to user id {}: {why}; run `{command}`", owner.uid)
    })
}

/// The owner of a directory.
struct Owner {
    uid: Uid,
    gid: Gid,
}

/// Returns the owner of a directory; `None` if it does not exist.
fn find_owner(path: &Path) -> Result<Option<Owner>> {
    match directory_owner::look_at(path)? {
        None => Ok(None),
        Some(DirectoryOwner::Owned { uid, gid }) => {
            Ok(Some(Owner { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid) }))
        }
        Some(DirectoryOwner::Mounted) => {
            bail!("something is mounted over it; `umount --lazy {}`, then try again", path.display())
        }
        Some(DirectoryOwner::NotDirectory) => bail!("it is not a directory"),
    }
}

/// Publishes the state that was found, unless the directory belongs to another account than the
/// enrolled one.
fn publish_found_state(user: &str, owner: &Owner, found: Option<&FoundState>) {
    let bound = Identities::open().bound_uid(user).ok().flatten();
    let is_of_user = bound == Some(owner.uid.as_raw()) && paths::is_enrolled(user);
    if let Some(FoundState::Text(text)) = found
        && is_of_user
        && !published_file(user).exists()
    {
        // The next sync publishes what could not be published now.
        drop(publish::write(user, Some(&PublishedRecord::from_state(owner.uid.as_raw(), text.as_bytes()))));
    }
}

fn empty(user: &str, owner: &Owner) -> Result<FoundState, String> {
    let (uid, gid) = (owner.uid.to_string(), owner.gid.to_string());
    let arguments = ["internal", "empty-published-directory", "--uid", &uid, "--gid", &gid, "--", user];
    let output = run_as_user::run_as_user(&arguments, EMPTY_TIMEOUT)?;
    serde_json::from_slice(&output)
        .map_err(|_| "the process that runs as the owner returned no valid result".to_owned())
}

/// Runs as the owner of the directory of USER, whose account may be missing. Reads the state,
/// removes everything in the directory, and prints the state for root. It starts no other program:
/// the owner could trace one that it can read.
///
/// # Errors
/// If the caller is not root, or this process cannot become the owner.
pub(crate) fn serve_emptying(user: &str, uid: u32, gid: u32) -> Result<()> {
    run_as_user::become_owner(Uid::from_raw(uid), Gid::from_raw(gid))?;
    let users = Path::new(STATE_DIR).join(USERS_0_1_0);
    let found = read_file(&users.join(user).join(FILE_NAME), uid);
    // Root checks whether the directory is empty, and removes it.
    let _incomplete = clear_directory(&users, user);
    println!("{}", serde_json::to_string(&found)?);
    Ok(())
}

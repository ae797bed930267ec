//! The folder in which one person's logins leave their requests: made by root, filled by that person with whatever they like.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use cas_core::state::sync_requests::Requests;
use cas_core::system::account::Account;
use cas_protocol::paths::SPARE_REQUEST_FILE;

/// More levels than the requests' file system has inodes (`packaging/systemd/requests.mount`).
const DEEPEST: u64 = 5000;

/// Makes the folder theirs, with a spare request in it; false when nothing had to be done. The one above is root's, so that
/// nobody can put something else in this one's place.
///
/// # Errors
/// When it cannot be made, or something else lies there; where there is no room, who has taken it.
pub(crate) fn make(account: &Account, path: &Path) -> Result<bool> {
    let context = || format!("cannot give {} its requests directory {}", account.name, path.display());
    if let Ok(found) = fs::symlink_metadata(path) {
        ensure!(found.is_dir(), "{} is no directory: remove it, and enroll again", path.display());
    }
    make_folder(account, path)
        .and_then(|made| Ok(make_spare(account, path)? || made))
        .map_err(|error| with_who_fills_it(error, path))
        .with_context(context)
}

/// Makes a folder theirs, and nobody else's, in one of root's; false when it is so already.
///
/// # Errors
/// Those of the file system.
pub(crate) fn make_folder(account: &Account, path: &Path) -> io::Result<bool> {
    let (uid, gid) = (account.uid.as_raw(), account.gid.as_raw());
    match fs::symlink_metadata(path) {
        Ok(found) if found.uid() == uid && found.gid() == gid && found.mode() & 0o777 == 0o700 => {
            return Ok(false);
        }
        Ok(_) => (),
        Err(_) => DirBuilder::new().mode(0o700).create(path)?,
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    chown(path, Some(uid), Some(gid))?;
    Ok(true)
}

fn make_spare(account: &Account, path: &Path) -> io::Result<bool> {
    if Requests::of(&account.name).needs_no_room() {
        return Ok(false);
    }
    // Whatever they put there meanwhile is neither opened nor followed.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path.join(SPARE_REQUEST_FILE)) {
        Ok(spare) => {
            // Whatever the umask of the caller.
            spare.set_permissions(Permissions::from_mode(0o600))?;
            fchown(&spare, Some(account.uid.as_raw()), Some(account.gid.as_raw()))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// All requests share one file system: where it is full, the admin has to know whose doing that is.
fn with_who_fills_it(error: io::Error, path: &Path) -> anyhow::Error {
    let all = path.parent().filter(|_| error.kind() == ErrorKind::StorageFull);
    match all.and_then(|all| Some((all, who_fills(all)?))) {
        Some((all, (entries, user))) => anyhow!(
            "{error}: most of what fills it, {entries} entries, is in {}: `cas-sync unenroll {user}` removes it, then enroll again",
            all.join(&user).display(),
        ),
        None => error.into(),
    }
}

/// Whose folder has the most entries, and how many: as far as the caller may look.
pub(crate) fn who_fills(all: &Path) -> Option<(u64, String)> {
    let folders = fs::read_dir(all).ok()?.flatten();
    let counted = folders
        .map(|folder| (entries_below(&folder.path()), folder.file_name().to_string_lossy().into_owned()));
    counted.max_by_key(|(entries, _)| *entries).filter(|(entries, _)| *entries > 0)
}

/// As far as they can be seen: the deepest trees have names that are too long.
fn entries_below(folder: &Path) -> u64 {
    let (mut entries, mut left) = (0, vec![folder.to_owned()]);
    while let Some(directory) = left.pop().filter(|_| entries < DEEPEST) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            entries += 1;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push(entry.path());
            }
        }
    }
    entries
}

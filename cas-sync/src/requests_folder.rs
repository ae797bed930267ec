//! The folder in which one person's logins leave their requests: made and removed by root, filled by that person with
//! whatever they like.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use cas_core::account::Account;
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How often, and after which pauses, a folder is emptied that is filled meanwhile.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);
/// More levels than the requests' file system has inodes (`packaging/systemd/requests.mount`).
const DEEPEST: u64 = 5000;

/// Makes the folder theirs. The one above is root's, so that nobody can put something else in this one's place.
///
/// # Errors
/// When it cannot be made, or something else lies there.
pub(crate) fn make(account: &Account, path: &Path) -> Result<bool> {
    let context = || format!("cannot give {} its requests directory {}", account.name, path.display());
    let (uid, gid) = (account.uid.as_raw(), account.gid.as_raw());
    if let Ok(found) = fs::symlink_metadata(path) {
        ensure!(found.is_dir(), "{} is no directory: remove it, and enroll again", path.display());
        if found.uid() == uid && found.gid() == gid && found.mode() & 0o777 == 0o700 {
            return Ok(false);
        }
    } else {
        DirBuilder::new().mode(0o700).create(path).with_context(context)?;
    }
    fs::set_permissions(path, Permissions::from_mode(0o700)).with_context(context)?;
    chown(path, Some(uid), Some(gid)).with_context(context)?;
    Ok(true)
}

/// Removes the folder and all that is in it, never what is elsewhere; false when there was none.
///
/// # Errors
/// When a process of theirs fills it faster than it is emptied.
pub(crate) fn remove(path: &Path) -> Result<bool> {
    let context = || format!("cannot remove {}", path.display());
    match take_away(path) {
        Ok(()) => (),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(context),
    }
    allow_deep_trees();
    let mut left = None;
    for _ in 0..ATTEMPTS {
        match fs::remove_dir_all(path) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
            Err(error) => left = Some(error),
        }
        thread::sleep(PAUSE);
    }
    let why = left.map(|error| error.to_string()).unwrap_or_default();
    Err(anyhow!("{}: {why}; end their processes (`loginctl terminate-user`), and disenroll again", context()))
}

/// From here on its owner can put nothing more into it, though they may still hold what is in it.
fn take_away(path: &Path) -> io::Result<()> {
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let folder: File = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    fchown(&folder, Some(0), Some(0))?;
    folder.set_permissions(Permissions::from_mode(0o700))
}

/// Removing a tree takes a file descriptor for each level. Where this is refused, only the deepest trees stay.
fn allow_deep_trees() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _refused = setrlimit(Resource::RLIMIT_NOFILE, soft.max(DEEPEST.min(hard)), hard);
    }
}

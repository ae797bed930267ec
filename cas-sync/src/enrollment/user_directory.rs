//! A user's own folder in a folder of root's.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;

use cas_core::system::account::Account;

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

//! Creates directories, and lists them.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;

use crate::fs::owned_file::{FileError, Reason};

/// The mode of a directory of root that other users can read.
const PUBLIC_DIR_MODE: u32 = 0o755;

/// Creates a directory with mode 0700, and its parents.
///
/// # Errors
/// [`FileError`] if it cannot be created, or something else exists at the path.
pub fn create_private_directory(path: &Path) -> Result<(), FileError> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|error| FileError {
        path: path.to_owned(),
        reason: Reason::Failed("create the directory", error),
    })
}

/// Creates a directory with owner root and mode 0755, and repairs both if they differ. The umask
/// does not apply. Returns true if anything was changed.
///
/// # Errors
/// [`FileError`] if that fails, or something else exists at the path.
pub fn create_root_directory(path: &Path) -> Result<bool, FileError> {
    let problem = |step: &'static str| {
        move |error| FileError { path: path.to_owned(), reason: Reason::Failed(step, error) }
    };
    match fs::metadata(path) {
        Ok(found) if found.is_dir() && found.uid() == 0 && found.mode() & 0o7777 == PUBLIC_DIR_MODE => {
            return Ok(false);
        }
        Ok(found) if found.is_dir() => {}
        Ok(_) => {
            let other = io::Error::other("it is not a directory; remove it, and try again");
            return Err(problem("create the directory")(other));
        }
        Err(_) => {
            DirBuilder::new().mode(PUBLIC_DIR_MODE).create(path).map_err(problem("create the directory"))?
        }
    }
    chown(path, Some(0), None).map_err(problem("set owner root on"))?;
    let mode = fs::Permissions::from_mode(PUBLIC_DIR_MODE);
    fs::set_permissions(path, mode).map_err(problem("set mode 0755 on"))?;
    Ok(true)
}

/// Returns the names in a directory, in order. `None` if the directory does not exist.
///
/// # Errors
/// If it cannot be read.
pub fn list_names(path: &Path) -> io::Result<Option<Vec<OsString>>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(Some(names))
}

//! Decides whether a user is enrolled: by a marker file that only root can create. The check is one
//! `lstat`.

use std::ffi::CString;
use std::fmt;
use std::io;

use cas_protocol::paths::ENROLLED_DIR;

use crate::system::{self, FileStatus};
use crate::user_name::UserName;

/// Returns true if the user's marker exists. A symlink in the last component is not followed.
///
/// # Errors
/// [`MarkerError`] if the file is not a marker of root, or cannot be checked. The user then counts
/// as not enrolled.
pub(crate) fn is_enrolled(user: &UserName) -> Result<bool, MarkerError> {
    let path = [ENROLLED_DIR.as_bytes(), b"/", user.as_bytes()].concat();
    let Ok(path) = CString::new(path) else { return Ok(false) };
    match system::lstat(&path) {
        Ok(status) => check(status).map(|()| true),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG) => Ok(false),
            _ => Err(MarkerError::Stat(error)),
        },
    }
}

fn check(status: FileStatus) -> Result<(), MarkerError> {
    if status.mode & libc::S_IFMT != libc::S_IFREG {
        Err(MarkerError::NotAFile)
    } else if status.owner != 0 {
        Err(MarkerError::Owner(status.owner))
    } else if status.mode & (libc::S_IWGRP | libc::S_IWOTH) != 0 {
        Err(MarkerError::Writable)
    } else {
        Ok(())
    }
}

/// Why a marker is ignored.
#[derive(Debug)]
pub(crate) enum MarkerError {
    NotAFile,
    Owner(u32),
    Writable,
    Stat(io::Error),
}

impl fmt::Display for MarkerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("enrollment marker ignored: ")?;
        match self {
            Self::NotAFile => formatter.write_str("it is not a regular file")?,
            Self::Owner(owner) => write!(formatter, "it belongs to uid {owner}, not to root")?,
            Self::Writable => formatter.write_str("other users than root can write it")?,
            Self::Stat(error) => write!(formatter, "{error}")?,
        }
        formatter
            .write_str("; remove it from /var/lib/claude-auth-sync/enrolled and run cas-sync enroll again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_that_others_can_write_is_ignored() {
        let rows = [
            (libc::S_IFREG | 0o644, 0, true),
            (libc::S_IFREG, 0, true),
            (libc::S_IFREG | 0o664, 0, false),
            (libc::S_IFREG | 0o602, 0, false),
            (libc::S_IFREG | 0o644, 1000, false),
            (libc::S_IFLNK | 0o777, 0, false),
            (libc::S_IFDIR | 0o755, 0, false),
            (libc::S_IFIFO | 0o644, 0, false),
        ];
        for (mode, owner, counts) in rows {
            assert_eq!(check(FileStatus { mode, owner }).is_ok(), counts, "{mode:o} {owner}");
        }
    }
}

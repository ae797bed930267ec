//! Who is enrolled: users with a marker file that only root can have put there. Asking costs one `lstat`.

use std::ffi::CString;
use std::fmt;
use std::io;

use cas_protocol::paths::ENROLLED_DIR;

use crate::system::{self, FileStatus};
use crate::user_name::UserName;

/// Looks for the user's marker, following no link in its last component.
///
/// # Errors
/// [`MarkerError`] when something is there that root did not put there as a marker, or it could not be looked at. The user
/// then counts as not enrolled.
pub(crate) fn is_enrolled(user: &UserName) -> Result<bool, MarkerError> {
    let path = [ENROLLED_DIR.as_bytes(), b"/", user.as_bytes()].concat();
    let Ok(path) = CString::new(path) else { return Ok(false) };
    match system::lstat(&path) {
        Ok(status) => judge(status).map(|()| true),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG) => Ok(false),
            _ => Err(MarkerError::Stat(error)),
        },
    }
}

fn judge(status: FileStatus) -> Result<(), MarkerError> {
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

/// Why a marker does not count.
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
            Self::Writable => formatter.write_str("others than root may write it")?,
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
    fn only_a_plain_file_that_root_alone_can_write_counts() {
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
            assert_eq!(judge(FileStatus { mode, owner }).is_ok(), counts, "{mode:o} {owner}");
        }
    }
}

//! Paths of the machine-wide state. The PAM module, the helper and `cas-sync` share them, so this
//! module has no dependencies.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The machine-wide state directory, owned by root.
pub const STATE_DIR: &str = "/var/lib/claude-auth-sync";

/// The directory of the enrollment markers in [`STATE_DIR`].
pub const ENROLLED: &str = "enrolled";

/// The directory in [`STATE_DIR`] with one file for each name that was ever enrolled, with its uid.
pub const IDENTITIES: &str = "identities";

/// The directory in [`STATE_DIR`] in which syncs of version 0.1.0 published, with a directory of
/// each user.
pub const USERS_0_1_0: &str = "people";

/// The path of [`ENROLLED`]: one empty file per enrolled user, named after the user and owned by
/// root.
pub const ENROLLED_DIR: &str = "/var/lib/claude-auth-sync/enrolled";

/// The directory of the request files: for each enrolled user a FIFO that is named after the user
/// id and belongs to the user. A user requests a sync by setting its modification time. No process
/// opens it. Root creates the directory and the FIFOs (`claude-auth-request.service`), so a user
/// can neither replace nor rename them.
pub const REQUEST_DIR: &str = "/run/claude-auth-requests";

/// The longest accepted login name, in bytes: the limit of a file name.
pub const MAX_NAME_LEN: usize = 255;

/// Returns true if a login name is one plain path component and one plain argument: 1 to
/// [`MAX_NAME_LEN`] bytes, not `.` or `..`, without a leading `-`, without `/` and control bytes.
/// The name need not be UTF-8.
pub fn is_valid_user_name(name: &[u8]) -> bool {
    (1..=MAX_NAME_LEN).contains(&name.len())
        && !matches!(name, b"." | b"..")
        && !name.starts_with(b"-")
        && !name.iter().any(|byte| *byte == b'/' || byte.is_ascii_control())
}

/// Returns true if the user of this name is enrolled: the marker is a regular file, owned by root,
/// and only root can write it. A symlink does not count.
pub fn is_enrolled(name: &str) -> bool {
    is_enrolled_in(Path::new(ENROLLED_DIR), name)
}

/// Does the same as [`is_enrolled`] for the markers in this directory.
pub fn is_enrolled_in(markers: &Path, name: &str) -> bool {
    let counts = |marker: Metadata| marker.is_file() && marker.uid() == 0 && marker.mode() & 0o022 == 0;
    is_valid_user_name(name.as_bytes()) && fs::symlink_metadata(markers.join(name)).is_ok_and(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_name_with_path_or_control_bytes_is_invalid() {
        let longest = "a".repeat(MAX_NAME_LEN);
        for name in [&b"alice"[..], b"alice.b_c-d@example", b"j\xf6rg", longest.as_bytes(), b"..."] {
            assert!(is_valid_user_name(name), "{name:?}");
        }
        let too_long = [b'a'; MAX_NAME_LEN + 1];
        for name in [
            &b""[..],
            b".",
            b"..",
            b"-x",
            b"../alice",
            b"a/b",
            b"a\nb",
            b"a\0b",
            b"a\x1b[2J",
            b"a\x7f",
            &too_long,
        ] {
            assert!(!is_valid_user_name(name), "{name:?}");
        }
    }
}

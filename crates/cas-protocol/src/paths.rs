//! Where it is kept who is looked after on this machine: agreed between the PAM module, the programs and the admin's
//! command, and therefore free of dependencies.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What the programs keep for the whole machine; root's.
pub const STATE_DIR: &str = "/var/lib/claude-auth-sync";

/// One empty file per enrolled person, named after them, root's own.
pub const ENROLLED_DIR: &str = "/var/lib/claude-auth-sync/enrolled";

/// One directory per enrolled person, theirs, in which a login leaves its request for the sync.
pub const REQUESTS_DIR: &str = "/run/claude-auth-sync";

/// The name of the request in a person's directory below [`REQUESTS_DIR`].
pub const REQUEST_FILE: &str = "request";

/// The name of the file in that directory that is made in advance, to become the first request.
pub const SPARE_REQUEST_FILE: &str = "request.spare";

/// The longest login name that can be the name of a file, in bytes.
pub const MAX_NAME_LEN: usize = 255;

/// Whether a login name is one plain component of a path and one plain argument: 1 to [`MAX_NAME_LEN`] bytes, not `.` or
/// `..`, not beginning with `-`, without `/` and control bytes. Nobody promised that it is UTF-8.
pub fn is_valid_user_name(name: &[u8]) -> bool {
    (1..=MAX_NAME_LEN).contains(&name.len())
        && !matches!(name, b"." | b"..")
        && !name.starts_with(b"-")
        && !name.iter().any(|byte| *byte == b'/' || byte.is_ascii_control())
}

/// Whether somebody of this name is enrolled, as the PAM module judges it: a regular file of root's, no link, which nobody
/// else may write.
pub fn is_enrolled(name: &str) -> bool {
    let counts = |marker: Metadata| marker.is_file() && marker.uid() == 0 && marker.mode() & 0o022 == 0;
    is_valid_user_name(name.as_bytes())
        && fs::symlink_metadata(Path::new(ENROLLED_DIR).join(name)).is_ok_and(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_become_names_of_files() {
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

//! The user a session is for, as far as this module acts on one.

use std::ffi::CStr;

/// A name that is one plain component of a path and one plain argument: 1 to [`UserName::MAX_LEN`] bytes, not `root`,
/// `.` or `..`, not beginning with `-`, without `/` and control bytes. Whether such a user exists is for `cas-session` to
/// find out: the module itself asks no name service, which may be slow or dead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UserName(Vec<u8>);

impl UserName {
    /// The longest name accepted, in bytes: that of a file name.
    pub(crate) const MAX_LEN: usize = 255;

    /// Takes the name from the `PAM_USER` item; `None` for one the module leaves alone.
    pub(crate) fn parse(name: &CStr) -> Option<Self> {
        let name = name.to_bytes();
        let refused = name.is_empty()
            || name.len() > Self::MAX_LEN
            || matches!(name, b"root" | b"." | b"..")
            || name.starts_with(b"-")
            || name.iter().any(|byte| *byte == b'/' || byte.is_ascii_control());
        (!refused).then(|| Self(name.to_owned()))
    }

    /// The bytes of the name; nobody promised that they are UTF-8.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;

    #[test]
    fn only_plain_names_are_acted_on() {
        let longest = "a".repeat(UserName::MAX_LEN);
        let rows: &[(&[u8], bool)] = &[
            (b"alice", true),
            (b"alice.b_c-d@example", true),
            (b"j\xf6rg", true),
            (longest.as_bytes(), true),
            (b"roots", true),
            (b"...", true),
            (b"", false),
            (b"root", false),
            (b".", false),
            (b"..", false),
            (b"-x", false),
            (b"../alice", false),
            (b"a/b", false),
            (b"a\nb", false),
            (b"a\x1b[2J", false),
            (b"a\x7f", false),
            (&[b'a'; UserName::MAX_LEN + 1], false),
        ];
        for (name, accepted) in rows {
            let name = CString::new(*name).unwrap();
            assert_eq!(UserName::parse(&name).is_some(), *accepted, "{name:?}");
        }
    }
}

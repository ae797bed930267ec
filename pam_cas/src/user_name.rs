//! The login name of a session for which the module acts.

use std::ffi::CStr;

use cas_protocol::paths;

/// A name that [`paths::is_valid_user_name`] accepts, except `root`. `cas-session` determines
/// whether the user exists, because a name service can be slow or unreachable and the module never
/// queries one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UserName(Vec<u8>);

impl UserName {
    /// Parses the `PAM_USER` item. Returns `None` for a name that the module ignores.
    pub(crate) fn parse(name: &CStr) -> Option<Self> {
        let name = name.to_bytes();
        (paths::is_valid_user_name(name) && name != b"root").then(|| Self(name.to_owned()))
    }

    /// Returns true if this can be another spelling of an account's name. Directory services return
    /// the account `alice` for `ALICE`, `alice@corp`, `CORP\alice` and `alice `. `cas-session`
    /// determines whether there is such an account and whether it is enrolled; it accepts only
    /// names in UTF-8.
    pub(crate) fn is_possible_alias(&self) -> bool {
        let is_plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'$');
        !self.0.iter().all(is_plain) && std::str::from_utf8(&self.0).is_ok()
    }

    /// Returns the bytes of the name, which are not necessarily UTF-8.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_with_unusual_characters_is_possible_alias() {
        for (name, is_spelling) in [
            (c"alice", false),
            (c"jean-luc.2_x", false),
            (c"workstation$", false),
            (c"ALICE", true),
            (c"alice@corp", true),
            (c"CORP\\alice", true),
            (c"CORP+alice", true),
            (c"alice ", true),
            (c"j\xc3\xb6rg", true),
            (c"j\xf6rg", false),
        ] {
            let user = UserName::parse(name).expect("a plain name");
            assert_eq!(user.is_possible_alias(), is_spelling, "{name:?}");
        }
    }

    #[test]
    fn root_and_names_with_a_path_are_ignored() {
        for (name, is_accepted) in
            [(c"alice", true), (c"roots", true), (c"root", false), (c"../alice", false), (c"", false)]
        {
            assert_eq!(UserName::parse(name).is_some(), is_accepted, "{name:?}");
        }
    }
}

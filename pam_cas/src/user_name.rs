//! The user a session is for, as far as this module acts on one.

use std::ffi::CStr;

use cas_protocol::paths;

/// A plain name in the sense of [`paths::is_valid_user_name`], and not `root`. Whether such a user exists is for
/// `cas-session` to find out: the module itself asks no name service, which may be slow or dead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UserName(Vec<u8>);

impl UserName {
    /// Takes the name from the `PAM_USER` item; `None` for one the module leaves alone.
    pub(crate) fn parse(name: &CStr) -> Option<Self> {
        let name = name.to_bytes();
        (paths::is_valid_user_name(name) && name != b"root").then(|| Self(name.to_owned()))
    }

    /// Returns true if this may be another spelling of an account's name: directories answer to `ALICE`, `alice@corp`,
    /// `CORP\alice` and `alice ` with the account `alice`. Whether it is, and whether that account is enrolled, is for
    /// `cas-session`, which takes names in UTF-8 only.
    pub(crate) fn may_be_another_spelling(&self) -> bool {
        let is_plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'$');
        !self.0.iter().all(is_plain) && std::str::from_utf8(&self.0).is_ok()
    }

    /// The bytes of the name; nobody promised that they are UTF-8.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_directory_may_spell_differently_are_looked_up() {
        for (name, is_one) in [
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
            assert_eq!(user.may_be_another_spelling(), is_one, "{name:?}");
        }
    }

    #[test]
    fn root_and_names_that_lead_elsewhere_are_left_alone() {
        for (name, is_taken) in
            [(c"alice", true), (c"roots", true), (c"root", false), (c"../alice", false), (c"", false)]
        {
            assert_eq!(UserName::parse(name).is_some(), is_taken, "{name:?}");
        }
    }
}

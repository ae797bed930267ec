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

    /// The bytes of the name; nobody promised that they are UTF-8.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_names_that_lead_elsewhere_are_left_alone() {
        for (name, is_taken) in
            [(c"alice", true), (c"roots", true), (c"root", false), (c"../alice", false), (c"", false)]
        {
            assert_eq!(UserName::parse(name).is_some(), is_taken, "{name:?}");
        }
    }
}

//! The users that may receive a token over an unencrypted connection.

use std::io;

use nix::unistd::{Uid, User};

/// The users whose processes may be at the other end: root, the configured agent user, and the
/// token's own user, who can read it anyway.
#[derive(Clone, Debug)]
pub(crate) struct Trusted {
    uids: Vec<u32>,
}

impl Trusted {
    /// Looks up the user of `vault.agent_user`, if it is configured.
    ///
    /// # Errors
    /// The error in the setting.
    pub(crate) fn with_agent(agent: Option<&str>) -> Result<Self, String> {
        let mut uids = vec![0, Uid::effective().as_raw()];
        if let Some(name) = agent {
            let found = User::from_name(name)
                .map_err(|error| format!("cannot look up vault.agent_user {name:?}: {error}"))?;
            let found =
                found.ok_or_else(|| format!("vault.agent_user {name:?} is not a user of this machine"))?;
            uids.push(found.uid.as_raw());
        }
        Ok(Self { uids })
    }

    /// Checks a process of this user.
    pub(super) fn check(&self, uid: u32) -> Result<(), PeerError> {
        if self.uids.contains(&uid) { Ok(()) } else { Err(PeerError::User(uid)) }
    }
}

/// Why no token was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    /// A process of this user accepted the connection.
    #[error(
        "cannot send the token without encryption: a process of user id {0} listens there, not root or vault.agent_user"
    )]
    User(u32),
    /// The kernel does not show the other end.
    #[error("cannot send the token without encryption: the kernel does not report which user listens there")]
    Unknown,
    /// The table of sockets cannot be read.
    #[error("cannot send the token without encryption: cannot read /proc/self/net: {0}")]
    NoTable(io::Error),
}

impl PeerError {
    /// The remedy for all variants.
    pub(crate) const REMEDY: &str =
        "use https://, or set vault.agent_user to the user that the agent or server on this port runs as";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_the_agent_and_the_user_are_trusted() {
        let trusted = Trusted { uids: vec![0, 1000, 120] };
        for uid in [0, 1000, 120] {
            assert!(trusted.check(uid).is_ok(), "{uid}");
        }
        for uid in [1, 1001, 65_534, u32::MAX] {
            assert!(matches!(trusted.check(uid), Err(PeerError::User(found)) if found == uid));
        }
        let own = Trusted::with_agent(None).expect("no agent");
        assert!(own.check(Uid::effective().as_raw()).is_ok());
        assert!(Trusted::with_agent(Some("root")).is_ok());
        let error = Trusted::with_agent(Some("no such user")).expect_err("the user does not exist");
        assert!(error.contains("is not a user of this machine"), "{error}");
    }
}

//! The names of the units of a user, and paths that contain them.

use std::path::{Path, PathBuf};

use super::enabled;

/// The target that all units are part of.
pub(crate) const TARGET: &str = "claude-auth-sync.target";
/// The service that answers requests of logins.
pub(crate) const REQUEST_SERVICE: &str = "claude-auth-request.service";
/// systemd stores here when a timer with `Persistent=` last elapsed.
const TIMER_STAMP_DIR: &str = "/var/lib/systemd/timers";
/// systemd's limit for the name of a unit, with the terminating null byte (`UNIT_NAME_MAX`).
const MAX_UNIT_NAME: usize = 255;

/// The names of the units of a user.
#[derive(Debug)]
pub(crate) struct Units {
    pub(crate) timer: String,
    /// The service that the timer and requests start.
    pub(crate) service: String,
    pub(crate) watch: String,
}

impl Units {
    /// Returns the names for a login name; `None` if systemd does not accept it in a unit name. The
    /// names contain the login name unchanged (`%i`), so it must consist of allowed characters. It
    /// must not be a number, which would mean a uid.
    pub(crate) fn for_user(user: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
        let unit = |prefix: &str, kind: &str| format!("claude-auth-{prefix}@{user}.{kind}");
        let units = Self {
            timer: unit("sync", "timer"),
            service: unit("sync", "service"),
            watch: unit("watch", "service"),
        };
        let is_number = user.bytes().all(|byte| byte.is_ascii_digit());
        let fits = units.all().iter().all(|unit| unit.len() <= MAX_UNIT_NAME);
        (user.bytes().all(is_allowed) && !is_number && fits).then_some(units)
    }

    pub(crate) fn all(&self) -> [&str; 3] {
        [&self.timer, &self.service, &self.watch]
    }

    /// Returns the units that the target starts; those of the watcher only if `watch` is set.
    pub(crate) fn wanted(&self, watch: bool) -> Vec<&str> {
        let mut wanted = vec![self.timer.as_str()];
        wanted.extend(watch.then_some(self.watch.as_str()));
        wanted
    }

    /// Returns true if the packaged links, and no others, start this unit.
    pub(crate) fn has_packaged_links(&self, unit: &str) -> bool {
        let by_target_and_sync = [TARGET, &self.service];
        let wanted_by = if unit == self.watch { &by_target_and_sync[..] } else { &[TARGET] };
        enabled::is_wanted_only_by(unit, wanted_by)
    }

    /// Returns the file in which systemd stores when the timer last elapsed.
    pub(crate) fn stamp(&self) -> PathBuf {
        Path::new(TIMER_STAMP_DIR).join(format!("stamp-{}", self.timer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first names could be started with systemd 252 and 257, the others could not.
    #[test]
    fn units_exist_for_names_that_systemd_accepts() {
        let longest = "a".repeat(229);
        for name in [
            "jean-luc",
            "a.b",
            r"DOM\user",
            "user@realm",
            "4you",
            "_x",
            ".dot",
            "x.service",
            "0x10",
            &longest,
        ] {
            let units = Units::for_user(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(units.service, format!("claude-auth-sync@{name}.service"));
        }
        let too_long = "a".repeat(230);
        for name in ["1234", "x$", "a b", "jörg", "a%h", "DOM+user", "a~b", "a*", "a/b", &too_long] {
            assert!(Units::for_user(name).is_none(), "{name}");
        }
    }
}

//! What the units of one person are called, and what else is known of them by their name.

use std::path::{Path, PathBuf};

use super::enabled;

/// What everybody's units hang on.
pub(crate) const TARGET: &str = "claude-auth-sync.target";
/// Where systemd keeps when a timer with Persistent= last elapsed.
const STAMPS: &str = "/var/lib/systemd/timers";
/// systemd's own limit for the name of a unit, the end of the string included (`UNIT_NAME_MAX`).
const MAX_UNIT_NAME: usize = 255;

/// The names of one person's units.
#[derive(Debug)]
pub(crate) struct Units {
    pub(crate) timer: String,
    pub(crate) path: String,
    /// What the two above start.
    pub(crate) service: String,
    pub(crate) watch: String,
}

impl Units {
    /// The units hold the login name as it is (`%i`), so it has to consist of what systemd allows there; and it must not be
    /// a number, which would be taken for a user id.
    pub(crate) fn of(user: &str) -> Option<Self> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
        let unit = |prefix: &str, kind: &str| format!("claude-auth-{prefix}@{user}.{kind}");
        let units = Self {
            timer: unit("sync", "timer"),
            path: unit("sync", "path"),
            service: unit("sync", "service"),
            watch: unit("watch", "service"),
        };
        let is_number = user.bytes().all(|byte| byte.is_ascii_digit());
        let fits = units.all().iter().all(|unit| unit.len() <= MAX_UNIT_NAME);
        (user.bytes().all(is_allowed) && !is_number && fits).then_some(units)
    }

    /// All of them.
    pub(crate) fn all(&self) -> [&str; 4] {
        [&self.timer, &self.path, &self.service, &self.watch]
    }

    /// Those that the target starts.
    pub(crate) fn wanted(&self, watch: bool) -> Vec<&str> {
        let mut wanted = vec![self.timer.as_str(), &self.path];
        wanted.extend(watch.then_some(self.watch.as_str()));
        wanted
    }

    /// Whether systemd starts this one because of what is packaged, and of nothing else.
    pub(crate) fn has_packaged_links(&self, unit: &str) -> bool {
        let by_the_sync_too = [TARGET, &self.service];
        let wanted_by = if unit == self.watch { &by_the_sync_too[..] } else { &[TARGET] };
        enabled::is_wanted_only_by(unit, wanted_by)
    }

    /// Where systemd keeps when the timer last elapsed.
    pub(crate) fn stamp(&self) -> PathBuf {
        Path::new(STAMPS).join(format!("stamp-{}", self.timer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these was started, and none of the others could be, under systemd 252 and 257.
    #[test]
    fn units_are_named_after_people_as_they_are_called() {
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
            let units = Units::of(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(units.service, format!("claude-auth-sync@{name}.service"));
        }
        let too_long = "a".repeat(230);
        for name in ["1234", "x$", "a b", "jörg", "a%h", "DOM+user", "a~b", "a*", "a/b", &too_long] {
            assert!(Units::of(name).is_none(), "{name}");
        }
    }
}

//! The user's units, according to systemd and the file system.

use super::super::facts::UnitFacts;
use super::path_text;
use crate::systemd;

/// Inspects the units of the user, or returns [`UnitFacts::Unknown`] if systemd did not answer
/// before.
pub(super) fn inspect(user: &str, systemd_answers: bool) -> UnitFacts {
    if !systemd_answers {
        return UnitFacts::Unknown(systemd::NO_REPLY.into());
    }
    match systemd::unit_status(user) {
        Ok(status) => UnitFacts::Known {
            overrides: status.overrides.iter().map(|path| path_text(path)).collect(),
            are_enabled: systemd::are_enabled(user),
            inactive: status.inactive,
            failed: status.failed,
        },
        Err(why) => UnitFacts::Unknown(why),
    }
}

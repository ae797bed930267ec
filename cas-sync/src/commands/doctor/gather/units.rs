//! The user's units, according to systemd and the file system.

use super::super::facts::Units;
use super::path_text;
use crate::systemd;

/// Inspects the units of the user, or returns [`Units::Unknown`] if systemd did not answer before.
pub(super) fn inspect(user: &str, systemd_answers: bool) -> Units {
    if !systemd_answers {
        return Units::Unknown(systemd::NO_REPLY.into());
    }
    match systemd::standing(user) {
        Ok(standing) => Units::Known {
            overrides: standing.stand_ins.iter().map(|path| path_text(path)).collect(),
            are_enabled: systemd::are_enabled(user),
            inactive: standing.resting,
            failed: standing.failed,
        },
        Err(why) => Units::Unknown(why),
    }
}

//! The person's units, as systemd and the disk know them.

use super::super::facts::Units;
use super::shown;
use crate::systemd;

/// Looks at those of this person. Anybody may ask systemd that; where it is known not to answer, nobody does again.
pub(super) fn of(user: &str, systemd_answers: bool) -> Units {
    if !systemd_answers {
        return Units::None(systemd::NO_REPLY.into());
    }
    match systemd::standing(user) {
        Ok(standing) => Units::Some {
            stand_ins: standing.stand_ins.iter().map(|path| shown(path)).collect(),
            are_enabled: systemd::are_enabled(user),
            resting: standing.resting,
            failed: standing.failed,
        },
        Err(why) => Units::None(why),
    }
}

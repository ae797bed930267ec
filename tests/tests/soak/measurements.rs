//! The measurements of a week.

use std::fmt;

/// What was counted for one user.
#[derive(Clone, Debug, Default)]
pub(super) struct Measurements {
    /// The hours of the week.
    pub(super) hours: u64,
    /// The hours in which the file had no login that the server accepts.
    pub(super) hours_logged_out: u64,
    /// How often the user started `claude`.
    pub(super) starts: u32,
    /// How often the user had to sign in.
    pub(super) sign_ins: u32,
    /// The logins that no repair can keep.
    pub(super) unavoidable: u32,
    /// The logouts with a login that the server would have accepted.
    pub(super) avoidable: u32,
    /// The members of other programs that were lost by a repair.
    pub(super) lost_members: u32,
    log: Vec<String>,
}

impl Measurements {
    /// Records a line that explains a failure.
    pub(super) fn log(&mut self, line: String) {
        self.log.push(line);
    }

    /// Returns the recorded lines.
    pub(super) fn history(&self) -> String {
        self.log.join("\n")
    }

    /// Returns the share of the time without a login that the server accepts.
    pub(super) fn share_logged_out(&self) -> f64 {
        let count = |hours: u64| f64::from(u32::try_from(hours).expect("some days"));
        count(self.hours_logged_out) / count(self.hours)
    }
}

impl fmt::Display for Measurements {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "logged out {:.1} % of {} hours, {} starts, {} sign-ins ({} unavoidable), {} avoidable logouts, \
             {} lost members",
            self.share_logged_out() * 100.0,
            self.hours,
            self.starts,
            self.sign_ins,
            self.unavoidable,
            self.avoidable,
            self.lost_members
        )
    }
}

//! Facts about the machine.

/// The machine.
#[derive(Debug)]
pub(in crate::commands::doctor) struct MachineFacts {
    pub(in crate::commands::doctor) pam: Pam,
    pub(in crate::commands::doctor) target: SyncTarget,
    pub(in crate::commands::doctor) roster: RosterState,
    /// `None` if the target does not run.
    pub(in crate::commands::doctor) is_request_service_active: Option<bool>,
    pub(in crate::commands::doctor) clock: Clock,
    pub(in crate::commands::doctor) has_enrolled_users: bool,
    /// Enrolled users without a matching account, and why.
    pub(in crate::commands::doctor) missing_accounts: Vec<(String, String)>,
}

/// The PAM module and its line in the session stack.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::commands::doctor) struct Pam {
    pub(in crate::commands::doctor) has_module: bool,
    /// The session stack without comments; `None` if it cannot be read.
    pub(in crate::commands::doctor) session: Option<Vec<String>>,
    /// True if pam-auth-update selected the module: a missing line was then removed by hand.
    pub(in crate::commands::doctor) is_chosen: bool,
}

/// State of `claude-auth-sync.target`, which all users' units need.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum SyncTarget {
    NoSystemd,
    Masked,
    Stopped,
    Runs,
    /// systemd does not answer.
    NoReply,
}

/// The roster.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum RosterState {
    None,
    Valid,
    Unreadable(String),
    /// Only root can read it.
    Unknown(String),
}

/// The state of the time service.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Clock {
    Synchronized,
    Unsynchronized,
    Unknown(String),
}

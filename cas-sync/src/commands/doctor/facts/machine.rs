//! What is known of the machine.

/// The machine.
#[derive(Debug)]
pub(in crate::commands::doctor) struct MachineFacts {
    pub(in crate::commands::doctor) pam: Pam,
    pub(in crate::commands::doctor) target: SyncTarget,
    pub(in crate::commands::doctor) roster: Roster,
    pub(in crate::commands::doctor) requests: Requests,
    pub(in crate::commands::doctor) clock: Clock,
    pub(in crate::commands::doctor) is_anybody_enrolled: bool,
}

/// The module and its line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::commands::doctor) struct Pam {
    /// Whether the module's file is there.
    pub(in crate::commands::doctor) has_module: bool,
    /// The session stack, without comments; nothing where it cannot be read.
    pub(in crate::commands::doctor) session: Option<Vec<String>>,
    /// Whether pam-auth-update has chosen the module for it: where it is missing then, somebody took it out by hand.
    pub(in crate::commands::doctor) is_chosen: bool,
}

/// What everybody's units hang on.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum SyncTarget {
    NoSystemd,
    Masked,
    Stopped,
    Runs,
    /// systemd does not answer.
    Silent,
}

/// The roster.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Roster {
    None,
    Fine,
    Unreadable(String),
    /// Only root may look.
    Unknown(String),
}

/// The file system for requests.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Requests {
    Fine,
    NotMounted,
    /// Full; whose folder has most of it, where that can be seen.
    Full(Option<String>),
    Missing,
}

/// Whether something sets the clock.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands::doctor) enum Clock {
    Synchronized,
    Unsynchronized,
    Unknown(String),
}

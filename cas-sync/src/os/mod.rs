//! Processes, signals and files, as cas-sync uses them.

pub(crate) mod bounded_command;
pub(crate) mod deferred_signals;
pub(crate) mod environment;
pub(crate) mod oom_score;
pub(crate) mod parallel;
pub(crate) mod priority;
pub(crate) mod run_as_user;
pub(crate) mod shell_quote;
pub(crate) mod undo;

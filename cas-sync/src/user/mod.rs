//! The user of a command: identity, settings, files and reports.

pub(crate) mod acceptance;
pub(crate) mod context;
pub(crate) mod document;
pub(crate) mod error;
pub(crate) mod identity;
pub(crate) mod notify;
pub(crate) mod report;
pub(crate) mod sync_log;
pub(crate) mod verification;

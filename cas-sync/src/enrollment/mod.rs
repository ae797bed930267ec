//! Enrollment of users on this machine.

pub(crate) mod requests_directory;

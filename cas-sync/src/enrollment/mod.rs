//! Enrollment of users on this machine.

pub(crate) mod enroll;
pub(crate) mod requests_directory;
pub(crate) mod unenroll;

use std::fs;

use cas_core::system::account::Account;
use cas_protocol::paths::{self, ENROLLED_DIR};

/// Returns the names of all enrolled users that have an account, in order.
pub(crate) fn enrolled_users() -> Vec<String> {
    let entries = fs::read_dir(ENROLLED_DIR).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter(|name| paths::is_enrolled(name) && Account::from_name(name).is_ok()).collect();
    names.sort();
    names
}

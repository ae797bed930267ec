//! Enrollment of users on this machine.

pub(crate) mod enroll;
pub(crate) mod unenroll;

use std::fs;

use cas_core::system::account::AccountEntry;
use cas_protocol::paths::{self, ENROLLED_DIR};

/// Returns the names of all enrolled users with an account of exactly this name, in order.
pub(crate) fn enrolled_users() -> Vec<String> {
    let entries = fs::read_dir(ENROLLED_DIR).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let has_account =
        |name: &String| AccountEntry::from_name(name).is_ok_and(|account| account.name == *name);
    let mut names: Vec<String> = names.filter(|name| paths::is_enrolled(name) && has_account(name)).collect();
    names.sort();
    names
}

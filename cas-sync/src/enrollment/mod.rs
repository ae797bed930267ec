//! Enrollment of users on this machine.

pub(crate) mod enroll;
pub(crate) mod unenroll;

use std::path::Path;

use cas_core::fs::directories::list_names;
use cas_core::system::account::AccountEntry;
use cas_protocol::paths::{self, ENROLLED_DIR};

/// Returns the names of all enrolled users with an account of exactly this name, in order.
pub(crate) fn enrolled_users() -> Vec<String> {
    let names = list_names(Path::new(ENROLLED_DIR)).ok().flatten().unwrap_or_default().into_iter();
    let has_account =
        |name: &String| AccountEntry::from_name(name).is_ok_and(|account| account.name == *name);
    let names = names.filter_map(|name| name.into_string().ok());
    names.filter(|name| paths::is_enrolled(name) && has_account(name)).collect()
}

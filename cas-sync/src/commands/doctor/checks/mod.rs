//! All checks, in the order of the verbose output.

mod files;
mod local;
mod locks;
mod login;
mod machine;
mod overrides;
mod store;
#[cfg(test)]
mod tests;
mod token;
mod units;

pub(super) use self::machine::MODULE;
use super::check::Check;
use super::facts::{MachineFacts, UserFacts};

/// Returns the checks of a user.
pub(super) fn user_checks() -> Vec<Check<UserFacts>> {
    let tables: [&[Check<UserFacts>]; 8] = [
        &login::CHECKS,
        &files::CHECKS,
        &locks::CHECKS,
        &overrides::CHECKS,
        &local::CHECKS,
        &store::CHECKS,
        &token::CHECKS,
        &units::CHECKS,
    ];
    tables.into_iter().flatten().copied().collect()
}

/// Returns the checks of the machine.
pub(super) fn machine_checks() -> Vec<Check<MachineFacts>> {
    machine::CHECKS.to_vec()
}

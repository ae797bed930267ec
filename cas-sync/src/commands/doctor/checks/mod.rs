//! All checks, in the order in which they are shown where nothing is amiss.

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
use super::facts::{MachineFacts, PersonFacts};

/// Those about one person.
pub(super) fn of_a_person() -> Vec<Check<PersonFacts>> {
    let tables: [&[Check<PersonFacts>]; 8] = [
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

/// Those about the machine.
pub(super) fn of_the_machine() -> Vec<Check<MachineFacts>> {
    machine::CHECKS.to_vec()
}

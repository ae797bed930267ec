//! The credentials that an account may use: names in other spellings, cloned machines, and
//! enrollments by version 0.1.0.

mod earlier_version;
mod spellings;

use cas_tests::guest::CommandResult;

/// Returns all output of a command.
fn printed(finished: &CommandResult) -> String {
    [&finished.stdout[..], &finished.stderr].concat().iter().map(|byte| char::from(*byte)).collect()
}

//! Whose credentials an account may use: names in other spellings, cloned machines, and what an older version enrolled.

mod spellings;

use cas_tests::guest::CommandResult;

/// All that a command printed.
fn printed(finished: &CommandResult) -> String {
    [&finished.stdout[..], &finished.stderr].concat().iter().map(|byte| char::from(*byte)).collect()
}

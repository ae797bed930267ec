//! The result of the parser for a credential file, compared with the results of the clients.

use cas_core::credential::login_file::LoginFileState;
use cas_core::time::timestamp::Timestamp;
use cas_tests::credential_corpus::{Case, Values};

use super::client::{
    CANNOT_START, NOT_LOGGED_IN, REFRESHES, REFRESHES_ANOTHER_TOKEN, SESSION_EXPIRED, USES_ACCESS_TOKEN,
    USES_ANOTHER_TOKEN,
};

/// Some time of 2025, in milliseconds.
const NOW: i64 = 1_750_000_000_000;

/// Compares the state that the parser finds with what each client did.
pub(crate) fn compare(case: &Case, answers: &[&str]) -> Result<(), String> {
    let values = Values { access_token: "sk-access", refresh_token: "sk-refresh", now: NOW };
    let now = Timestamp::from_millis(NOW.unsigned_abs());
    let state = LoginFileState::parse(&case.content(&values), now);
    let newest = answers.last().copied().unwrap_or_default();
    let is_used = answers.iter().any(|answer| is_use(answer));
    if is_used && state.needs_restore() {
        return Err(format!("a client uses it ({answers:?}), and the parser would replace it: {state:?}"));
    }
    if !is_used && !state.needs_restore() {
        return Err(format!("no client uses it ({answers:?}), and the parser calls it a login: {state:?}"));
    }
    let expected: &[&str] = match &state {
        LoginFileState::Valid(_) => &[USES_ACCESS_TOKEN, USES_ANOTHER_TOKEN],
        // The file is not changed.
        LoginFileState::NotRefreshable(_) => {
            &[USES_ACCESS_TOKEN, USES_ANOTHER_TOKEN, REFRESHES_ANOTHER_TOKEN]
        }
        LoginFileState::AccessTokenExpired(_) => &[REFRESHES, REFRESHES_ANOTHER_TOKEN],
        LoginFileState::ClearedByClient => &[SESSION_EXPIRED],
        LoginFileState::Invalid(_) | LoginFileState::Missing => &[NOT_LOGGED_IN, CANNOT_START],
        LoginFileState::Unreadable(_) => &[],
    };
    // For a file that keeps the newest client from starting, the older one decides.
    let decides = answers.iter().rev().find(|answer| **answer != CANNOT_START).unwrap_or(&newest);
    let is_left_alone = matches!(state, LoginFileState::NotRefreshable(_)) && newest == CANNOT_START;
    if !expected.contains(decides) && !is_left_alone {
        return Err(format!("the clients: {answers:?}, and the parser: {state:?}"));
    }
    Ok(())
}

/// Returns true if a client authenticates with the content of the file.
fn is_use(answer: &str) -> bool {
    ![NOT_LOGGED_IN, SESSION_EXPIRED, CANNOT_START].contains(&answer)
}

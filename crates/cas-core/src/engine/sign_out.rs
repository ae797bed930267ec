//! Recognizes a credential file that has no login because the user intends so.

use crate::claude_files::json_settings::ClaudeJson;
use crate::credential::login_file::LoginFileState;
use crate::credential::sign_out::SignOut;
use crate::ledger::{Ledger, SeenApiKey};

/// Returns why the user intends that there is no login, as far as the ledger and the client's state
/// file tell.
///
/// `cas-sync logout` records the sign-out in the ledger.
///
/// `claude auth logout` and `/logout` delete the credential file and remove the account from the
/// state file. A credential file that is lost in another way leaves the account there, and a state
/// file that was lost as well is created anew with another [`ClaudeJson::installation`].
///
/// A sign-in with an API key deletes the credential file and adds the key to the state file. A key
/// that was there beside the login tells nothing.
pub fn sign_out<L>(login: &LoginFileState<L>, state: &ClaudeJson, ledger: &Ledger) -> Option<SignOut> {
    if !login.needs_restore() {
        return None;
    }
    if ledger.signed_out.is_some() {
        return Some(SignOut::Logout);
    }
    let is_missing = matches!(login, LoginFileState::Missing);
    let is_new_key = |key| match ledger.signed_in_api_key {
        SeenApiKey::Unknown => is_missing,
        SeenApiKey::Absent => true,
        SeenApiKey::Present(before) => key != before,
    };
    if state.api_key().is_some_and(is_new_key) {
        return Some(SignOut::ApiKey);
    }
    let is_same = state.installation().is_some() && state.installation() == ledger.signed_in_installation;
    let is_logout = is_missing && state.account().is_none() && is_same;
    is_logout.then_some(SignOut::Logout)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the ledger of a sync that saw a login beside this state file, if one did.
    fn ledger(seen: Option<&str>) -> Ledger {
        let Some(seen) = seen else { return Ledger::default() };
        let state = ClaudeJson::parse(seen.as_bytes()).expect("an object");
        Ledger {
            signed_in_installation: state.signed_in_installation(),
            signed_in_api_key: state.api_key().into(),
            ..Ledger::default()
        }
    }

    #[test]
    fn only_the_state_file_of_the_login_without_its_account_is_a_logout() {
        let named = r#"{"userID":"one","oauthAccount":{"accountUuid":"a"}}"#;
        let missing = || LoginFileState::<()>::Missing;
        let rows = [
            ("logout", missing(), r#"{"userID":"one"}"#, named, Some(SignOut::Logout)),
            (
                "logout, with null",
                missing(),
                r#"{"userID":"one","oauthAccount":null}"#,
                named,
                Some(SignOut::Logout),
            ),
            ("credential file deleted", missing(), named, named, None),
            ("both files deleted, state file created anew", missing(), r#"{"userID":"two"}"#, named, None),
            ("both files deleted", missing(), "{}", named, None),
            (
                "the state file never named the account",
                missing(),
                r#"{"userID":"one"}"#,
                r#"{"userID":"one"}"#,
                None,
            ),
            ("cleared by the client", LoginFileState::ClearedByClient, r#"{"userID":"one"}"#, named, None),
            ("a login", LoginFileState::Valid(()), r#"{"userID":"one"}"#, named, None),
        ];
        for (case, login, state, before, expected) in rows {
            let state = ClaudeJson::parse(state.as_bytes()).expect("an object");
            assert_eq!(sign_out(&login, &state, &ledger(Some(before))), expected, "{case}");
        }
    }

    #[test]
    fn recorded_sign_out_needs_no_state_file() {
        let mut ledger = Ledger::default();
        ledger.record_sign_out(None);
        let state = ClaudeJson::default();
        for login in
            [LoginFileState::<()>::Missing, LoginFileState::ClearedByClient, LoginFileState::Invalid("torn")]
        {
            assert_eq!(sign_out(&login, &state, &ledger), Some(SignOut::Logout), "{login:?}");
        }
        assert_eq!(sign_out(&LoginFileState::Valid(()), &state, &ledger), None);
    }

    #[test]
    fn only_an_api_key_that_was_not_beside_the_login_is_a_sign_in() {
        const KEY: &str = r#"{"userID":"one","oauthAccount":{},"primaryApiKey":"key"}"#;
        let missing = || LoginFileState::<()>::Missing;
        let cleared = || LoginFileState::<()>::ClearedByClient;
        let signed_in = Some(SignOut::ApiKey);
        let rows = [
            ("new key", missing(), KEY, Some("{}"), signed_in),
            ("new key, cleared", cleared(), KEY, Some("{}"), signed_in),
            ("another key", missing(), KEY, Some(r#"{"primaryApiKey":"old"}"#), signed_in),
            ("another key, cleared", cleared(), KEY, Some(r#"{"primaryApiKey":"old"}"#), signed_in),
            ("key of before", missing(), KEY, Some(KEY), None),
            ("key of before, cleared", cleared(), KEY, Some(KEY), None),
            ("key of before, damaged", LoginFileState::Invalid("torn"), KEY, Some(KEY), None),
            (
                "logout beside the key of before",
                missing(),
                r#"{"userID":"one","primaryApiKey":"key"}"#,
                Some(KEY),
                Some(SignOut::Logout),
            ),
            ("no record", missing(), KEY, None, signed_in),
            ("no record, cleared", cleared(), KEY, None, None),
            ("no record, damaged", LoginFileState::Invalid("torn"), KEY, None, None),
            ("a login", LoginFileState::Valid(()), KEY, Some("{}"), None),
            ("empty key", missing(), r#"{"primaryApiKey":""}"#, Some("{}"), None),
        ];
        for (case, login, state, before, expected) in rows {
            let state = ClaudeJson::parse(state.as_bytes()).expect("an object");
            assert_eq!(sign_out(&login, &state, &ledger(before)), expected, "{case}");
        }
    }

    #[test]
    fn recorded_key_round_trips_and_is_not_in_the_ledger() {
        for before in [None, Some("{}"), Some(r#"{"primaryApiKey":"sk-ant-api03-key"}"#)] {
            let ledger = ledger(before);
            let json = serde_json::to_string(&ledger).expect("JSON");
            assert!(!json.contains("sk-ant"), "{json}");
            assert_eq!(serde_json::from_str::<Ledger>(&json).expect("the same form"), ledger, "{json}");
        }
    }
}

//! Recognizes a credential file that has no login because the user intends so.

use crate::claude_files::json_settings::ClaudeJson;
use crate::credential::login_file::LoginFileState;
use crate::credential::sign_out::SignOut;
use crate::ledger::Ledger;

/// Returns why the user intends that there is no login, as far as the client's state file tells.
///
/// `claude auth logout` and `/logout` delete the credential file and remove the account from the
/// state file. A credential file that is lost in another way leaves the account there, and a state
/// file that was lost as well is created anew with another [`ClaudeJson::installation`].
pub fn sign_out<L>(login: &LoginFileState<L>, state: &ClaudeJson, ledger: &Ledger) -> Option<SignOut> {
    if !login.needs_restore() {
        return None;
    }
    if state.has_api_key() {
        return Some(SignOut::ApiKey);
    }
    let is_same = state.installation().is_some() && state.installation() == ledger.signed_in_installation;
    let is_logout = matches!(login, LoginFileState::Missing) && state.account().is_none() && is_same;
    is_logout.then_some(SignOut::Logout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_state_file_of_the_login_without_its_account_is_a_logout() {
        let named = r#"{"userID":"one","oauthAccount":{"accountUuid":"a"}}"#;
        let ledger = |state: &str| Ledger {
            signed_in_installation: ClaudeJson::parse(state.as_bytes())
                .expect("an object")
                .signed_in_installation(),
            ..Ledger::default()
        };
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
            (
                "API key",
                missing(),
                r#"{"primaryApiKey":"key","oauthAccount":{}}"#,
                "{}",
                Some(SignOut::ApiKey),
            ),
            (
                "API key, cleared",
                LoginFileState::ClearedByClient,
                r#"{"primaryApiKey":"key"}"#,
                "{}",
                Some(SignOut::ApiKey),
            ),
            ("API key beside a login", LoginFileState::Valid(()), r#"{"primaryApiKey":"key"}"#, "{}", None),
            ("no API key", missing(), r#"{"primaryApiKey":""}"#, "{}", None),
        ];
        for (case, login, state, before, expected) in rows {
            let state = ClaudeJson::parse(state.as_bytes()).expect("an object");
            assert_eq!(sign_out(&login, &state, &ledger(before)), expected, "{case}");
        }
    }
}

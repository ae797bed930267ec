//! Damaged files, with a secret at the mistake: no error message quotes it.

use cas_tests::claude_login::HOUR_MS;
use cas_tests::now_ms;
use cas_tests::test_user::{ENV_FILE, LOGIN, STATE, TestUser, VAULT_TOKEN};
use serde_json::json;

use crate::canaries::Secret;
use crate::observed_user::ObservedUser;

/// The state files that hold no secret, and the one that does.
const STATE_FILES: [&str; 6] =
    ["history.json", "ledger.json", "state.json", "store-contact.json", "vault-token.json", "sync.log"];

#[test]
fn error_about_a_login_file_does_not_quote_it() {
    let mut observed = ObservedUser::new(TestUser::create);
    let (login, whole) = (observed.canaries.text(Secret::Login).to_owned(), observed.login_file());
    let later = now_ms() + HOUR_MS;
    let oauth = |object: serde_json::Value| json!({ "claudeAiOauth": object }).to_string();
    for text in [
        whole[..whole.len() / 2].to_owned(),
        format!("{whole}{whole}"),
        format!("[{whole}]"),
        format!("\"{login}\""),
        login.clone(),
        oauth(json!(login)),
        oauth(json!([login])),
        oauth(json!({ "accessToken": [login], "refreshToken": login, "expiresAt": later })),
        oauth(json!({ "accessToken": login, "refreshToken": 7, "expiresAt": later, "scopes": login })),
        oauth(json!({ "accessToken": login, "refreshToken": login, "expiresAt": login, "scopes": [login] })),
        oauth(
            json!({ "accessToken": login, "refreshToken": "", "expiresAt": later, "scopes": ["user:inference"] }),
        ),
        oauth(
            json!({ "accessToken": login, "refreshToken": login, "expiresAt": -1, (login.clone()): login }),
        ),
        format!("{{\"claudeAiOauth\":{{\"{login}\":}}}}"),
        format!("{{\"claudeAiOauth\":{{\"accessToken\":\"{login}\\u12\"}}}}"),
    ] {
        observed.test_user.put(LOGIN, &text);
        let what = text.replace(observed.canaries.core(Secret::Login), "…");
        observed.sync(&what);
        observed.login(&what);
    }
    assert_eq!(observed.leaks(), Vec::<String>::new());
}

#[test]
fn error_about_an_env_or_token_file_does_not_quote_it() {
    let mut observed = ObservedUser::new(TestUser::create);
    let login = observed.login_file();
    observed.test_user.put(LOGIN, &login);
    observed.test_user.set_store_url("http://127.0.0.1:9");
    let setup = observed.canaries.text(Secret::SetupToken).to_owned();
    let vault = observed.canaries.text(Secret::VaultToken).to_owned();
    for line in [
        "export CLAUDE_CODE_OAUTH_TOKEN=@",
        "CLAUDE_CODE_OAUTH_TOKEN='@'",
        "CLAUDE_CODE_OAUTH_TOKEN=@ @",
        "CLAUDE_CODE_OAUTH_TOKEN=@\n@=@",
        "@",
    ] {
        observed.test_user.put(ENV_FILE, &format!("{}\n", line.replace('@', &setup)));
        observed.sync(line);
        observed.login(line);
        observed.exec(line);
    }
    observed.test_user.remove(ENV_FILE);
    for content in [format!("{vault}\n{vault}\n"), format!("token: {vault}"), format!("{vault}\u{e9}")] {
        observed.test_user.put(VAULT_TOKEN, &content);
        observed.sync("a token file of another form");
        observed.login("a token file of another form");
    }
    assert_eq!(observed.leaks(), Vec::<String>::new());
}

/// All kinds of damage: half of the content of another file, or a format of an earlier or later
/// version.
#[test]
fn error_about_a_state_file_does_not_quote_it() {
    let mut observed = ObservedUser::new(TestUser::create);
    observed.test_user.put(LOGIN, &observed.login_file());
    observed.sync("a first backup");
    let secret = observed.canaries.text(Secret::Login).to_owned();
    let history =
        String::from_utf8(observed.test_user.read(&format!("{STATE}/history.json")).expect("there"))
            .expect("text");
    let history_of = |fields: serde_json::Value| {
        json!({ "versions": [{ "version": 1, "written_at": 1, "fields": fields }] }).to_string()
    };
    let mut contents = vec![
        history[..history.len() / 2].to_owned(),
        json!(secret).to_string(),
        json!([secret]).to_string(),
        json!({ "versions": secret }).to_string(),
        json!({ "versions": [{ "version": secret }] }).to_string(),
        json!({ "versions": [secret] }).to_string(),
        history_of(json!(secret)),
        history_of(json!({ "claude_ai_oauth_json": [secret], "setup_token": secret })),
        json!({ "generations": secret, "last_success": secret, "schema": secret, "fingerprint": [secret] }).to_string(),
        json!({ "generations": { (secret.clone()): { "state": secret } } }).to_string(),
        json!({ "generations": {}, "withdrawn": [secret], "checked_at_ms": secret, "writes_by": secret }).to_string(),
        json!({ "schema": 1, "user": "alice", "status": "OK", "credential": { "kind": secret }, "last_failure": secret }).to_string(),
    ];
    contents.push(format!("{{\"{secret}"));
    for name in STATE_FILES {
        let file = format!("{STATE}/{name}");
        let before = observed.test_user.read(&file).map(|bytes| String::from_utf8(bytes).expect("text"));
        for content in &contents {
            // The test itself wrote this file, so it is excluded from the search.
            observed.planted_secrets(Some(&file));
            observed.test_user.put(&file, content);
            let what = format!("{name}: {}", content.replace(observed.canaries.core(Secret::Login), "…"));
            observed.sync(&what);
            observed.login(&what);
        }
        match before {
            Some(text) => observed.test_user.put(&file, &text),
            None => observed.test_user.remove(&file),
        }
        observed.planted_secrets(None);
    }
    assert_eq!(observed.leaks(), Vec::<String>::new());
}

//! `cas-sync check`: reports whether the credential stays valid, without a request.

use cas_tests::claude_login::{cleared_login, new_login};
use cas_tests::openbao::Policy;
use cas_tests::test_user::ENV_FILE;
use serde_json::json;

use super::*;

const TOKEN: &str = "sk-ant-oat01-alices_setup-token";

#[test]
fn check_reports_the_remaining_time_and_writes_nothing() {
    let test_user = TestUser::create();
    test_user.put(LOGIN, &new_login("first")); // expires in 25 days
    let before = home(&test_user);
    by_hand(&test_user, "check").expect(0, &["The login is valid for 25 days, until 20"]);
    by_hand(&test_user, "check --min-remaining 3d").expect(0, &[]);
    let output = by_hand(&test_user, "check --min-remaining 30d");
    output.expect(79, &["The login expires in 25 days, 20", ": run `cas-sync login`."]);
    let account = json!({ "oauthAccount": { "emailAddress": "alice@example.org", "accountUuid": "a" } });
    test_user.put(".claude.json", &account.to_string());
    by_hand(&test_user, "check --min-remaining 30d")
        .expect(79, &[": run `cas-sync login --email alice@example.org`."]);
    test_user.remove(".claude.json");
    for (demand, code) in [("3d", 0), ("30d", 79)] {
        let output =
            by_hand(&test_user, &format!("check --quiet --min-remaining {demand}")).expect(code, &[]);
        assert_eq!((output.out.as_str(), output.err.as_str()), ("", ""));
    }
    assert_eq!(home(&test_user), before);
}

#[test]
fn check_json_has_the_documented_members() {
    let test_user = TestUser::create();
    let file = new_login("first");
    test_user.put(LOGIN, &file);
    let mut report = by_hand(&test_user, "check --json --min-remaining 30d").expect(79, &[]).json();
    let ends = parsed(&file)["claudeAiOauth"]["refreshTokenExpiresAt"].clone();
    let remaining = report["remaining_s"].take().as_u64().expect("seconds");
    assert!((25 * 86_400..26 * 86_400).contains(&remaining), "{remaining}");
    assert!(
        report["text"].take().as_str().is_some_and(|text| text.starts_with("the login expires in 25 days"))
    );
    let credential = json!({
        "kind": "login",
        "fingerprint": generation(&file),
        "access_token_expires_at_ms": parsed(&file)["claudeAiOauth"]["expiresAt"],
        "login_expires_at_ms": ends,
        "account": null,
        "expires_at_ms": ends,
        "expiry_is_estimated": false,
    });
    let expected = json!({
        "schema": 1,
        "user": "alice",
        "answer": "action-required",
        "exit_code": 79,
        "text": null,
        "credential": credential,
        "remaining_s": null,
        "min_remaining_s": 30 * 86_400,
        "verified_at_ms": null,
        "verified_within_s": null,
    });
    assert_eq!(report, expected);
}

/// The document has the expiry of the token. After a sync has read it, no server is needed.
#[test]
fn setup_token_expiry_uses_the_last_known_dates() {
    let test_user = TestUser::create();
    let bao = test_user.bao();
    let (vault_user, relay) = test_user.use_store_through_relay(&bao, Policy::Patch);
    test_user.put(ENV_FILE, &format!("CLAUDE_CODE_OAUTH_TOKEN={TOKEN}\n"));
    by_hand(&test_user, "check").expect(75, &["not known yet", "`cas-sync run`"]);
    let in_ten_days =
        cas_core::time::timestamp::Timestamp::from_millis(now_ms() + 10 * 24 * HOUR_MS + HOUR_MS);
    let document = json!({ "setup_token": TOKEN, "setup_token_expires_at": in_ten_days.to_string() });
    vault_user.put_document(&document);
    assert_eq!(test_user.sync().status.code(), Some(0));
    let connections = relay.connections();
    assert!(connections > 0);
    by_hand(&test_user, "check --min-remaining 10d").expect(0, &["The setup token is valid for 10 days"]);
    by_hand(&test_user, "check --min-remaining 11d")
        .expect(79, &["expires in 10 days", "`claude setup-token`"]);
    assert_eq!(relay.connections(), connections, "no request was sent");
    drop(bao); // and no server needs to run
    by_hand(&test_user, "check --min-remaining 10d").expect(0, &[]);
}

#[test]
fn undated_setup_token_expires_a_year_after_first_sight() {
    let test_user = TestUser::create();
    test_user.put(ENV_FILE, &format!("CLAUDE_CODE_OAUTH_TOKEN={TOKEN}\n"));
    test_user.sync();
    let output = by_hand(&test_user, "check --min-remaining 300d");
    output.expect(
        0,
        &["The setup token is valid for 364 days", "at the latest (a year after it was first seen here)"],
    );
    by_hand(&test_user, "check --min-remaining 366d").expect(79, &["at the latest"]);
}

#[test]
fn lost_login_requires_an_action_only_without_a_backup() {
    let test_user = TestUser::create();
    let file = new_login("first");
    test_user.put(LOGIN, &file);
    test_user.sync();
    test_user.put(LOGIN, &cleared_login(&file));
    by_hand(&test_user, "check")
        .expect(75, &["The login was cleared, and this machine has a backup: run `cas-sync restore`"]);
    test_user.remove(&format!("{STATE}/history.json"));
    by_hand(&test_user, "check").expect(79, &["there is no backup to restore: run `cas-sync login"]);
    test_user.remove(LOGIN);
    by_hand(&test_user, "check").expect(79, &["There is no login"]);
}

#[test]
fn login_without_an_expiry_is_unknown() {
    let test_user = TestUser::create();
    let mut file = parsed(&new_login("first"));
    file["claudeAiOauth"].as_object_mut().expect("an object").remove("refreshTokenExpiresAt");
    test_user.put(LOGIN, &file.to_string());
    by_hand(&test_user, "check").expect(1, &["has no expiry"]);
}

/// As users paste a setup token into the login file.
#[test]
fn pasted_setup_token_has_the_expiry_of_a_credential() {
    let test_user = TestUser::create_with_claude();
    test_user.anthropic().accept_setup_token(TOKEN);
    let expires_at = now_ms() + 300 * 24 * HOUR_MS + HOUR_MS;
    let file = |expires_at: u64| json!({ "claudeAiOauth": { "accessToken": TOKEN, "expiresAt": expires_at, "scopes": ["user:inference"] } });
    test_user.put(LOGIN, &file(expires_at).to_string());
    let output = by_hand(&test_user, "check --json").expect(0, &[]).json();
    let credential = json!({
        "kind": "login",
        "fingerprint": cas_tests::anthropic::fingerprint(TOKEN),
        "access_token_expires_at_ms": expires_at,
        "login_expires_at_ms": null,
        "account": null,
        "expires_at_ms": expires_at,
        "expiry_is_estimated": false,
    });
    assert_eq!((&output["answer"], &output["credential"]), (&json!("ok"), &credential));
    by_hand(&test_user, "check --min-remaining 301d")
        .expect(79, &["which is not refreshed, expires in 300 days", ": run `cas-sync login`."]);
    by_hand(&test_user, "check --verified-within 1h")
        .expect(75, &["not verified yet: run `cas-sync verify`"]);
    by_hand(&test_user, "verify")
        .expect(0, &["OK login in use that Claude Code does not refresh", "verified by"]);
    by_hand(&test_user, "check --verified-within 1h").expect(0, &["; verified "]);
    // A date that no token can have.
    test_user.put(LOGIN, &file(9_999_999_999_999).to_string());
    by_hand(&test_user, "check --min-remaining 300d").expect(0, &["at the latest"]);
    by_hand(&test_user, "check --min-remaining 366d").expect(79, &["at the latest"]);

    test_user.anthropic().answer_messages(TOKEN, Some(cas_tests::anthropic::MessageAnswer::Revoked));
    by_hand(&test_user, "verify").expect(79, &["rejected by the Anthropic API"]);
    by_hand(&test_user, "check").expect(79, &["was rejected by the Anthropic API: run `cas-sync login`"]);
    by_hand(&test_user, "backup").expect(1, &["there is no refresh token"]);
}

#[test]
fn check_can_require_a_recent_verification() {
    let (test_user, _) = signed_in(20);
    by_hand(&test_user, "check --verified-within 1h")
        .expect(75, &["not verified yet: run `cas-sync verify`"]);
    by_hand(&test_user, "verify").expect(0, &[]);
    by_hand(&test_user, "check --verified-within 1h").expect(0, &["is valid for 20 days", "; verified "]);
    std::thread::sleep(std::time::Duration::from_millis(50));
    by_hand(&test_user, "check --verified-within 1ms").expect(75, &["last verified "]);
}

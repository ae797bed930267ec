//! An expiry is reported early, and an estimated expiry in the past is reported without an alarm
//! while the real client works.

use cas_tests::anthropic::MessageAnswer::Overloaded;
use nix::unistd::chown;

use super::valid::keep_setup_token;
use super::*;

const TOKEN: &str = "sk-ant-oat01-alices_setup-token";

/// Signs in a user whose login expires in this many hours, and its access token in `access` hours.
fn sign_in_expiring_in(fixture: &ClaudeFixture, user: &ClaudeUser<'_>, hours: i64, access: i64) -> Login {
    let login = fixture.anthropic().sign_in("alice", Duration::from_secs(8 * 3600));
    let mut file = document(&login, access);
    file["claudeAiOauth"]["refreshTokenExpiresAt"] = json!(in_hours(hours));
    user.write_credentials(&file).expect("a login");
    login
}

fn write_account_email(user: &ClaudeUser<'_>, account: &Value) {
    let file = user.home().join(".claude.json");
    fs::write(&file, json!({ "numStartups": 3, "oauthAccount": account }).to_string()).expect("a file");
    chown(&file, Some(user.uid().into()), Some(user.uid().into())).expect("owned by the user");
}

fn notice(user: &ClaudeUser<'_>) -> Option<String> {
    fs::read_to_string(user.state_file("notice")).ok()
}

fn state(user: &ClaudeUser<'_>) -> Value {
    serde_json::from_str(&fs::read_to_string(user.state_file("state.json")).expect("a state")).expect("JSON")
}

#[test]
fn login_that_expires_soon_is_warned_of_until_a_sign_in() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    write_account_email(&alice, &json!({ "emailAddress": "alice@example.org", "accountUuid": "a" }));
    sign_in_expiring_in(&fixture, &alice, 60, 8);

    let output = sync(&alice);

    let command = "; sign in again: run `cas-sync login --email alice@example.org`";
    assert_eq!(output.exit_code, OK_MESSAGE, "nothing has failed: {}{}", output.stdout, output.stderr);
    assert!(output.stdout.starts_with("WARN login complete, "), "{}", output.stdout);
    assert!(
        output.stdout.contains("; login expires on ") && output.stdout.contains(", in 2 days"),
        "{}",
        output.stdout
    );
    assert!(output.stdout.ends_with(&format!("{command}\n")), "{}", output.stdout);
    let visible = notice(&alice).expect("shown");
    assert!(visible.starts_with("Claude Code: your login expires on "), "{visible}");
    assert!(visible.ends_with(&format!("{command}\n")), "{visible}");
    assert_eq!(state(&alice)["notice_reason"], "login-expires-in-3-days");
    assert_eq!(state(&alice)["details"], json!(["backed-up", "expires-soon"]));

    sign_in_expiring_in(&fixture, &alice, 30 * 24, 8);
    let login = alice.login().run(LIMIT).expect("an end");
    assert_eq!(login.exit_code, OK_MESSAGE);
    assert_eq!(notice(&alice), None, "removed with the next login");
    let output = sync(&alice);
    assert!(output.stdout.starts_with("OK ") && notice(&alice).is_none(), "{}", output.stdout);
}

#[test]
fn login_past_its_expiry_is_refreshed_while_accepted() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    sign_in_expiring_in(&fixture, &alice, -49, -1);
    for _ in 0..2 {
        let output = sync(&alice);
        assert_eq!(output.exit_code, OK_MESSAGE, "{}{}", output.stdout, output.stderr);
        assert!(
            output.stdout.starts_with("WARN ") && output.stdout.contains("verified by inference"),
            "{}",
            output.stdout
        );
        assert!(
            output.stdout.contains("; login expired on ")
                && output.stdout.contains(", 2 days ago; sign in again"),
            "{}",
            output.stdout
        );
        // The client has requested the account and written it to the user's state file.
        let command = "run `cas-sync login --email person@example.com`\n";
        assert!(output.stdout.ends_with(command), "{}", output.stdout);
    }
    assert_eq!(state(&alice)["notice_reason"], "login-expired");
}

/// The email of another account, or one with unusual characters, is not shown.
#[test]
fn invalid_or_foreign_email_is_not_shown() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = sign_in_expiring_in(&fixture, &alice, 20, 8);
    let mut file = document(&login, 8);
    file["claudeAiOauth"]["refreshTokenExpiresAt"] = json!(in_hours(20));
    file["claudeAiOauth"]["accountUuid"] = json!("the one");
    alice.write_credentials(&file).expect("a login");
    for account in [
        json!({ "emailAddress": "bob@example.org", "accountUuid": "another" }),
        json!({ "emailAddress": "alice@example.org`touch x`", "accountUuid": "the one" }),
        json!({ "emailAddress": "\u{1b}[2Jalice@example.org", "accountUuid": "the one" }),
    ] {
        write_account_email(&alice, &account);
        let output = sync(&alice);
        assert!(output.stdout.ends_with("run `cas-sync login`\n"), "{account}: {}", output.stdout);
        assert!(notice(&alice).is_some_and(|text| text.ends_with("run `cas-sync login`\n")), "{account}");
    }
}

#[test]
fn setup_token_warning_uses_its_dates() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    keep_setup_token(&alice, TOKEN);
    fixture.anthropic().accept_setup_token(TOKEN);
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
    let credential = state(&alice)["credential"].clone();
    assert_eq!(credential["expiry_is_estimated"], true, "{credential}");
    let a_year = credential["expires_at_ms"].as_i64().expect("a date") - in_hours(0);
    assert!((a_year - 365 * 24 * 3_600_000).abs() < 600_000, "from its first sight: {credential}");

    // As if it had been recorded a year ago.
    let ledger = alice.state_file("ledger.json");
    let age = |days: i64| {
        let mut seen: Value = serde_json::from_slice(&fs::read(&ledger).expect("a ledger")).expect("JSON");
        seen["setup_tokens"][0]["first_seen"] = json!(in_hours(-24 * days));
        fs::write(&ledger, seen.to_string()).expect("written");
    };
    for (days, says, cause) in [
        (
            340,
            " at the latest, in 24 days; create a new one with `claude setup-token`",
            "setup-token-expires-in-30-days",
        ),
        (360, " at the latest, in 4 days; ", "setup-token-expires-in-7-days"),
        (370, "setup-token has an estimated expiry of ", "setup-token-expired"),
    ] {
        age(days);
        let output = sync(&alice);
        assert_eq!(output.exit_code, OK_MESSAGE, "{days}: {}{}", output.stdout, output.stderr);
        assert!(output.stdout.starts_with("WARN setup-token in use, verified"), "{days}: {}", output.stdout);
        assert!(output.stdout.contains(says), "{days}: {}", output.stdout);
        assert!(output.stdout.ends_with("store it with `cas-sync token set`\n"), "{days}: {}", output.stdout);
        assert_eq!(state(&alice)["notice_reason"], cause);
    }
    fixture.anthropic().answer_messages(TOKEN, Some(Overloaded));
    assert_eq!(sync(&alice).exit_code, TRY_LATER, "an outage is one as before");
    fixture.anthropic().answer_messages(TOKEN, Some(cas_tests::anthropic::MessageAnswer::Revoked));
    let output = sync(&alice);
    assert_eq!(output.exit_code, SIGN_IN, "{}", output.stdout);
    assert!(
        output.stdout.starts_with("FAIL ") && !output.stdout.contains("estimated expiry"),
        "{}",
        output.stdout
    );
}

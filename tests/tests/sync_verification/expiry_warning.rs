//! An expiry is reported early, and an estimated expiry in the past is reported without an alarm
//! while the real client works.

use cas_tests::anthropic::MessageAnswer::Overloaded;
use nix::unistd::chown;

use super::valid::keep_setup_token;
use super::*;

const TOKEN: &str = "sk-ant-oat01-alices_setup-token";

/// Signs in a user whose login expires in this many hours, and its access token in `access` hours.
fn lapsing_in(bed: &ClaudeFixture, person: &Person<'_>, hours: i64, access: i64) -> Login {
    let login = bed.anthropic().sign_in("alice", Duration::from_secs(8 * 3600));
    let mut file = document(&login, access);
    file["claudeAiOauth"]["refreshTokenExpiresAt"] = json!(in_hours(hours));
    person.write_credentials(&file).expect("a login");
    login
}

fn name_address(person: &Person<'_>, account: &Value) {
    let file = person.home().join(".claude.json");
    fs::write(&file, json!({ "numStartups": 3, "oauthAccount": account }).to_string()).expect("a file");
    chown(&file, Some(person.uid().into()), Some(person.uid().into())).expect("the person's own");
}

fn notice(person: &Person<'_>) -> Option<String> {
    fs::read_to_string(person.state_file("notice")).ok()
}

fn state(person: &Person<'_>) -> Value {
    serde_json::from_str(&fs::read_to_string(person.state_file("state.json")).expect("a state"))
        .expect("JSON")
}

#[test]
fn login_that_expires_soon_is_warned_of_until_a_sign_in() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    name_address(&alice, &json!({ "emailAddress": "alice@example.org", "accountUuid": "a" }));
    lapsing_in(&bed, &alice, 60, 8);

    let said = sync(&alice);

    let command = "; sign in again: run `cas-sync login --email alice@example.org`";
    assert_eq!(said.exit_code, OK_MESSAGE, "nothing has failed: {}{}", said.stdout, said.stderr);
    assert!(said.stdout.starts_with("WARN login complete, "), "{}", said.stdout);
    assert!(
        said.stdout.contains("; login expires on ") && said.stdout.contains(", in 2 days"),
        "{}",
        said.stdout
    );
    assert!(said.stdout.ends_with(&format!("{command}\n")), "{}", said.stdout);
    let shown = notice(&alice).expect("shown");
    assert!(shown.starts_with("Claude Code: your login expires on "), "{shown}");
    assert!(shown.ends_with(&format!("{command}\n")), "{shown}");
    assert_eq!(state(&alice)["notice_cause"], "login-lapses-in-3-days");
    assert_eq!(state(&alice)["notes"], json!(["backed-up", "lapsing"]));

    lapsing_in(&bed, &alice, 30 * 24, 8);
    let login = alice.login().run(LIMIT).expect("an end");
    assert_eq!(login.exit_code, OK_MESSAGE);
    assert_eq!(notice(&alice), None, "gone with the next login");
    let said = sync(&alice);
    assert!(said.stdout.starts_with("OK ") && notice(&alice).is_none(), "{}", said.stdout);
}

#[test]
fn login_past_its_expiry_is_refreshed_while_accepted() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    lapsing_in(&bed, &alice, -49, -1);
    for _ in 0..2 {
        let said = sync(&alice);
        assert_eq!(said.exit_code, OK_MESSAGE, "{}{}", said.stdout, said.stderr);
        assert!(
            said.stdout.starts_with("WARN ") && said.stdout.contains("verified by inference"),
            "{}",
            said.stdout
        );
        assert!(
            said.stdout.contains("; login expired on ")
                && said.stdout.contains(", 2 days ago; sign in again"),
            "{}",
            said.stdout
        );
        // The client has requested the account and written it to the user's state file.
        let command = "run `cas-sync login --email person@example.com`\n";
        assert!(said.stdout.ends_with(command), "{}", said.stdout);
    }
    assert_eq!(state(&alice)["notice_cause"], "login-lapsed");
}

/// The email of another account, or one with unusual characters, is not shown.
#[test]
fn invalid_or_foreign_email_is_not_shown() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let login = lapsing_in(&bed, &alice, 20, 8);
    let mut file = document(&login, 8);
    file["claudeAiOauth"]["refreshTokenExpiresAt"] = json!(in_hours(20));
    file["claudeAiOauth"]["accountUuid"] = json!("the one");
    alice.write_credentials(&file).expect("a login");
    for account in [
        json!({ "emailAddress": "bob@example.org", "accountUuid": "another" }),
        json!({ "emailAddress": "alice@example.org`touch x`", "accountUuid": "the one" }),
        json!({ "emailAddress": "\u{1b}[2Jalice@example.org", "accountUuid": "the one" }),
    ] {
        name_address(&alice, &account);
        let said = sync(&alice);
        assert!(said.stdout.ends_with("run `cas-sync login`\n"), "{account}: {}", said.stdout);
        assert!(notice(&alice).is_some_and(|text| text.ends_with("run `cas-sync login`\n")), "{account}");
    }
}

#[test]
fn setup_token_warning_uses_its_dates() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    keep_setup_token(&alice, TOKEN);
    bed.anthropic().accept_setup_token(TOKEN);
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
    let credential = state(&alice)["credential"].clone();
    assert_eq!(credential["expiry_is_estimated"], true, "{credential}");
    let a_year = credential["expires_at_ms"].as_i64().expect("a date") - in_hours(0);
    assert!((a_year - 365 * 24 * 3_600_000).abs() < 600_000, "from its first sight: {credential}");

    // As if it had been seen a year ago.
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
            "setup-token-lapses-in-30-days",
        ),
        (360, " at the latest, in 4 days; ", "setup-token-lapses-in-7-days"),
        (370, "setup-token has an estimated expiry of ", "setup-token-lapsed"),
    ] {
        age(days);
        let said = sync(&alice);
        assert_eq!(said.exit_code, OK_MESSAGE, "{days}: {}{}", said.stdout, said.stderr);
        assert!(said.stdout.starts_with("WARN setup-token in use, verified"), "{days}: {}", said.stdout);
        assert!(said.stdout.contains(says), "{days}: {}", said.stdout);
        assert!(said.stdout.ends_with("store it with `cas-sync token set`\n"), "{days}: {}", said.stdout);
        assert_eq!(state(&alice)["notice_cause"], cause);
    }
    bed.anthropic().answer_messages(TOKEN, Some(Overloaded));
    assert_eq!(sync(&alice).exit_code, TRY_LATER, "an outage is one as before");
    bed.anthropic().answer_messages(TOKEN, Some(cas_tests::anthropic::MessageAnswer::Revoked));
    let said = sync(&alice);
    assert_eq!(said.exit_code, SIGN_IN, "{}", said.stdout);
    assert!(said.stdout.starts_with("FAIL ") && !said.stdout.contains("estimated expiry"), "{}", said.stdout);
}

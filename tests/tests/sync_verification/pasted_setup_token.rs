//! A setup token that was pasted into the login file: it is verified and dated like any other
//! credential, and the file is not changed.

use cas_tests::anthropic::MessageAnswer::{Invalid, OrganizationForbidden, Overloaded};
use cas_tests::claude_client::OLDER;

use super::*;

const TOKEN: &str = "sk-ant-oat01-alices_setup-token";

fn paste(user: &ClaudeUser<'_>, members: &Value) {
    let mut object = json!({ "accessToken": TOKEN, "scopes": ["user:inference"] });
    for (name, value) in members.as_object().expect("members") {
        object[name] = value.clone();
    }
    user.write_credentials(&json!({ "claudeAiOauth": object })).expect("written");
}

fn state(user: &ClaudeUser<'_>) -> Value {
    serde_json::from_str(&fs::read_to_string(user.state_file("state.json")).expect("a state")).expect("JSON")
}

#[test]
fn pasted_setup_token_is_verified_and_dated() {
    for version in [NEWEST, OLDER] {
        let fixture = fixture_with(version);
        let alice = fixture.create_user("alice").expect("alice");
        fixture.anthropic().accept_setup_token(TOKEN);
        let in_a_year = in_hours(24 * 365);
        for members in [
            json!({ "expiresAt": in_a_year }),
            json!({ "refreshToken": "", "expiresAt": in_a_year }),
            json!({ "refreshToken": "none", "expiresAt": in_a_year }),
        ] {
            fixture.anthropic().forget_requests();
            paste(&alice, &members);
            let text = alice.credentials_text().expect("a file");
            let output = sync(&alice);
            assert_eq!(output.exit_code, OK_MESSAGE, "{members}: {}{}", output.stdout, output.stderr);
            let line = "OK login in use that Claude Code does not refresh, verified by inference\n";
            assert_eq!(output.stdout, line, "{members}");
            assert_eq!(asked_with(&fixture, TOKEN), 1, "{members}");
            assert_eq!((alice.credentials_text().expect("a file"), refreshes(&fixture)), (text, 0));
            let found = state(&alice);
            assert_eq!(
                (&found["verification"], &found["finding"]),
                (&json!("ok"), &json!("login-not-refreshed"))
            );
            assert_eq!(found["credential"]["fingerprint"], json!(fingerprint(TOKEN)));
            assert_eq!(found["credential"]["expires_at_ms"], json!(in_a_year), "{members}");
            assert_eq!(found["verified_at_ms"], found["at_ms"]);
        }
    }
}

#[test]
fn rejected_pasted_setup_token_requires_a_sign_in() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    fixture.anthropic().accept_setup_token(TOKEN);
    paste(&alice, &json!({ "refreshToken": "", "expiresAt": in_hours(24 * 365) }));
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
    fixture.anthropic().answer_messages(TOKEN, Some(Overloaded));
    assert_nothing_written(
        &alice,
        TRY_LATER,
        "login in use that Claude Code does not refresh, not verified: ",
    );
    fixture.anthropic().answer_messages(TOKEN, Some(OrganizationForbidden));
    let output = sync(&alice);
    assert!(output.stdout.contains("refused for this account or organization"), "{}", output.stdout);
    let text = alice.credentials_text().expect("a file");
    fixture.anthropic().answer_messages(TOKEN, Some(Invalid));
    let output = sync(&alice);
    assert_eq!(output.exit_code, SIGN_IN, "{}", output.stdout);
    assert!(
        output.stdout.starts_with("FAIL login in use that Claude Code does not refresh, rejected")
            && output.stdout.contains("cas-sync login"),
        "{}",
        output.stdout
    );
    assert_eq!(alice.credentials_text().expect("a file"), text);
    assert_eq!(state(&alice)["notice_reason"], "login-rejected");
    // The user replaces it.
    sign_in(&fixture, &alice, 8);
    let output = sync(&alice);
    assert!(output.stdout.starts_with("OK login complete"), "{}", output.stdout);
    assert_eq!(state(&alice)["notice_reason"], Value::Null);
}

#[test]
fn pasted_setup_token_that_expires_soon_is_warned_of() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    fixture.anthropic().accept_setup_token(TOKEN);
    for (hours, says, cause) in [
        (60, "; login expires on ", "login-expires-in-3-days"),
        (-49, "; login expired on ", "login-expired"),
    ] {
        paste(&alice, &json!({ "refreshToken": "", "expiresAt": in_hours(hours) }));
        let output = sync(&alice);
        assert_eq!(output.exit_code, OK_MESSAGE, "{}{}", output.stdout, output.stderr);
        assert!(output.stdout.starts_with("WARN ") && output.stdout.contains(says), "{}", output.stdout);
        assert!(output.stdout.contains("verified by inference"), "{}", output.stdout);
        assert!(output.stdout.ends_with("run `cas-sync login`\n"), "{}", output.stdout);
        assert_eq!(state(&alice)["notice_reason"], cause);
    }
    // Without a date, a year after its first sight.
    paste(&alice, &json!({ "refreshToken": null }));
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
    let credential = state(&alice)["credential"].clone();
    assert_eq!(credential["expiry_is_estimated"], true, "{credential}");
}

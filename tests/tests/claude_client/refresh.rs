//! When the client refreshes, what it then writes, and how that loses a login.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_tests::anthropic::{LoggedRequest, Login, RefreshAnswer};
use cas_tests::claude_client::{ClaudeFixture, ClaudeUser, NEWEST, OLDER, in_hours};
use serde_json::{Value, json};

use super::{
    LIMIT, NOT_LOGGED_IN, SESSION_EXPIRED, asked_with, document, fixture, is_cleared_login, oauth, refreshes,
    run, sign_in_with_expired_token,
};

#[test]
fn login_is_refreshed_within_five_minutes_of_expiry() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    for (minutes, expected) in [(6, 0), (4, 1), (-60, 1)] {
        let login = fixture.anthropic().sign_in("alice", Duration::from_secs(3600));
        let object = login.oauth_object(in_hours(0) + minutes * 60_000);
        alice.write_credentials(&json!({"claudeAiOauth": object})).expect("written");
        fixture.anthropic().forget_requests();
        assert!(run(&alice).answered());
        assert_eq!(refreshes(&fixture), expected, "{minutes} minutes before its time");
        assert_eq!(oauth(&alice)["refreshToken"] == login.refresh_token, expected == 0);
    }
}

#[test]
fn refresh_replaces_tokens_and_drops_unknown_members() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = fixture.anthropic().sign_in("alice", Duration::from_secs(3600));
    let mut object = login.oauth_object(in_hours(-1));
    object["somethingNew"] = json!(1);
    let others =
        json!({"mcpOAuth": {"server": {"accessToken": "theirs"}}, "ofSomebodyElse": [1, {"a": null}]});
    let mut document = others.clone();
    document["claudeAiOauth"] = object;
    alice.write_credentials(&document).expect("written");
    assert!(run(&alice).answered());

    let mut after = alice.credentials().expect("a file");
    let object = after["claudeAiOauth"].take();
    assert_ne!(object["accessToken"], login.access_token);
    assert_ne!(object["refreshToken"], login.refresh_token);
    assert!(object["expiresAt"].as_i64().is_some_and(|time| time > in_hours(0)), "{object}");
    assert_eq!((&object["subscriptionType"], &object["somethingNew"]), (&json!("enterprise"), &Value::Null));
    after.as_object_mut().expect("an object").remove("claudeAiOauth");
    assert_eq!(after, others);
    let file = fs::metadata(alice.credentials_file()).expect("a file");
    assert_eq!((file.mode() & 0o7777, file.uid()), (0o600, alice.uid()));
}

#[test]
fn rejected_refresh_clears_only_the_login() {
    assert_refused_refresh_clears_the_login(&fixture(), SESSION_EXPIRED);
}

#[test]
fn older_client_clears_the_login_and_reports_not_logged_in() {
    let fixture = ClaudeFixture::with_version(OLDER).unwrap_or_else(|error| panic!("{error}"));
    assert_refused_refresh_clears_the_login(&fixture, NOT_LOGGED_IN);
}

fn assert_refused_refresh_clears_the_login(fixture: &ClaudeFixture, what_it_says: &str) {
    let alice = fixture.create_user("alice").expect("alice");
    let login = fixture.anthropic().sign_in("alice", Duration::from_secs(3600));
    fixture.anthropic().revoke(&login.family);
    let mut object = login.oauth_object(in_hours(-1));
    object["somethingNew"] = json!(1);
    let before = json!({"claudeAiOauth": object, "mcpOAuth": {"server": {"accessToken": "theirs"}}, "other": [null, 1]});
    alice.write_credentials(&before).expect("written");
    let output = run(&alice);
    assert!(output.text().starts_with(what_it_says) && output.exit_code == Some(1), "{output:?}");

    let mut expected = before;
    for (name, value) in [("accessToken", json!("")), ("refreshToken", json!("")), ("expiresAt", json!(0))] {
        expected["claudeAiOauth"][name] = value;
    }
    assert_eq!(alice.credentials().expect("a file"), expected);
}

#[test]
fn copied_login_in_a_second_home_is_logged_out() {
    let fixture = fixture();
    let (alice, copy) =
        (fixture.create_user("alice").expect("alice"), fixture.create_user("copy").expect("copy"));
    let login = sign_in_with_expired_token(&alice, &fixture);
    copy.write_credentials(&document(&login, -1)).expect("copied");
    assert!(run(&alice).answered());
    assert!(!run(&copy).answered());
    assert!(is_cleared_login(&oauth(&copy)) && !is_cleared_login(&oauth(&alice)));
    // The server has revoked the whole family, so the login of the other home is rejected too.
    let output = run(&alice);
    assert!(!output.answered() && is_cleared_login(&oauth(&alice)), "{output:?}");
}

#[test]
fn client_killed_during_a_refresh_is_logged_out_next_time() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = sign_in_with_expired_token(&alice, &fixture);
    fixture.anthropic().hold_refreshes(true);
    let running = alice.claude().start().expect("started");
    assert!(fixture.anthropic().wait_for(&Deadline::after(LIMIT), LoggedRequest::is_refresh));
    running.kill();
    fixture.anthropic().hold_refreshes(false);
    assert_eq!(oauth(&alice)["refreshToken"], login.refresh_token);
    let output = run(&alice);
    assert!(!output.answered() && is_cleared_login(&oauth(&alice)), "{output:?}");
}

#[test]
fn lost_refresh_response_logs_the_user_out() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    sign_in_with_expired_token(&alice, &fixture);
    fixture.anthropic().answer_refreshes(RefreshAnswer::RotateAndLoseTheAnswer);
    let output = run(&alice);
    assert!(!output.answered() && is_cleared_login(&oauth(&alice)), "{output:?}");
}

#[test]
fn login_restored_during_a_rejected_refresh_is_used() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let dead = sign_in_with_expired_token(&alice, &fixture);
    fixture.anthropic().revoke(&dead.family);
    fixture.anthropic().hold_refreshes(true);
    let running = alice.claude().start().expect("started");
    assert!(fixture.anthropic().wait_for(&Deadline::after(LIMIT), LoggedRequest::is_refresh));
    let good = alice.sign_in().expect("a new login");
    fixture.anthropic().hold_refreshes(false);
    let output = running.end(LIMIT).expect("an end");
    assert!(
        output.answered() && fixture.anthropic().requests().iter().any(asked_with(&good.access_token)),
        "{output:?}"
    );
    assert_eq!(oauth(&alice)["refreshToken"], good.refresh_token);
}

#[test]
fn token_endpoint_failure_changes_no_token() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = sign_in_with_expired_token(&alice, &fixture);
    fixture.anthropic().answer_refreshes(RefreshAnswer::InternalError);
    assert!(run(&alice).answered(), "the old access token is used while it is accepted");
    assert!(fixture.anthropic().expire(&login.family));
    let output = run(&alice);
    // This looks like a rejected login, but it is not one.
    assert!(!output.answered() && output.result("api_error_status") == 401, "{output:?}");
    assert_eq!(oauth(&alice)["refreshToken"], login.refresh_token);
    fixture.anthropic().answer_refreshes(RefreshAnswer::Rotate);
    assert!(run(&alice).answered());
}

#[test]
fn refresh_replaces_a_symlink_by_a_file() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = sign_in_with_expired_token(&alice, &fixture);
    let target = alice.home().join("kept-elsewhere.json");
    fs::rename(alice.credentials_file(), &target).expect("moved");
    symlink(&target, alice.credentials_file()).expect("linked");
    assert!(run(&alice).answered());
    assert!(!alice.credentials_file().is_symlink());
    assert_ne!(oauth(&alice)["refreshToken"], login.refresh_token);
    let kept: Value = serde_json::from_str(&fs::read_to_string(target).expect("still there")).expect("JSON");
    assert_eq!(kept["claudeAiOauth"]["refreshToken"], login.refresh_token);
}

#[test]
fn concurrent_sessions_refresh_once() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    sign_in_with_expired_token(&alice, &fixture);
    let sessions: Vec<_> = (0..3).map(|_| alice.claude().start().expect("started")).collect();
    for session in sessions {
        let output = session.end(LIMIT).expect("an end");
        assert!(output.answered(), "{output:?}");
    }
    assert_eq!(refreshes(&fixture), 1);
    assert!(!is_cleared_login(&oauth(&alice)));
}

#[test]
fn login_refreshed_on_a_full_disk_is_lost() {
    for version in [NEWEST, OLDER] {
        let fixture = ClaudeFixture::with_version(version).unwrap_or_else(|error| panic!("{error}"));
        let alice = fixture.user_with_own_disk("alice").expect("alice");
        let login = sign_in_with_expired_token(&alice, &fixture);
        alice.fill_disk_except(0).expect("full");
        is_refreshed_without_success(&fixture, &alice, &login);
        alice.empty_disk().expect("room again");
        let output = run(&alice);
        assert!(!output.answered() && is_cleared_login(&oauth(&alice)), "{version}: {output:?}");
    }
}

#[test]
fn older_client_fills_the_disk_with_a_copy_of_its_state() {
    for (version, is_kept) in [(NEWEST, true), (OLDER, false)] {
        let fixture = ClaudeFixture::with_version(version).unwrap_or_else(|error| panic!("{error}"));
        let alice = fixture.user_with_own_disk("alice").expect("alice");
        let login = sign_in_with_expired_token(&alice, &fixture);
        alice.write_client_state(400).expect("written");
        alice.fill_disk_except(300).expect("filled");
        if is_kept {
            let output = run(&alice);
            assert!(output.answered() && oauth(&alice)["refreshToken"] != login.refresh_token, "{output:?}");
            continue;
        }
        is_refreshed_without_success(&fixture, &alice, &login);
        // Except for one page of a small file that the client removes as it ends.
        let room = alice.free_disk_space().expect("a disk");
        assert!(room <= 8192, "{room} with {version}");
    }
}

/// Returns true if the server issues a new pair and the old one stays in the file.
fn is_refreshed_without_success(fixture: &ClaudeFixture, alice: &ClaudeUser<'_>, login: &Login) {
    let output = run(alice);
    assert!(!output.answered() && refreshes(fixture) > 0, "{output:?}");
    assert_eq!(oauth(alice)["refreshToken"], login.refresh_token, "{output:?}");
}

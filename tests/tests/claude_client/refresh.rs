//! When the client refreshes, what it then writes, and how a login is lost by it.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_tests::anthropic::{LoggedRequest, Login, RefreshAnswer};
use cas_tests::claude_client::{ClaudeFixture, NEWEST, OLDER, Person, in_hours};
use serde_json::{Value, json};

use super::{
    LIMIT, NOT_LOGGED_IN, SESSION_EXPIRED, asked_with, bed, document, is_cleared_login, oauth, refreshes,
    run, sign_in_stale,
};

#[test]
fn login_is_refreshed_within_five_minutes_of_expiry() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    for (minutes, expected) in [(6, 0), (4, 1), (-60, 1)] {
        let login = bed.anthropic().sign_in("alice", Duration::from_secs(3600));
        let object = login.oauth_object(in_hours(0) + minutes * 60_000);
        alice.write_credentials(&json!({"claudeAiOauth": object})).expect("written");
        bed.anthropic().forget_requests();
        assert!(run(&alice).answered());
        assert_eq!(refreshes(&bed), expected, "{minutes} minutes before its time");
        assert_eq!(oauth(&alice)["refreshToken"] == login.refresh_token, expected == 0);
    }
}

#[test]
fn refresh_replaces_tokens_and_drops_unknown_members() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let login = bed.anthropic().sign_in("alice", Duration::from_secs(3600));
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
    assert_refused_refresh_clears_the_login(&bed(), SESSION_EXPIRED);
}

#[test]
fn older_client_clears_the_login_and_reports_not_logged_in() {
    let bed = ClaudeFixture::with_version(OLDER).unwrap_or_else(|error| panic!("{error}"));
    assert_refused_refresh_clears_the_login(&bed, NOT_LOGGED_IN);
}

fn assert_refused_refresh_clears_the_login(bed: &ClaudeFixture, what_it_says: &str) {
    let alice = bed.person("alice").expect("alice");
    let login = bed.anthropic().sign_in("alice", Duration::from_secs(3600));
    bed.anthropic().revoke(&login.family);
    let mut object = login.oauth_object(in_hours(-1));
    object["somethingNew"] = json!(1);
    let before = json!({"claudeAiOauth": object, "mcpOAuth": {"server": {"accessToken": "theirs"}}, "other": [null, 1]});
    alice.write_credentials(&before).expect("written");
    let said = run(&alice);
    assert!(said.text().starts_with(what_it_says) && said.exit_code == Some(1), "{said:?}");

    let mut expected = before;
    for (name, value) in [("accessToken", json!("")), ("refreshToken", json!("")), ("expiresAt", json!(0))] {
        expected["claudeAiOauth"][name] = value;
    }
    assert_eq!(alice.credentials().expect("a file"), expected);
}

#[test]
fn copied_login_in_a_second_home_is_logged_out() {
    let bed = bed();
    let (alice, copy) = (bed.person("alice").expect("alice"), bed.person("copy").expect("copy"));
    let login = sign_in_stale(&alice, &bed);
    copy.write_credentials(&document(&login, -1)).expect("copied");
    assert!(run(&alice).answered());
    assert!(!run(&copy).answered());
    assert!(is_cleared_login(&oauth(&copy)) && !is_cleared_login(&oauth(&alice)));
    // The server has revoked the whole family, so the login of the other home is rejected too.
    let said = run(&alice);
    assert!(!said.answered() && is_cleared_login(&oauth(&alice)), "{said:?}");
}

#[test]
fn client_killed_during_a_refresh_is_logged_out_next_time() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let login = sign_in_stale(&alice, &bed);
    bed.anthropic().hold_refreshes(true);
    let running = alice.claude().start().expect("started");
    assert!(bed.anthropic().wait_for(&Deadline::after(LIMIT), LoggedRequest::is_refresh));
    running.kill();
    bed.anthropic().hold_refreshes(false);
    assert_eq!(oauth(&alice)["refreshToken"], login.refresh_token);
    let said = run(&alice);
    assert!(!said.answered() && is_cleared_login(&oauth(&alice)), "{said:?}");
}

#[test]
fn lost_refresh_response_logs_the_user_out() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    sign_in_stale(&alice, &bed);
    bed.anthropic().answer_refreshes(RefreshAnswer::RotateAndLoseTheAnswer);
    let said = run(&alice);
    assert!(!said.answered() && is_cleared_login(&oauth(&alice)), "{said:?}");
}

#[test]
fn login_restored_during_a_rejected_refresh_is_used() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let dead = sign_in_stale(&alice, &bed);
    bed.anthropic().revoke(&dead.family);
    bed.anthropic().hold_refreshes(true);
    let running = alice.claude().start().expect("started");
    assert!(bed.anthropic().wait_for(&Deadline::after(LIMIT), LoggedRequest::is_refresh));
    let good = alice.sign_in().expect("a new login");
    bed.anthropic().hold_refreshes(false);
    let said = running.end(LIMIT).expect("an end");
    assert!(
        said.answered() && bed.anthropic().requests().iter().any(asked_with(&good.access_token)),
        "{said:?}"
    );
    assert_eq!(oauth(&alice)["refreshToken"], good.refresh_token);
}

#[test]
fn token_endpoint_failure_changes_no_token() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let login = sign_in_stale(&alice, &bed);
    bed.anthropic().answer_refreshes(RefreshAnswer::InternalError);
    assert!(run(&alice).answered(), "the old access token is used while it is accepted");
    assert!(bed.anthropic().expire(&login.family));
    let said = run(&alice);
    // This looks like a rejected login, but it is not one.
    assert!(!said.answered() && said.result("api_error_status") == 401, "{said:?}");
    assert_eq!(oauth(&alice)["refreshToken"], login.refresh_token);
    bed.anthropic().answer_refreshes(RefreshAnswer::Rotate);
    assert!(run(&alice).answered());
}

#[test]
fn refresh_replaces_a_symlink_by_a_file() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    let login = sign_in_stale(&alice, &bed);
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
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    sign_in_stale(&alice, &bed);
    let sessions: Vec<_> = (0..3).map(|_| alice.claude().start().expect("started")).collect();
    for session in sessions {
        let said = session.end(LIMIT).expect("an end");
        assert!(said.answered(), "{said:?}");
    }
    assert_eq!(refreshes(&bed), 1);
    assert!(!is_cleared_login(&oauth(&alice)));
}

#[test]
fn login_refreshed_on_a_full_disk_is_lost() {
    for version in [NEWEST, OLDER] {
        let bed = ClaudeFixture::with_version(version).unwrap_or_else(|error| panic!("{error}"));
        let alice = bed.user_with_own_disk("alice").expect("alice");
        let login = sign_in_stale(&alice, &bed);
        alice.fill_disk_except(0).expect("full");
        is_refreshed_without_success(&bed, &alice, &login);
        alice.empty_disk().expect("room again");
        let said = run(&alice);
        assert!(!said.answered() && is_cleared_login(&oauth(&alice)), "{version}: {said:?}");
    }
}

#[test]
fn client_fills_the_disk_with_a_copy_of_its_state() {
    for version in [NEWEST, OLDER] {
        let bed = ClaudeFixture::with_version(version).unwrap_or_else(|error| panic!("{error}"));
        let alice = bed.user_with_own_disk("alice").expect("alice");
        let login = sign_in_stale(&alice, &bed);
        alice.write_client_state(400).expect("written");
        alice.fill_disk_except(300).expect("filled");
        is_refreshed_without_success(&bed, &alice, &login);
        // But for a page of a small file that the client takes away again as it ends.
        let room = alice.free_disk_space().expect("a disk");
        assert!(room <= 8192, "{room} with {version}");
    }
}

/// The server gives out a new pair, and the old one stays in the file.
fn is_refreshed_without_success(bed: &ClaudeFixture, alice: &Person<'_>, login: &Login) {
    let said = run(alice);
    assert!(!said.answered() && refreshes(bed) > 0, "{said:?}");
    assert_eq!(oauth(alice)["refreshToken"], login.refresh_token, "{said:?}");
}

//! Credentials that the API refuses.

use cas_tests::anthropic::MessageAnswer::{self, *};
use cas_tests::claude_client::{NEWEST, OLDER};

use super::valid::keep_setup_token;
use super::*;

/// Asserts that nothing is lost: the file has the login or a later one and its other members, and
/// the history is unchanged.
#[track_caller]
fn assert_nothing_lost(alice: &ClaudeUser<'_>, login: &Login, history: &[String]) {
    assert!(has_sibling(alice));
    assert_ne!(oauth(alice)["refreshToken"], "", "it was not cleared");
    for token in history {
        assert!(backed_up(alice).contains(token), "{token}");
    }
    assert!(oauth(alice)["accessToken"].as_str().is_some_and(|token| token.contains(&login.family)));
}

/// Makes the API reject every access token of the family, including that of a refresh.
fn refuse_all(fixture: &ClaudeFixture, login: &Login, answer: &MessageAnswer) {
    for number in 1..=3 {
        let token = format!("sk-ant-oat01-{}-{number}", login.family);
        fixture.anthropic().answer_messages(&token, Some(answer.clone()));
    }
}

#[test]
fn rejected_login_requires_a_sign_in() {
    for answer in [Expired, Invalid, Revoked] {
        let fixture = fixture();
        let (alice, login) = signed_in(&fixture, "alice");
        let history = backed_up(&alice);
        refuse_all(&fixture, &login, &answer);

        let output = sync(&alice);

        assert_eq!(output.exit_code, SIGN_IN, "{answer:?}: {}{}", output.stdout, output.stderr);
        assert!(output.stdout.starts_with("FAIL "), "{answer:?}: {}", output.stdout);
        assert!(output.stdout.contains("cas-sync login"), "{answer:?}: {}", output.stdout);
        assert_nothing_lost(&alice, &login, &history);
        // A token that the client may have exchanged meanwhile is superseded as well.
        let expected = if refreshes(&fixture) == 0 { "rejected" } else { "superseded" };
        assert_eq!(generation_state(&alice, &login), expected, "{answer:?}: {:?}", generation_states(&alice));
        let left = oauth(&alice)["refreshToken"].as_str().expect("a token").to_owned();
        assert_eq!(
            generation_states(&alice)[&fingerprint(&left)],
            "rejected",
            "{answer:?}: {:?}",
            generation_states(&alice)
        );
        assert!(refreshes(&fixture) <= 1, "{answer:?}");
    }
}

#[test]
fn rejected_login_that_can_be_refreshed_is_refreshed() {
    let fixture = fixture();
    let (alice, login) = signed_in(&fixture, "alice");
    assert!(fixture.anthropic().expire(&login.family), "it was signed in a moment ago");

    let output = sync(&alice);

    assert_eq!(output.exit_code, OK_MESSAGE, "{}{}", output.stdout, output.stderr);
    assert_eq!(refreshes(&fixture), 1);
    let new = oauth(&alice)["refreshToken"].as_str().expect("a token").to_owned();
    assert!(new != login.refresh_token && backed_up(&alice).contains(&new) && has_sibling(&alice));
}

#[test]
fn rejected_older_login_is_replaced_by_the_newest() {
    let fixture = fixture();
    let (alice, login) = signed_in(&fixture, "alice");
    let older = alice.credentials().expect("a file of JSON");
    assert!(fixture.anthropic().expire(&login.family));
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE, "it is refreshed");
    let newest = oauth(&alice)["refreshToken"].clone();
    alice.write_credentials(&older).expect("written");
    fixture.anthropic().forget_requests();

    let output = sync(&alice);

    assert_eq!(output.exit_code, OK_MESSAGE, "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.starts_with("RECOVERED "), "{}", output.stdout);
    assert_eq!(
        (&oauth(&alice)["refreshToken"], refreshes(&fixture)),
        (&newest, 0),
        "no consumed token is presented"
    );
    assert_ne!(newest, login.refresh_token);
    assert!(has_sibling(&alice));
}

#[test]
fn login_with_a_rejected_refresh_is_reported_as_rejected() {
    let fixture = fixture();
    let (alice, login) = signed_in(&fixture, "alice");
    let history = backed_up(&alice);
    assert!(fixture.anthropic().revoke(&login.family), "it was signed in a moment ago");

    let output = sync(&alice);

    assert_eq!(output.exit_code, SIGN_IN, "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.starts_with("FAIL "), "{}", output.stdout);
    assert!(has_sibling(&alice));
    assert_eq!(backed_up(&alice), history);
    assert_eq!(generation_state(&alice, &login), "rejected");
    fixture.anthropic().forget_requests();
    let again = sync(&alice);
    assert_eq!(again.exit_code, SIGN_IN, "{}", again.stdout);
    assert_eq!(refreshes(&fixture), 0, "a dead login is not tried again and again");
}

/// The client names the refusal, whatever its status is. A 401 is not a rejected login: a refresh
/// would consume a refresh token at every run.
#[test]
fn refused_organization_changes_nothing() {
    for version in [OLDER, NEWEST] {
        for answer in [OrganizationForbidden, OrganizationUnauthorized] {
            let fixture = fixture_with(version);
            let (alice, login) = signed_in(&fixture, "alice");
            refuse_all(&fixture, &login, &answer);
            let before = file_states(&alice);
            for _ in 0..2 {
                let output = sync(&alice);
                let what = format!("{version} {answer:?}: {}", output.stdout);
                assert_eq!(output.exit_code, Some(1), "{what}");
                assert!(
                    output.stdout.starts_with("FAIL ") && output.stdout.contains("administrator"),
                    "{what}"
                );
                assert_eq!(file_states(&alice), before, "{what}");
                assert_eq!(refreshes(&fixture), 0, "{what}");
            }
        }
    }
}

#[test]
fn refusal_that_a_second_probe_does_not_confirm_is_not_reported() {
    for answer in [OrganizationForbidden, Revoked] {
        let fixture = fixture();
        let (alice, login) = signed_in(&fixture, "alice");
        let before = file_states(&alice);
        // The client itself repeats a request after a revocation.
        let requests = if answer == Revoked { 2 } else { 1 };
        fixture.anthropic().answer_next_messages(&login.access_token, answer.clone(), requests);

        let output = sync(&alice);

        assert_eq!(output.exit_code, OK_MESSAGE, "{answer:?}: {}", output.stdout);
        assert!(output.stdout.contains("verified by inference"), "{answer:?}: {}", output.stdout);
        assert_eq!(asked_with(&fixture, &login.access_token), requests + 1, "{answer:?}");
        assert_eq!((file_states(&alice), refreshes(&fixture)), (before, 0), "{answer:?}");
    }
}

#[test]
fn disabled_organization_is_reported_from_the_third_run_on() {
    for version in [OLDER, NEWEST] {
        let fixture = fixture_with(version);
        let (alice, login) = signed_in(&fixture, "alice");
        let history = backed_up(&alice);
        refuse_all(&fixture, &login, &OrganizationDisabled);
        for run in 1..=4 {
            let output = sync(&alice);
            let what = format!("{version}, run {run}: {}", output.stdout);
            let (code, status) = if run < 3 { (TRY_LATER, "WARN ") } else { (Some(1), "FAIL ") };
            assert_eq!(output.exit_code, code, "{what}");
            assert!(output.stdout.starts_with(status), "{what}");
            assert_eq!(output.stdout.contains("ask its administrator"), run >= 3, "{what}");
        }
        assert_nothing_lost(&alice, &login, &history);
        assert_eq!(
            (generation_state(&alice, &login).as_str(), refreshes(&fixture)),
            ("current", 0),
            "{version}"
        );
        refuse_all(&fixture, &login, &MessageAnswer::Ok);
        assert_eq!(sync(&alice).exit_code, OK_MESSAGE, "{version}");
        refuse_all(&fixture, &login, &OrganizationDisabled);
        assert_eq!(sync(&alice).exit_code, TRY_LATER, "{version}: the count starts again");
    }
}

#[test]
fn revoked_setup_token_is_reported_and_kept() {
    const TOKEN: &str = "sk-ant-oat01-alices_setup-token";
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    keep_setup_token(&alice, TOKEN);
    fixture.anthropic().answer_messages(TOKEN, Some(Revoked));
    sync(&alice);
    let before = file_states(&alice);
    let output = sync(&alice);
    assert_eq!(output.exit_code, SIGN_IN, "{}", output.stdout);
    assert!(output.stdout.starts_with("FAIL setup-token"), "{}", output.stdout);
    assert!(!output.stdout.contains(TOKEN));
    assert_eq!(file_states(&alice), before, "only the store's word removes it");
}

//! Answers that are no information about a credential: nothing is written, and the text names the
//! cause.

use cas_tests::anthropic::MessageAnswer::{self, *};
use cas_tests::anthropic::RefreshAnswer;
use cas_tests::claude_client::{NEWEST, OLDER};

use super::*;

fn rows() -> [(MessageAnswer, &'static str); 10] {
    [
        (RateLimited { retry_after: 120 }, "the API limits the request rate (429)"),
        (RateLimited { retry_after: 1 }, "the API limits the request rate (429)"),
        (CreditTooLow, "the API refused the request (400)"),
        (ModelNotFound, "the API does not have the model (404)"),
        (InternalError, "the API or a proxy failed (5xx)"),
        (Overloaded, "the API is overloaded (529)"),
        (Html { status: 502 }, "the API or a proxy failed (5xx)"),
        (Html { status: 407 }, "the proxy requires authentication (407)"),
        (Html { status: 200 }, "claude printed an unknown answer"),
        (Disconnect, "the API could not be reached"),
    ]
}

#[test]
fn failing_api_changes_nothing() {
    let fixture = fixture();
    let (alice, login) = signed_in(&fixture, "alice");
    for (answer, says) in rows() {
        fixture.anthropic().answer_messages(&login.access_token, Some(answer));
        assert_nothing_written(&alice, TRY_LATER, says);
    }
    fixture.anthropic().answer_messages(&login.access_token, None);
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
}

#[test]
fn failing_api_changes_nothing_with_an_older_client() {
    let fixture = fixture_with(OLDER);
    let (alice, login) = signed_in(&fixture, "alice");
    for (answer, says) in rows() {
        fixture.anthropic().answer_messages(&login.access_token, Some(answer));
        assert_nothing_written(&alice, TRY_LATER, says);
    }
}

#[test]
fn page_of_a_proxy_is_not_a_rejection() {
    let fixture = fixture();
    let (alice, login) = signed_in(&fixture, "alice");
    for answer in
        [Html { status: 403 }, Html { status: 401 }, ForeignJson { status: 401 }, ForeignJson { status: 403 }]
    {
        fixture.anthropic().answer_messages(&login.access_token, Some(answer));
        assert_nothing_written(&alice, TRY_LATER, "a proxy or another server answered instead of the API");
    }
}

#[test]
fn token_endpoint_outage_changes_nothing() {
    for version in [NEWEST, OLDER] {
        let fixture = fixture_with(version);
        let alice = fixture.create_user("alice").expect("alice");
        let stale = sign_in(&fixture, &alice, -1);
        let noted = fixture.anthropic();
        noted.answer_refreshes(RefreshAnswer::InternalError);
        noted.answer_messages(&stale.access_token, Some(Expired));
        sync(&alice); // the ledger takes note of the new generation
        assert_nothing_written(&alice, TRY_LATER, "it is not certain that it was refreshed");
        assert_eq!(oauth(&alice)["refreshToken"], stale.refresh_token, "{version}");

        // The old access token is accepted again: an answer, and no refreshed login.
        noted.answer_messages(&stale.access_token, Some(Ok));
        assert_nothing_written(&alice, TRY_LATER, "claude answered, but did not refresh the login");

        noted.answer_refreshes(RefreshAnswer::Rotate);
        assert_eq!(sync(&alice).exit_code, OK_MESSAGE, "{version}");
    }
}

#[test]
fn login_being_refreshed_by_another_client_is_not_changed() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let stale = sign_in(&fixture, &alice, -1);
    let text = alice.credentials_text().expect("a file");
    alice.make_directory(".claude/.oauth_refresh.lock").expect("a lock");
    let output = sync(&alice);
    assert!(output.stdout.contains("Claude Code is refreshing it"), "{}", output.stdout);
    assert_eq!(fixture.anthropic().essential_requests(), []);
    assert_eq!(alice.credentials_text().expect("a file"), text);
    assert_ne!(generation_state(&alice, &stale), "rejected");
}

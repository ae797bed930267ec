//! Faults for which the client has a long timeout; each in its own test, so that they run
//! concurrently.

use cas_tests::anthropic::MessageAnswer::{Silence, StalledStream};
use cas_tests::claude_client::{NEWEST, OLDER};

use super::*;

#[test]
fn unresponsive_api_changes_nothing() {
    silence(NEWEST);
}

#[test]
fn unresponsive_api_changes_nothing_with_an_older_client() {
    silence(OLDER);
}

fn silence(version: &str) {
    let fixture = fixture_with(version);
    let (alice, login) = signed_in(&fixture, "alice");
    fixture.anthropic().answer_messages(&login.access_token, Some(Silence));
    assert_nothing_written(&alice, TRY_LATER, "the API did not answer in time");
}

#[test]
fn incomplete_answer_changes_nothing() {
    let fixture = fixture();
    let (alice, login) = signed_in(&fixture, "alice");
    fixture.anthropic().answer_messages(&login.access_token, Some(StalledStream));
    assert_nothing_written(&alice, TRY_LATER, "the API did not answer in time");
}

#[test]
fn untrusted_certificate_changes_nothing() {
    untrusted(NEWEST);
}

#[test]
fn untrusted_certificate_changes_nothing_with_an_older_client() {
    untrusted(OLDER);
}

fn untrusted(version: &str) {
    let fixture = fixture_with(version);
    let (alice, _) = signed_in(&fixture, "alice");
    fixture.configure(&fixture.client(), false).expect("configured");
    assert_nothing_written(&alice, TRY_LATER, "the server's certificate is not trusted");
}

#[test]
fn unreachable_network_changes_nothing() {
    unreachable(NEWEST, "127.0.0.2"); // refused: no server listens there
}

#[test]
fn unresolvable_name_changes_nothing() {
    unreachable(NEWEST, "#");
}

#[test]
fn unreachable_network_changes_nothing_with_an_older_client() {
    unreachable(OLDER, "127.0.0.2");
}

fn unreachable(version: &str, address: &str) {
    let fixture = fixture_with(version);
    let (alice, _) = signed_in(&fixture, "alice");
    fixture.redirect_servers_to(address).expect("the hosts");
    assert_nothing_written(&alice, TRY_LATER, "the API could not be reached");
}

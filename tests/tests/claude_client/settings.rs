//! Settings that an organization serves to every client of its members.

use std::fs;

use cas_tests::anthropic::MessageAnswer::Ok;
use cas_tests::anthropic::SettingsAnswer::{NotFound, Settings};
use cas_tests::claude_client::{NEWEST, OLDER};
use serde_json::{Value, json};

use super::*;

const KEY: &str = "sk-somebody-elses-key";

/// Returns a fixture with a client of this version, and an organization that serves these settings.
fn fixture_under(version: &str, settings: Value) -> ClaudeFixture {
    let fixture = ClaudeFixture::with_version(version).unwrap_or_else(|error| panic!("{error}"));
    fixture.anthropic().answer_messages(KEY, Some(Ok));
    fixture.anthropic().answer_settings(Settings(settings));
    fixture
}

fn another_credential() -> Value {
    json!({"env": {"ANTHROPIC_AUTH_TOKEN": KEY}})
}

/// Returns the settings that the client has cached in the home.
fn kept(user: &ClaudeUser<'_>) -> Option<Value> {
    let text = fs::read_to_string(user.home().join(".claude/remote-settings.json")).ok()?;
    Some(serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn organization_settings_select_another_credential_silently() {
    for version in [NEWEST, OLDER] {
        let fixture = fixture_under(version, another_credential());
        let alice = fixture.create_user("alice").expect("alice");
        let login = alice.sign_in().expect("signed in");
        let output = run(&alice);
        assert!(output.answered(), "{version}: {output:?}");
        let requests = fixture.anthropic().requests();
        assert!(requests.iter().any(asked_with(KEY)), "{version}: {output:?}");
        assert!(!requests.iter().any(asked_with(&login.access_token)), "{version}: {output:?}");
        let init = output.events.iter().find(|event| event["subtype"] == "init").expect("a first event");
        assert_eq!(init["apiKeySource"], "none", "{version}");
    }
}

#[test]
fn settings_that_need_consent_are_used_without_it() {
    let harmless = json!({"env": {"DISABLE_AUTOUPDATER": "1"}});
    for (version, settings, is_kept) in [
        (NEWEST, another_credential(), false),
        (OLDER, another_credential(), true),
        (NEWEST, harmless.clone(), true),
        (OLDER, harmless, true),
    ] {
        let fixture = fixture_under(version, settings.clone());
        let alice = fixture.create_user("alice").expect("alice");
        alice.sign_in().expect("signed in");
        assert!(run(&alice).answered());
        assert_eq!(kept(&alice), is_kept.then_some(settings), "{version}");
        let bob = fixture.create_user("bob").expect("bob");
        bob.sign_in().expect("signed in");
        fixture.anthropic().answer_settings(NotFound);
        assert!(run(&bob).answered());
        assert_eq!(kept(&bob), Some(json!({})), "{version}: there are none");
    }
}

#[test]
fn older_client_uses_cached_settings_once_more() {
    for (version, is_used_again) in [(NEWEST, false), (OLDER, true)] {
        let fixture = fixture_under(version, another_credential());
        let alice = fixture.create_user("alice").expect("alice");
        alice.sign_in().expect("signed in");
        assert!(run(&alice).answered());
        fixture.anthropic().answer_settings(NotFound);
        fixture.anthropic().forget_requests();
        assert!(run(&alice).answered());
        let is_used = fixture.anthropic().requests().iter().any(asked_with(KEY));
        assert_eq!(is_used, is_used_again, "{version}");
    }
}

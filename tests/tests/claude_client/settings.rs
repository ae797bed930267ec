//! Settings that an organisation serves to every client of its members.

use std::fs;

use cas_tests::anthropic::MessageAnswer::Ok;
use cas_tests::anthropic::SettingsAnswer::{NotFound, Settings};
use cas_tests::claude_client::{NEWEST, OLDER};
use serde_json::{Value, json};

use super::*;

const KEY: &str = "sk-somebody-elses-key";

/// A bed with a client of this version, and an organisation that serves these settings.
fn bed_under(version: &str, settings: Value) -> ClaudeFixture {
    let bed = ClaudeFixture::with_version(version).unwrap_or_else(|error| panic!("{error}"));
    bed.anthropic().answer_messages(KEY, Some(Ok));
    bed.anthropic().answer_settings(Settings(settings));
    bed
}

fn another_credential() -> Value {
    json!({"env": {"ANTHROPIC_AUTH_TOKEN": KEY}})
}

/// What the client has kept in the home.
fn kept(person: &Person<'_>) -> Option<Value> {
    let text = fs::read_to_string(person.home().join(".claude/remote-settings.json")).ok()?;
    Some(serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn organization_settings_select_another_credential_silently() {
    for version in [NEWEST, OLDER] {
        let bed = bed_under(version, another_credential());
        let alice = bed.person("alice").expect("alice");
        let login = alice.sign_in().expect("signed in");
        let said = run(&alice);
        assert!(said.answered(), "{version}: {said:?}");
        let requests = bed.anthropic().requests();
        assert!(requests.iter().any(asked_with(KEY)), "{version}: {said:?}");
        assert!(!requests.iter().any(asked_with(&login.access_token)), "{version}: {said:?}");
        let init = said.events.iter().find(|event| event["subtype"] == "init").expect("a first event");
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
        let bed = bed_under(version, settings.clone());
        let alice = bed.person("alice").expect("alice");
        alice.sign_in().expect("signed in");
        assert!(run(&alice).answered());
        assert_eq!(kept(&alice), is_kept.then_some(settings), "{version}");
        let bob = bed.person("bob").expect("bob");
        bob.sign_in().expect("signed in");
        bed.anthropic().answer_settings(NotFound);
        assert!(run(&bob).answered());
        assert_eq!(kept(&bob), Some(json!({})), "{version}: there are none");
    }
}

#[test]
fn older_client_uses_cached_settings_once_more() {
    for (version, is_used_again) in [(NEWEST, false), (OLDER, true)] {
        let bed = bed_under(version, another_credential());
        let alice = bed.person("alice").expect("alice");
        alice.sign_in().expect("signed in");
        assert!(run(&alice).answered());
        bed.anthropic().answer_settings(NotFound);
        bed.anthropic().forget_requests();
        assert!(run(&alice).answered());
        let is_used = bed.anthropic().requests().iter().any(asked_with(KEY));
        assert_eq!(is_used, is_used_again, "{version}");
    }
}

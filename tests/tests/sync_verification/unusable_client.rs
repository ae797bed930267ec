//! Clients that cannot verify a credential: exit code 69, a remedy, and no file is changed.

use std::path::Path;

use cas_tests::anthropic::MessageAnswer::*;
use cas_tests::anthropic::SettingsAnswer::{self, NotFound, Settings};
use cas_tests::claude_client::{NEWEST, OLDER};

use super::*;

#[test]
fn missing_client_is_named_with_a_remedy() {
    let fixture = fixture();
    let (alice, _) = signed_in(&fixture, "alice");
    fixture.configure(&alice.home().join("claude"), true).expect("configured");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "correct that setting");
    std::fs::write(alice.home().join("claude"), "not a program").expect("a file");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "correct that setting");
}

#[test]
fn program_that_is_not_claude_code_is_named_with_a_remedy() {
    let fixture = fixture();
    let (alice, _) = signed_in(&fixture, "alice");
    let bob = fixture.create_user("bob").expect("bob");
    sign_in(&fixture, &bob, -1);
    for program in ["/bin/true", "/bin/echo"] {
        fixture.configure(Path::new(program), true).expect("configured");
        sync(&bob); // the ledger takes note of the generation
        for user in [&alice, &bob] {
            assert_nothing_written(user, CLAUDE_UNUSABLE, "set claude.program to Claude Code");
        }
    }
}

#[test]
fn outdated_client_must_be_updated() {
    let fixture = fixture_with(OLDER);
    let (alice, login) = signed_in(&fixture, "alice");
    for answer in [Expired, Revoked, Html { status: 403 }] {
        fixture.anthropic().answer_messages(&login.access_token, Some(answer));
        assert_nothing_written(&alice, CLAUDE_UNUSABLE, "update Claude Code to 2.1.324 or later");
    }
}

#[test]
fn client_without_the_options_must_be_updated() {
    let fixture = fixture();
    let (alice, _) = signed_in(&fixture, "alice");
    fixture.wrap_client("exec \"$claude\" --an-option-of-tomorrow \"$@\"").expect("a wrapper");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "update Claude Code to 2.1.197 or later");
}

#[test]
fn client_that_ignores_logins_verifies_none() {
    for script in ["exec \"$claude\" --bare \"$@\"", "CLAUDE_CODE_SIMPLE=1 exec \"$claude\" \"$@\""] {
        let fixture = fixture();
        let (alice, _) = signed_in(&fixture, "alice");
        fixture.wrap_client(script).expect("a wrapper");
        assert_nothing_written(&alice, CLAUDE_UNUSABLE, "claude does not use the given login");

        let bob = fixture.create_user("bob").expect("bob");
        let stale = sign_in(&fixture, &bob, -1);
        sync(&bob); // the ledger takes note of the generation
        assert_nothing_written(&bob, CLAUDE_UNUSABLE, "claude does not use the given login");
        assert_eq!(oauth(&bob)["refreshToken"], stale.refresh_token);
        assert_eq!(refreshes(&fixture), 0);
    }
}

#[test]
fn answer_with_another_credential_is_not_a_verification() {
    let fixture = fixture();
    let (alice, _) = signed_in(&fixture, "alice");
    let key = "sk-somebody-elses-key";
    fixture.anthropic().answer_messages(key, Some(Ok));
    for settings in [
        json!({"apiKeyHelper": format!("echo {key}")}),
        json!({"env": {"ANTHROPIC_AUTH_TOKEN": key}}),
        json!({"env": {"CLAUDE_CODE_OAUTH_TOKEN": key}}),
        json!({"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}),
    ] {
        fixture.write_managed_settings(&settings.to_string()).expect("settings");
        assert_nothing_written(&alice, CLAUDE_UNUSABLE, "remove them from its managed settings");
        assert_eq!(fixture.anthropic().essential_requests(), [], "no request was sent");
    }
    fixture.write_managed_settings("{").expect("settings");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "are not valid JSON; correct them");
    fixture.write_managed_settings(r#"{"env": {"DISABLE_AUTOUPDATER": "1"}}"#).expect("settings");
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE, "what does not choose the credential is welcome");

    // If the key has another source, the client itself reports it.
    fixture.wrap_client(&format!("ANTHROPIC_API_KEY={key} exec \"$claude\" \"$@\"")).expect("a wrapper");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "another credential or server than the login");
}

/// Returns settings of an organization's administrator for every client that select another
/// credential instead of the login, without a report of the client.
fn settings_with(key: &str) -> [Value; 3] {
    [
        json!({"env": {"ANTHROPIC_AUTH_TOKEN": key}}),
        json!({"env": {"CLAUDE_CODE_OAUTH_TOKEN": key}}),
        json!({"env": {"ANTHROPIC_CUSTOM_HEADERS": format!("Authorization: Bearer {key}")}}),
    ]
}

/// Caches the settings as the client does between two starts.
fn keep_settings(user: &ClaudeUser<'_>, settings: &Value) {
    let path = user.home().join(".claude/remote-settings.json");
    fs::write(&path, settings.to_string()).expect("written");
    std::os::unix::fs::chown(&path, Some(user.uid()), Some(user.uid())).expect("owned by the user");
}

#[test]
fn remote_settings_count_as_machine_settings() {
    let key = "sk-somebody-elses-key";
    for version in [NEWEST, OLDER] {
        let fixture = fixture_with(version);
        let (alice, login) = signed_in(&fixture, "alice");
        // With and without a working other credential.
        for (settings, answer) in settings_with(key).into_iter().zip([Ok, Expired, Ok]) {
            fixture.anthropic().answer_messages(key, Some(answer));
            // The newest client stores such settings in a home only after the user's consent.
            keep_settings(&alice, &settings);
            fixture.anthropic().answer_settings(Settings(settings));
            assert_nothing_written(&alice, CLAUDE_UNUSABLE, "remove them from its managed settings");
            assert_eq!(asked_with(&fixture, &login.access_token), 0, "{version}: it was another one");
        }
        assert_ne!(generation_state(&alice, &login), "rejected", "{version}");

        // Removed settings stop at once, whatever the client has stored.
        for answer in [NotFound, Settings(json!({"env": {"DISABLE_AUTOUPDATER": "1"}}))] {
            fixture.anthropic().answer_settings(answer);
            assert_eq!(sync(&alice).exit_code, OK_MESSAGE, "{version}");
        }
        assert_eq!(asked_with(&fixture, &login.access_token), 2, "{version}");
    }
}

#[test]
fn refresh_under_overriding_settings_is_not_verified() {
    let key = "sk-somebody-elses-key";
    for version in [NEWEST, OLDER] {
        for settings in settings_with(key) {
            let fixture = fixture_with(version);
            let alice = fixture.create_user("alice").expect("alice");
            sign_in(&fixture, &alice, -1);
            fixture.anthropic().answer_messages(key, Some(Ok));
            keep_settings(&alice, &settings);
            // A client that starts with another token does not read the login.
            let has_token = version == OLDER && !settings["env"]["CLAUDE_CODE_OAUTH_TOKEN"].is_null();
            fixture.anthropic().answer_settings(Settings(settings));

            let output = sync(&alice);

            let expected = if has_token { (TRY_LATER, 0) } else { (CLAUDE_UNUSABLE, 1) };
            assert_eq!((output.exit_code, refreshes(&fixture)), expected, "{version}: {}", output.stdout);
            assert!(!output.stdout.contains("verified by inference"), "{version}: {}", output.stdout);
        }
    }
}

#[test]
fn refresh_under_cached_settings_is_verified_by_value() {
    let key = "sk-somebody-elses-key";
    for answer in [NotFound, SettingsAnswer::InternalError] {
        let fixture = fixture_with(OLDER); // the newest one waits for those of today
        let alice = fixture.create_user("alice").expect("alice");
        sign_in(&fixture, &alice, -1);
        fixture.anthropic().answer_messages(key, Some(Ok));
        keep_settings(&alice, &json!({"env": {"ANTHROPIC_AUTH_TOKEN": key}}));
        let is_over = answer == NotFound;
        fixture.anthropic().answer_settings(answer);

        let output = sync(&alice);

        let new = oauth(&alice)["accessToken"].as_str().expect("a token").to_owned();
        assert_eq!((asked_with(&fixture, key), asked_with(&fixture, &new)), (1, 1), "{}", output.stdout);
        // As long as the organization serves no other ones, the settings of yesterday apply.
        let expected = if is_over { OK_MESSAGE } else { CLAUDE_UNUSABLE };
        assert_eq!((output.exit_code, refreshes(&fixture)), (expected, 1), "{}", output.stdout);
    }
}

#[test]
fn unconfirmed_organization_changes_nothing() {
    let fixture = fixture();
    let (alice, _) = signed_in(&fixture, "alice");
    fixture
        .write_managed_settings(r#"{"forceLoginOrgUUID": "00000000-0000-4000-8000-0000000000aa"}"#)
        .expect("settings");
    assert_nothing_written(&alice, TRY_LATER, "could not be confirmed");
}

#[test]
fn refresh_beside_another_credential_is_verified_by_value() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    sign_in(&fixture, &alice, -1);
    let key = "sk-somebody-elses-key";
    fixture.anthropic().answer_messages(key, Some(Ok));
    let settings = json!({"env": {"ANTHROPIC_AUTH_TOKEN": key}}).to_string();
    std::fs::write(alice.home().join(".claude.json"), settings).expect("a file");

    let output = sync(&alice);

    assert_eq!(output.exit_code, OK_MESSAGE, "{}{}", output.stdout, output.stderr);
    assert_eq!((asked_with(&fixture, key), refreshes(&fixture)), (1, 1), "that is the setting of the home");
    let new = oauth(&alice)["accessToken"].as_str().expect("a token").to_owned();
    assert_eq!(asked_with(&fixture, &new), 1, "and this verifies the login");
}

//! Clients that cannot tell what a credential is worth: exit code 69, what to do, and nothing
//! written.

use std::path::Path;

use cas_tests::anthropic::MessageAnswer::*;
use cas_tests::anthropic::SettingsAnswer::{self, NotFound, Settings};
use cas_tests::claude_client::{NEWEST, OLDER};

use super::*;

#[test]
fn missing_client_is_named_with_a_remedy() {
    let bed = bed();
    let (alice, _) = signed_in(&bed, "alice");
    bed.configure(&alice.home().join("claude"), true).expect("configured");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "correct that setting");
    std::fs::write(alice.home().join("claude"), "not a program").expect("a file");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "correct that setting");
}

#[test]
fn program_that_is_not_claude_code_is_named_with_a_remedy() {
    let bed = bed();
    let (alice, _) = signed_in(&bed, "alice");
    let bob = bed.person("bob").expect("bob");
    sign_in(&bed, &bob, -1);
    for program in ["/bin/true", "/bin/echo"] {
        bed.configure(Path::new(program), true).expect("configured");
        sync(&bob); // the ledger takes note of the generation
        for person in [&alice, &bob] {
            assert_nothing_written(person, CLAUDE_UNUSABLE, "set claude.program to Claude Code");
        }
    }
}

#[test]
fn outdated_client_must_be_updated() {
    let bed = bed_with(OLDER);
    let (alice, login) = signed_in(&bed, "alice");
    for answer in [Expired, Revoked, OrganizationForbidden, Html { status: 403 }] {
        bed.anthropic().answer_messages(&login.access_token, Some(answer));
        assert_nothing_written(&alice, CLAUDE_UNUSABLE, "update Claude Code to 2.1.324 or later");
    }
}

#[test]
fn client_without_the_options_must_be_updated() {
    let bed = bed();
    let (alice, _) = signed_in(&bed, "alice");
    bed.wrap_client("exec \"$claude\" --an-option-of-tomorrow \"$@\"").expect("a wrapper");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "update Claude Code to 2.1.197 or later");
}

#[test]
fn client_that_ignores_logins_verifies_none() {
    for script in ["exec \"$claude\" --bare \"$@\"", "CLAUDE_CODE_SIMPLE=1 exec \"$claude\" \"$@\""] {
        let bed = bed();
        let (alice, _) = signed_in(&bed, "alice");
        bed.wrap_client(script).expect("a wrapper");
        assert_nothing_written(&alice, CLAUDE_UNUSABLE, "claude does not use the given login");

        let bob = bed.person("bob").expect("bob");
        let stale = sign_in(&bed, &bob, -1);
        sync(&bob); // the ledger takes note of the generation
        assert_nothing_written(&bob, CLAUDE_UNUSABLE, "claude does not use the given login");
        assert_eq!(oauth(&bob)["refreshToken"], stale.refresh_token);
        assert_eq!(refreshes(&bed), 0);
    }
}

#[test]
fn answer_with_another_credential_is_not_a_verification() {
    let bed = bed();
    let (alice, _) = signed_in(&bed, "alice");
    let key = "sk-somebody-elses-key";
    bed.anthropic().answer_messages(key, Some(Ok));
    for settings in [
        json!({"apiKeyHelper": format!("echo {key}")}),
        json!({"env": {"ANTHROPIC_AUTH_TOKEN": key}}),
        json!({"env": {"CLAUDE_CODE_OAUTH_TOKEN": key}}),
        json!({"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}),
    ] {
        bed.write_managed_settings(&settings.to_string()).expect("settings");
        assert_nothing_written(&alice, CLAUDE_UNUSABLE, "remove them from its managed settings");
        assert_eq!(bed.anthropic().essential_requests(), [], "nobody was asked");
    }
    bed.write_managed_settings("{").expect("settings");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "are not valid JSON; correct them");
    bed.write_managed_settings(r#"{"env": {"DISABLE_AUTOUPDATER": "1"}}"#).expect("settings");
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE, "what does not choose the credential is welcome");

    // Where the key comes from elsewhere, the client itself says so.
    bed.wrap_client(&format!("ANTHROPIC_API_KEY={key} exec \"$claude\" \"$@\"")).expect("a wrapper");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "another credential or server than the login");
}

/// What an organisation's admin may have set for every client, and what puts another credential in
/// the place of the login without the client telling of it.
fn settings_with(key: &str) -> [Value; 3] {
    [
        json!({"env": {"ANTHROPIC_AUTH_TOKEN": key}}),
        json!({"env": {"CLAUDE_CODE_OAUTH_TOKEN": key}}),
        json!({"env": {"ANTHROPIC_CUSTOM_HEADERS": format!("Authorization: Bearer {key}")}}),
    ]
}

/// As the client keeps them between two starts.
fn keep_settings(person: &Person<'_>, settings: &Value) {
    let path = person.home().join(".claude/remote-settings.json");
    fs::write(&path, settings.to_string()).expect("written");
    std::os::unix::fs::chown(&path, Some(person.uid()), Some(person.uid())).expect("the person's own");
}

#[test]
fn remote_settings_count_as_machine_settings() {
    let key = "sk-somebody-elses-key";
    for version in [NEWEST, OLDER] {
        let bed = bed_with(version);
        let (alice, login) = signed_in(&bed, "alice");
        // Whether the other credential works or not.
        for (settings, answer) in settings_with(key).into_iter().zip([Ok, Expired, Ok]) {
            bed.anthropic().answer_messages(key, Some(answer));
            // The newest client stores such settings in a home only after the user's consent.
            keep_settings(&alice, &settings);
            bed.anthropic().answer_settings(Settings(settings));
            assert_nothing_written(&alice, CLAUDE_UNUSABLE, "remove them from its managed settings");
            assert_eq!(asked_with(&bed, &login.access_token), 0, "{version}: it was another one");
        }
        assert_ne!(fate_of(&alice, &login), "rejected", "{version}");

        // Removed settings stop at once, whatever the client has stored.
        for answer in [NotFound, Settings(json!({"env": {"DISABLE_AUTOUPDATER": "1"}}))] {
            bed.anthropic().answer_settings(answer);
            assert_eq!(sync(&alice).exit_code, OK_MESSAGE, "{version}");
        }
        assert_eq!(asked_with(&bed, &login.access_token), 2, "{version}");
    }
}

#[test]
fn refresh_under_overriding_settings_is_not_verified() {
    let key = "sk-somebody-elses-key";
    for version in [NEWEST, OLDER] {
        for settings in settings_with(key) {
            let bed = bed_with(version);
            let alice = bed.person("alice").expect("alice");
            sign_in(&bed, &alice, -1);
            bed.anthropic().answer_messages(key, Some(Ok));
            keep_settings(&alice, &settings);
            // A client that begins with another token does not look at the login at all.
            let has_token = version == OLDER && !settings["env"]["CLAUDE_CODE_OAUTH_TOKEN"].is_null();
            bed.anthropic().answer_settings(Settings(settings));

            let said = sync(&alice);

            let expected = if has_token { (TRY_LATER, 0) } else { (CLAUDE_UNUSABLE, 1) };
            assert_eq!((said.exit_code, refreshes(&bed)), expected, "{version}: {}", said.stdout);
            assert!(!said.stdout.contains("verified by inference"), "{version}: {}", said.stdout);
        }
    }
}

#[test]
fn refresh_under_cached_settings_is_verified_by_value() {
    let key = "sk-somebody-elses-key";
    for answer in [NotFound, SettingsAnswer::InternalError] {
        let bed = bed_with(OLDER); // the newest one waits for those of today
        let alice = bed.person("alice").expect("alice");
        sign_in(&bed, &alice, -1);
        bed.anthropic().answer_messages(key, Some(Ok));
        keep_settings(&alice, &json!({"env": {"ANTHROPIC_AUTH_TOKEN": key}}));
        let is_over = answer == NotFound;
        bed.anthropic().answer_settings(answer);

        let said = sync(&alice);

        let new = oauth(&alice)["accessToken"].as_str().expect("a token").to_owned();
        assert_eq!((asked_with(&bed, key), asked_with(&bed, &new)), (1, 1), "{}", said.stdout);
        // As long as the organisation does not say otherwise, those of yesterday hold.
        let expected = if is_over { OK_MESSAGE } else { CLAUDE_UNUSABLE };
        assert_eq!((said.exit_code, refreshes(&bed)), (expected, 1), "{}", said.stdout);
    }
}

#[test]
fn unconfirmed_organization_changes_nothing() {
    let bed = bed();
    let (alice, _) = signed_in(&bed, "alice");
    bed.write_managed_settings(r#"{"forceLoginOrgUUID": "00000000-0000-4000-8000-0000000000aa"}"#)
        .expect("settings");
    assert_nothing_written(&alice, TRY_LATER, "could not be confirmed");
}

#[test]
fn refresh_beside_another_credential_is_verified_by_value() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    sign_in(&bed, &alice, -1);
    let key = "sk-somebody-elses-key";
    bed.anthropic().answer_messages(key, Some(Ok));
    let settings = json!({"env": {"ANTHROPIC_AUTH_TOKEN": key}}).to_string();
    std::fs::write(alice.home().join(".claude.json"), settings).expect("a file");

    let said = sync(&alice);

    assert_eq!(said.exit_code, OK_MESSAGE, "{}{}", said.stdout, said.stderr);
    assert_eq!((asked_with(&bed, key), refreshes(&bed)), (1, 1), "that is what the home says");
    let new = oauth(&alice)["accessToken"].as_str().expect("a token").to_owned();
    assert_eq!(asked_with(&bed, &new), 1, "and this is what says something about the login");
}

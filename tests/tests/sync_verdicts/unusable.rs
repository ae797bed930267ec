//! Clients that cannot tell what a credential is worth: exit code 69, what to do, and nothing written.

use cas_tests::anthropic::MessageAnswer::*;
use cas_tests::claude_client::OLDER;

use super::*;

#[test]
fn a_client_that_is_missing_is_named_with_what_to_do() {
    let bed = bed();
    let (alice, _) = signed_in(&bed, "alice");
    bed.configure(&alice.home().join("claude"), true).expect("configured");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "correct that setting");
    std::fs::write(alice.home().join("claude"), "not a program").expect("a file");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "correct that setting");
}

#[test]
fn a_client_that_is_too_old_to_tell_a_refusal_is_to_be_updated() {
    let bed = bed_with(OLDER);
    let (alice, login) = signed_in(&bed, "alice");
    for answer in [Expired, Revoked, OrganizationForbidden, Html { status: 403 }] {
        bed.anthropic().answer_messages(&login.access_token, Some(answer));
        assert_nothing_written(&alice, CLAUDE_UNUSABLE, "update Claude Code to 2.1.324 or later");
    }
}

#[test]
fn a_client_that_does_not_know_our_options_is_to_be_updated() {
    let bed = bed();
    let (alice, _) = signed_in(&bed, "alice");
    bed.wrap_client("exec \"$claude\" --an-option-of-tomorrow \"$@\"").expect("a wrapper");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "update Claude Code to 2.1.197 or later");
}

#[test]
fn a_client_that_ignores_logins_is_no_judge_of_them() {
    for script in ["exec \"$claude\" --bare \"$@\"", "CLAUDE_CODE_SIMPLE=1 exec \"$claude\" \"$@\""] {
        let bed = bed();
        let (alice, _) = signed_in(&bed, "alice");
        bed.wrap_client(script).expect("a wrapper");
        assert_nothing_written(&alice, CLAUDE_UNUSABLE, "claude does not use the login it is given");

        let bob = bed.person("bob").expect("bob");
        let stale = sign_in(&bed, &bob, -1);
        sync(&bob); // the ledger takes note of the generation
        assert_nothing_written(&bob, CLAUDE_UNUSABLE, "claude does not use the login it is given");
        assert_eq!(oauth(&bob)["refreshToken"], stale.refresh_token);
        assert_eq!(refreshes(&bed), 0);
    }
}

#[test]
fn an_answer_that_another_credential_paid_for_is_no_verification() {
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
        bed.manage_settings(&settings.to_string()).expect("settings");
        assert_nothing_written(&alice, CLAUDE_UNUSABLE, "take them out of its managed settings");
        assert_eq!(bed.anthropic().essential_requests(), [], "nobody was asked");
    }
    bed.manage_settings("{").expect("settings");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "cannot be read as JSON; mend them");
    bed.manage_settings(r#"{"env": {"DISABLE_AUTOUPDATER": "1"}}"#).expect("settings");
    assert_eq!(sync(&alice).exit_code, FINE, "what does not choose the credential is welcome");

    // Where the key comes from elsewhere, the client itself says so.
    bed.wrap_client(&format!("ANTHROPIC_API_KEY={key} exec \"$claude\" \"$@\"")).expect("a wrapper");
    assert_nothing_written(&alice, CLAUDE_UNUSABLE, "another credential or server than the login");
}

#[test]
fn an_organisation_that_cannot_be_confirmed_changes_nothing() {
    let bed = bed();
    let (alice, _) = signed_in(&bed, "alice");
    bed.manage_settings(r#"{"forceLoginOrgUUID": "00000000-0000-4000-8000-0000000000aa"}"#)
        .expect("settings");
    assert_nothing_written(&alice, TRY_LATER, "could not be confirmed");
}

#[test]
fn a_refreshed_login_is_probed_by_itself_where_the_home_holds_another_credential() {
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    sign_in(&bed, &alice, -1);
    let key = "sk-somebody-elses-key";
    bed.anthropic().answer_messages(key, Some(Ok));
    let settings = json!({"env": {"ANTHROPIC_AUTH_TOKEN": key}}).to_string();
    std::fs::write(alice.home().join(".claude.json"), settings).expect("a file");

    let said = sync(&alice);

    assert_eq!(said.exit_code, FINE, "{}{}", said.stdout, said.stderr);
    assert_eq!((asked_with(&bed, key), refreshes(&bed)), (1, 1), "that is what the home says");
    let new = oauth(&alice)["accessToken"].as_str().expect("a token").to_owned();
    assert_eq!(asked_with(&bed, &new), 1, "and this is what says something about the login");
}

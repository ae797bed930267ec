//! Credentials that the API refuses.

use cas_tests::anthropic::MessageAnswer::{self, *};

use super::valid::keep_setup_token;
use super::*;

/// Nothing of hers is lost: the file holds the login or a later one beside its siblings, the history what it held.
#[track_caller]
fn assert_nothing_lost(alice: &Person<'_>, login: &Login, history: &[String]) {
    assert!(has_sibling(alice));
    assert_ne!(oauth(alice)["refreshToken"], "", "it was not emptied");
    for token in history {
        assert!(backed_up(alice).contains(token), "{token}");
    }
    assert!(oauth(alice)["accessToken"].as_str().is_some_and(|token| token.contains(&login.family)));
}

/// Every access token of the family is refused, the one of a refresh too.
fn refuse_all(bed: &ClaudeFixture, login: &Login, answer: &MessageAnswer) {
    for number in 1..=3 {
        let token = format!("sk-ant-oat01-{}-{number}", login.family);
        bed.anthropic().answer_messages(&token, Some(answer.clone()));
    }
}

#[test]
fn rejected_login_requires_a_sign_in() {
    for answer in [Expired, Invalid, Revoked] {
        let bed = bed();
        let (alice, login) = signed_in(&bed, "alice");
        let history = backed_up(&alice);
        refuse_all(&bed, &login, &answer);

        let said = sync(&alice);

        assert_eq!(said.exit_code, SIGN_IN, "{answer:?}: {}{}", said.stdout, said.stderr);
        assert!(said.stdout.starts_with("FAIL "), "{answer:?}: {}", said.stdout);
        assert!(said.stdout.contains("cas-sync login"), "{answer:?}: {}", said.stdout);
        assert_nothing_lost(&alice, &login, &history);
        // What the client may have exchanged on the way is superseded as well.
        let expected = if refreshes(&bed) == 0 { "rejected" } else { "superseded" };
        assert_eq!(fate_of(&alice, &login), expected, "{answer:?}: {:?}", fates(&alice));
        let left = oauth(&alice)["refreshToken"].as_str().expect("a token").to_owned();
        assert_eq!(fates(&alice)[&fingerprint(&left)], "rejected", "{answer:?}: {:?}", fates(&alice));
        assert!(refreshes(&bed) <= 1, "{answer:?}");
    }
}

#[test]
fn rejected_login_that_can_be_refreshed_is_refreshed() {
    let bed = bed();
    let (alice, login) = signed_in(&bed, "alice");
    assert!(bed.anthropic().expire(&login.family), "it was signed in a moment ago");

    let said = sync(&alice);

    assert_eq!(said.exit_code, OK_MESSAGE, "{}{}", said.stdout, said.stderr);
    assert_eq!(refreshes(&bed), 1);
    let new = oauth(&alice)["refreshToken"].as_str().expect("a token").to_owned();
    assert!(new != login.refresh_token && backed_up(&alice).contains(&new) && has_sibling(&alice));
}

#[test]
fn rejected_older_login_is_replaced_by_the_newest() {
    let bed = bed();
    let (alice, login) = signed_in(&bed, "alice");
    let older = alice.credentials().expect("a file of JSON");
    assert!(bed.anthropic().expire(&login.family));
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE, "it is refreshed");
    let newest = oauth(&alice)["refreshToken"].clone();
    alice.write_credentials(&older).expect("written");
    bed.anthropic().forget_requests();

    let said = sync(&alice);

    assert_eq!(said.exit_code, OK_MESSAGE, "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.starts_with("RECOVERED "), "{}", said.stdout);
    assert_eq!((&oauth(&alice)["refreshToken"], refreshes(&bed)), (&newest, 0), "nothing spent is presented");
    assert_ne!(newest, login.refresh_token);
    assert!(has_sibling(&alice));
}

#[test]
fn login_with_a_rejected_refresh_is_reported_as_rejected() {
    let bed = bed();
    let (alice, login) = signed_in(&bed, "alice");
    let history = backed_up(&alice);
    assert!(bed.anthropic().revoke(&login.family), "it was signed in a moment ago");

    let said = sync(&alice);

    assert_eq!(said.exit_code, SIGN_IN, "{}{}", said.stdout, said.stderr);
    assert!(said.stdout.starts_with("FAIL "), "{}", said.stdout);
    assert!(has_sibling(&alice));
    assert_eq!(backed_up(&alice), history);
    assert_eq!(fate_of(&alice, &login), "rejected");
    bed.anthropic().forget_requests();
    let again = sync(&alice);
    assert_eq!(again.exit_code, SIGN_IN, "{}", again.stdout);
    assert_eq!(refreshes(&bed), 0, "a dead login is not tried again and again");
}

#[test]
fn refused_organization_changes_nothing() {
    let bed = bed();
    let (alice, login) = signed_in(&bed, "alice");
    refuse_all(&bed, &login, &OrganizationForbidden);
    let before = on_disk(&alice);
    let said = sync(&alice);
    assert_eq!(said.exit_code, Some(1), "{}", said.stdout);
    assert!(said.stdout.starts_with("FAIL ") && said.stdout.contains("administrator"), "{}", said.stdout);
    assert_eq!(on_disk(&alice), before);
    assert_eq!(refreshes(&bed), 0);
}

#[test]
fn revoked_setup_token_is_reported_and_kept() {
    const TOKEN: &str = "sk-ant-oat01-alices_setup-token";
    let bed = bed();
    let alice = bed.person("alice").expect("alice");
    keep_setup_token(&alice, TOKEN);
    bed.anthropic().answer_messages(TOKEN, Some(Revoked));
    sync(&alice);
    let before = on_disk(&alice);
    let said = sync(&alice);
    assert_eq!(said.exit_code, SIGN_IN, "{}", said.stdout);
    assert!(said.stdout.starts_with("FAIL setup-token"), "{}", said.stdout);
    assert!(!said.stdout.contains(TOKEN));
    assert_eq!(on_disk(&alice), before, "only the store's word removes it");
}

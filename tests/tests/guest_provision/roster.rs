//! An invalid roster unenrolls no user, and the message names the line; a valid one unenrolls
//! removed users.

use super::{
    enrolled, provision, provision_alone, roster, site, snapshot, text_and_errors, token, token_lookup,
};

#[test]
fn invalid_roster_changes_nothing() {
    let host = site();
    let guest = &host.guest;
    roster(guest, "users:\n  alice:\n  bob:\n");
    provision(&host, "").expect_success("provisioning");
    let places = "/home /var/lib/claude-auth-sync /etc/systemd/system /etc/tmpfiles.d";
    let before = snapshot(guest, places);
    for (text, expected) in [
        ("", "lists no users"),
        ("users:\n", "lists no users"),
        ("users:\n  alice:\n  bo", "roster.yaml, line 3"),
        ("users:\n  alice: {parked: tr", "roster.yaml, line"),
        ("\u{7f}ELF\u{1}", "roster.yaml, line 1"),
        ("users:\n  alice:\n  bob:\n  alice:\n", "line 4: \"alice\" is a duplicate of the key in line 2"),
        (
            "users:\n  alice:\n    claude-auth: false\n",
            "line 3: the key \"claude-auth\": did you mean `claude_auth`?",
        ),
        ("users:\n  alice:\n    parked: maybe\n", "line 3: `parked` must be true or false"),
    ] {
        roster(guest, text);
        let done = provision(&host, "");
        assert_eq!(done.code, Some(78), "{text:?}: {}", text_and_errors(&done));
        assert!(text_and_errors(&done).contains(expected), "{text:?}: {}", text_and_errors(&done));
    }
    guest.run("chmod 666 /etc/claude-auth-sync/roster.yaml").expect_success("a careless chmod");
    assert!(text_and_errors(&provision(&host, "")).contains("every user can write it"));
    guest
        .run("rm /etc/claude-auth-sync/roster.yaml; mkfifo /etc/claude-auth-sync/roster.yaml")
        .expect_success("a FIFO");
    assert!(text_and_errors(&provision(&host, "")).contains("not a regular file"));
    guest.run("rm /etc/claude-auth-sync/roster.yaml").expect_success("no roster");
    let done = provision(&host, "");
    assert_eq!(done.code, Some(78));
    assert!(text_and_errors(&done).contains("it does not exist"), "{}", text_and_errors(&done));
    assert_eq!(snapshot(guest, places), before);
}

#[test]
fn roster_user_without_an_account_is_named() {
    let host = site();
    let guest = &host.guest;
    roster(guest, "users:\n  alice:\n  bob:\n");
    provision(&host, "").expect_success("provisioning");
    roster(guest, "users:\n  alice:\n  bbo:\n");
    let done = provision(&host, "");
    assert_eq!(done.code, Some(1), "{}", text_and_errors(&done));
    assert!(done.text().contains("bbo: skipped: line 3 of the roster: "), "{}", done.text());
    assert!(
        done.text().contains("bob: not unenrolled: not in the roster, but its line 3 names bbo"),
        "{}",
        done.text()
    );
    assert_eq!(enrolled(guest), "alice\nbob\n");
    // The last line may be incomplete.
    roster(guest, "users:\n  alice:");
    assert!(
        provision(&host, "")
            .text()
            .contains("bob: not unenrolled: not in the roster, but its last line has no newline")
    );
    assert_eq!(enrolled(guest), "alice\nbob\n");
    provision(&host, "--offboard").expect_success("when it is meant");
    assert_eq!(enrolled(guest), "alice\n");
}

#[test]
fn disabled_parked_or_removed_user_is_unenrolled() {
    let host = site();
    let guest = &host.guest;
    guest.run("useradd --create-home dee").expect_success("a user");
    roster(guest, "users:\n  alice:\n  bob:\n  carol:\n  dee:\n");
    provision(&host, "").expect_success("provisioning");
    guest.run("cas-sync enroll alice").expect_success("again, by hand");
    let homes = snapshot(guest, "/home/bob /home/carol /home/dee");
    let gone = token(guest, "dee");

    roster(guest, "users:\n  alice:\n  bob: {claude_auth: false}\n  carol: {parked: true}\n");
    let planned = provision(&host, "--dry-run").expect_success("a dry run").text();
    for line in [
        "bob: unenroll\n",
        "carol: unenroll\n",
        "dee: unenroll; revoke the former token\n",
        "3 would be changed",
    ] {
        assert!(planned.contains(line), "{planned}");
    }
    assert_eq!(enrolled(guest), "alice\nbob\ncarol\ndee\n");

    // Without an administrator's token they are removed, and one token waits to be revoked.
    let done = provision_alone(guest);
    assert_eq!(done.code, Some(77), "{}", text_and_errors(&done));
    assert!(
        done.text().contains("dee: unenrolled; waits for an administrator: the token must be revoked"),
        "{}",
        text_and_errors(&done)
    );
    assert_eq!(enrolled(guest), "alice\n");
    let traces = guest
        .run("ls -d /etc/systemd/system/*/claude-auth-*@* /var/lib/claude-auth-sync/published/* | grep -v alice")
        .text();
    assert_eq!(traces, "");
    assert!(token_lookup(&host, "dee").is_some(), "not yet");
    assert!(provision(&host, "").expect_success("with one").text().contains("dee: revoked the former token"));
    assert_eq!(token_lookup(&host, "dee"), None);
    assert_eq!(token(guest, "dee"), gone, "the file stays as it is");
    assert_eq!(snapshot(guest, "/home/bob /home/carol /home/dee"), homes, "homes are left alone");
    assert!(provision_alone(guest).expect_success("and then").text().contains("nothing was changed"));

    // Enrolled again: the token of the parked user still works, the other user needs a new one.
    roster(guest, "users:\n  alice:\n  bob: {claude_auth: false}\n  carol:\n  dee:\n");
    let back = provision_alone(guest);
    assert_eq!(back.code, Some(77), "{}", text_and_errors(&back));
    assert!(back.text().contains("carol: enrolled\n"), "{}", text_and_errors(&back));
    assert!(
        back.text().contains("dee: waits for an administrator: the token is expired, revoked"),
        "{}",
        text_and_errors(&back)
    );
    provision(&host, "").expect_success("with an admin");
    assert_eq!(enrolled(guest), "alice\ncarol\ndee\n");
}

/// The roster does not change users that an administrator enrolled by hand.
#[test]
fn user_enrolled_by_hand_stays_enrolled() {
    let host = site();
    let guest = &host.guest;
    guest.enroll("carol");
    roster(guest, "users:\n  alice:\n");
    provision(&host, "").expect_success("provisioning");
    assert_eq!(enrolled(guest), "alice\ncarol\n");
    let unknown = provision(&host, "--user carol");
    assert_eq!(unknown.code, Some(78));
    assert!(
        text_and_errors(&unknown).contains("carol is neither listed in"),
        "{}",
        text_and_errors(&unknown)
    );
}

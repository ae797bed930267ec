//! Policies at the server: the existing one, the stricter one, one that is too broad, one that is
//! too narrow.

use cas_tests::openbao::Policy;
use serde_json::json;

use super::{enrolled, provision, provision_alone, roster, site, text_and_errors, token, token_lookup};

#[test]
fn both_policies_work_and_are_not_changed() {
    let host = site();
    let guest = &host.guest;
    let text = |user: &str| {
        let found = host.bao.admin().send_ok(
            "GET",
            &format!("sys/policies/acl/workstation-claude-{user}"),
            &json!(null),
        );
        found["data"]["policy"].as_str().expect("a policy").to_owned()
    };
    for (user, policy) in [("alice", Policy::Update), ("bob", Policy::Patch)] {
        let body = json!({ "policy": policy.text(user) });
        host.bao.admin().send_ok("PUT", &format!("sys/policies/acl/workstation-claude-{user}"), &body);
    }
    roster(guest, "users:\n  alice:\n  bob:\n");
    provision(&host, "").expect_success("provisioning");
    assert_eq!(text("alice"), Policy::Update.text("alice"));
    assert_eq!(text("bob"), Policy::Patch.text("bob"));
    for user in ["alice", "bob"] {
        guest.put_login(user, &cas_tests::claude_login::new_login("whole"));
        guest.sync(user).expect_success("a backup under this policy");
    }
}

#[test]
fn policy_that_is_too_broad_is_found_and_replaced_on_request() {
    let host = site();
    let guest = &host.guest;
    roster(guest, "users:\n  alice:\n  bob:\n");
    let wide = "path \"secret/*\" { capabilities = [\"read\", \"create\", \"update\", \"patch\", \"delete\", \"list\"] }\n\
                path \"auth/token/*\" { capabilities = [\"read\", \"update\", \"create\", \"list\", \"sudo\"] }\n";
    host.bao.admin().send_ok("PUT", "sys/policies/acl/workstation-claude-alice", &json!({ "policy": wide }));
    let document = "secret/data/workstation/claude-users/alice";
    host.bao.admin().send_ok(
        "POST",
        document,
        &json!({ "data": { "vaultwarden_email": "alice@example.org" } }),
    );
    let before = host.bao.admin().send_ok("GET", document, &json!(null));

    let done = provision(&host, "");
    assert_eq!(done.code, Some(77), "{}", text_and_errors(&done));
    for what in [
        "read other users' documents",
        "write other users' documents",
        "list all documents",
        "destroy versions of the document",
        "create tokens",
        "list all tokens",
    ] {
        assert!(done.text().contains(what), "{what}: {}", done.text());
    }
    assert!(!done.text().contains("bob: the token can"), "{}", done.text());
    assert_eq!(enrolled(guest), "alice\nbob\n", "it works, after all");
    assert_eq!(
        host.bao.admin().send_ok("GET", document, &json!(null))["data"],
        before["data"],
        "trying did no harm"
    );
    let others = host.bao.admin().send_ok("LIST", "secret/metadata/workstation/claude-users", &json!(null));
    assert_eq!(others["data"]["keys"], json!(["alice"]), "and left nothing behind");

    let alone = provision_alone(guest);
    assert_eq!(alone.code, Some(77), "it is checked again until it is fixed: {}", text_and_errors(&alone));
    provision(&host, "--rewrite-policies").expect_success("replacing it");
    provision_alone(guest).expect_success("and then all is well");
}

#[test]
fn policy_that_is_too_narrow_is_reported_before_enrollment() {
    let host = site();
    let guest = &host.guest;
    let useless = "path \"auth/token/lookup-self\" { capabilities = [\"read\"] }\n";
    host.bao.admin().send_ok(
        "PUT",
        "sys/policies/acl/workstation-claude-alice",
        &json!({ "policy": useless }),
    );
    roster(guest, "users:\n  alice:\n");
    let done = provision(&host, "");
    assert_eq!(done.code, Some(77), "{}", text_and_errors(&done));
    assert!(
        done.text().contains("does not allow the token to read and write the document"),
        "{}",
        done.text()
    );
    assert_eq!(enrolled(guest), "");
    let first = token(guest, "alice");
    provision(&host, "--rewrite-policies").expect_success("replacing it");
    assert_eq!(token(guest, "alice"), first, "the token was good");
    assert!(token_lookup(&host, "alice").is_some());
    assert_eq!(enrolled(guest), "alice\n");
}

/// A role whose tokens end with the administrator's login, or have more permissions, is also
/// rejected.
#[test]
fn role_with_other_tokens_is_refused_and_its_token_revoked() {
    let host = site();
    let guest = &host.guest;
    let role = json!({ "allowed_policies_glob": ["workstation-claude-*"], "orphan": false, "renewable": true, "token_period": "768h" });
    host.bao.admin().send_ok("POST", "auth/token/roles/workstation-claude", &role);
    roster(guest, "users:\n  alice:\n");
    let number = super::tokens(&host.bao);
    let done = provision(&host, "");
    assert_eq!(done.code, Some(77), "{}", text_and_errors(&done));
    assert!(done.text().contains("correct auth/token/roles/workstation-claude"), "{}", done.text());
    assert_eq!(super::tokens(&host.bao), number);
    assert_eq!(token(guest, "alice"), None);
}

/// The new token has no default policy, and the user's policy relied on it. The old token works, so
/// it is kept until a working one has replaced it.
#[test]
fn token_is_revoked_only_after_its_successor_works() {
    let host = site();
    let guest = &host.guest;
    let bare = "path \"secret/data/workstation/claude-users/alice\" { capabilities = [\"read\", \"create\", \"update\"] }\n";
    host.bao.admin().send_ok("PUT", "sys/policies/acl/workstation-claude-alice", &json!({ "policy": bare }));
    let body = json!({ "policies": ["workstation-claude-alice"], "no_parent": true, "ttl": "24h", "renewable": false, "meta": { "user": "alice" } });
    let made = host.bao.admin().send_ok("POST", "auth/token/create", &body);
    let old = made["auth"]["client_token"].as_str().expect("a token").to_owned();
    guest.put_vault_token("alice", &format!("{old}\n"));
    roster(guest, "users:\n  alice:\n");

    let done = provision(&host, "");
    assert_eq!(done.code, Some(77), "{}", text_and_errors(&done));
    assert!(done.text().contains("--rewrite-policies"), "{}", done.text());
    let lookup = |token: &str| {
        host.bao.admin().ask("POST", "auth/token/lookup", Some(&json!({ "token": token }))).status
    };
    assert_eq!(lookup(&old), 200, "the old one lives");

    provision(&host, "--rewrite-policies").expect_success("as it printed");
    assert!(token_lookup(&host, "alice").is_some());
    assert_eq!(lookup(&old), 403, "now it is of no use");
    assert_eq!(super::tokens(&host.bao), 2, "one for the admin, one for alice: none is forgotten");
    assert_eq!(enrolled(guest), "alice\n");
}

/// Names of policies are lower case.
#[test]
fn token_with_the_policy_of_another_user_is_refused() {
    let host = site();
    let guest = &host.guest;
    guest.run("useradd --badname --create-home Alice").expect_success("a user of almost the same name");
    roster(guest, "users:\n  alice:\n");
    provision(&host, "").expect_success("the one");
    for (text, expected) in [
        ("users:\n  alice: {parked: true}\n  Alice:\n", "would have the same policy"),
        ("users:\n  Alice:\n", "would have the same policy"),
    ] {
        roster(guest, text);
        let done = provision(&host, "--offboard");
        assert!(done.text().contains(expected), "{}", text_and_errors(&done));
        assert_eq!(token(guest, "Alice"), None);
    }
    // This machine no longer knows the token, but the server does.
    guest.run("rm -r /var/lib/claude-auth-sync/provisioned").expect_success("another machine of the fleet");
    let done = provision(&host, "--rewrite-policies");
    assert!(
        done.text().contains("the policy workstation-claude-alice belongs to alice"),
        "{}",
        text_and_errors(&done)
    );
    assert_eq!(token(guest, "Alice"), None);
}

/// One user's file does not affect other users.
#[test]
fn token_that_fails_on_the_server_does_not_affect_others() {
    let host = site();
    let guest = &host.guest;
    roster(guest, "users:\n  alice:\n  bob:\n  carol:\n");
    for odd in ["b.!", "s.%", "hvb.AAAA", "../../sys/seal"] {
        guest.put_vault_token("alice", odd);
        let done = provision(&host, "--user alice --user bob --user carol --dry-run");
        assert!(done.text().contains("bob: mint a token"), "{odd}: {}", text_and_errors(&done));
    }
    guest.put_vault_token("alice", "b.!");
    provision(&host, "");
    assert_eq!(enrolled(guest).replace("alice\n", ""), "bob\ncarol\n");
}

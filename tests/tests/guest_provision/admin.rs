//! The administrator's token: missing, expired, with too few permissions, with just enough; and a
//! server that becomes unavailable.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    enrolled, provision, provision_alone, provision_with, roster, site, text_and_errors, token, token_file,
    token_lookup, tokens,
};

#[test]
fn provision_without_an_admin_token_names_what_is_missing() {
    let host = site();
    let guest = &host.guest;
    roster(guest, "users:\n  alice:\n  bob:\n");
    let mint = |body: &Value| {
        let made = host.bao.admin().send_ok("POST", "auth/token/create", body);
        made["auth"]["client_token"].as_str().expect("a token").to_owned()
    };
    let revoked = mint(&json!({}));
    host.bao.admin().send_ok("POST", "auth/token/revoke", &json!({ "token": revoked }));
    let weak = mint(&json!({ "policies": ["default"] }));
    for (done, expected) in [
        (
            provision_alone(guest),
            "waits for an administrator: there is no token; run `cas-sync provision` with an administrator token in VAULT_TOKEN",
        ),
        (
            provision_with(guest, &revoked, ""),
            "waits for an administrator: there is no token; the administrator token is expired, revoked",
        ),
        (provision_with(guest, &weak, ""), "permit it update on auth/token/create/workstation-claude"),
    ] {
        assert_eq!(done.code, Some(77), "{}", text_and_errors(&done));
        for user in ["alice", "bob"] {
            let line = done.text().lines().find(|line| line.starts_with(user)).unwrap_or_default().to_owned();
            assert!(line.contains(expected), "{line}");
        }
        assert_eq!(enrolled(guest), "");
    }
    let odd = guest.run_with_input("cas-sync provision --admin-token-file -", b"two words\n");
    assert_eq!(odd.code, Some(78), "{}", text_and_errors(&odd));
    assert!(text_and_errors(&odd).contains("not one line with one token"), "{}", text_and_errors(&odd));
    let elsewhere = guest.run("VAULT_ADDR=https://127.0.0.1:1 cas-sync provision");
    assert_eq!(elsewhere.code, Some(78));
    assert!(
        text_and_errors(&elsewhere).contains("VAULT_ADDR is https://127.0.0.1:1"),
        "{}",
        text_and_errors(&elsewhere)
    );
    let nobody = guest.run("runuser -u alice -- cas-sync provision");
    assert!(
        nobody.code == Some(1) && text_and_errors(&nobody).contains("only root"),
        "{}",
        text_and_errors(&nobody)
    );
}

/// The output of `--print-policy` is sufficient and necessary.
#[test]
fn printed_policy_is_sufficient() {
    let host = site();
    let guest = &host.guest;
    roster(guest, "users:\n  alice:\n  bob:\n");
    let printed = guest.run("cas-sync provision --print-policy").expect_success("printing").text();
    let (_, rest) = printed.split_once("# ---- policy of an administrator token").expect("the admin's");
    let (policy, role) = rest.split_once("# ---- auth/token/roles/workstation-claude").expect("the role");
    let (_, policy) = policy.split_once('\n').expect("a line of its own");
    let _: Value = serde_json::from_str(role).expect("the role is JSON");
    host.bao.admin().send_ok("PUT", "sys/policies/acl/provisioner", &json!({ "policy": policy }));
    let made = host.bao.admin().send_ok(
        "POST",
        "auth/token/create",
        &json!({ "policies": ["provisioner"], "no_default_policy": true }),
    );
    let provisioner = made["auth"]["client_token"].as_str().expect("a token");

    let done = guest.run_with_input("cas-sync provision --admin-token-file -", provisioner.as_bytes());
    assert!(done.succeeded(), "{}", text_and_errors(&done));
    assert_eq!(enrolled(guest), "alice\nbob\n");
    let alice = token_lookup(&host, "alice").expect("a token");
    assert_eq!(alice["orphan"], true);
    assert_eq!(alice["policies"], json!(["workstation-claude-alice"]), "and no default policy");
    assert_eq!(alice["display_name"], "token-devvm-claude-auth-alice");
    assert_eq!(alice["meta"]["user"], "alice");
    assert_eq!(alice["creation_ttl"], 768 * 3600);
    assert_eq!(alice["renewable"], true);

    roster(guest, "users:\n  alice:\n");
    provision_with(guest, provisioner, "").expect_success("offboarding");
    assert_eq!(token_lookup(&host, "bob"), None, "revoked");
}

#[test]
fn expired_foreign_or_expiring_tokens_are_replaced() {
    let host = site();
    let guest = &host.guest;
    let all_users = "users:\n  alice:\n  bob:\n  carol:\n  dee:\n  eve:\n";
    guest.run("useradd --create-home dee; useradd --create-home eve").expect_success("the users");
    roster(guest, all_users);
    provision(&host, "").expect_success("provisioning");
    let before = token(guest, "carol");
    // The token of alice is revoked; bob has that of carol; that of dee expires tomorrow and cannot
    // be renewed; that of eve expires soon and can be renewed.
    let revoked = token(guest, "alice").expect("a token");
    host.bao.admin().send_ok("POST", "auth/token/revoke", &json!({ "token": revoked }));
    guest.put_vault_token("bob", &format!("{}\n", before.clone().expect("carol's")));
    let short = |user: &str, renewable: bool| {
        let body = json!({
            "policies": [format!("workstation-claude-{user}")], "no_parent": true, "no_default_policy": true,
            "ttl": "24h", "renewable": renewable, "meta": { "user": user }, "display_name": format!("devvm-claude-auth-{user}"),
        });
        let made = host.bao.admin().send_ok("POST", "auth/token/create", &body);
        guest.put_vault_token(user, made["auth"]["client_token"].as_str().expect("a token"));
    };
    short("dee", false);
    short("eve", true);
    let eve = token(guest, "eve");

    let alone = provision_alone(guest);
    assert_eq!(alone.code, Some(77), "{}", text_and_errors(&alone));
    assert_eq!(enrolled(guest), "alice\nbob\ncarol\ndee\neve\n", "the users stay enrolled meanwhile");
    for line in [
        "alice: waits for an administrator: the token is expired, revoked",
        "bob: waits for an administrator: the token does not belong to the user",
        "dee: waits for an administrator: the token expires within a week",
    ] {
        assert!(alone.text().contains(line), "{}", alone.text());
    }
    assert!(alone.text().contains("eve: renewed the token"), "{}", alone.text());
    assert_eq!(token(guest, "eve"), eve);

    provision(&host, "").expect_success("with an admin");
    for user in ["alice", "bob", "carol", "dee", "eve"] {
        let found = token_lookup(&host, user).unwrap_or_else(|| panic!("{user} has no token"));
        assert_eq!(found["meta"]["user"], user);
    }
    assert_eq!(token(guest, "carol"), before, "the token of carol was neither changed nor revoked");
    assert_eq!(guest.file_status(&token_file("bob")), "600 bob:bob regular file");
    assert_eq!(
        tokens(&host.bao),
        1 + 5,
        "one for the administrator, and one for each user: all earlier ones are revoked"
    );
}

#[test]
fn server_sealed_during_a_run_is_completed_by_the_next_run() {
    let host = site();
    let guest = &host.guest;
    guest.run("for i in $(seq 100 159); do useradd --create-home p$i; done").expect_success("sixty users");
    let names: Vec<_> = (100..160).map(|number| format!("p{number}")).collect();
    roster(
        guest,
        &format!("users:\n{}", names.iter().map(|name| format!("  {name}:\n")).collect::<String>()),
    );
    let done = thread::scope(|scope| {
        let run = scope.spawn(|| provision(&host, ""));
        while guest.read(&token_file("p110")).is_none() {
            assert!(!run.is_finished(), "it ended before the server was sealed");
            thread::sleep(Duration::from_millis(5));
        }
        host.bao.seal();
        run.join().expect("provisioning")
    });
    assert_eq!(done.code, Some(75), "{}", text_and_errors(&done));
    let sealed = done.text().lines().filter(|line| line.contains("Vault is sealed")).count();
    assert!((1..=50).contains(&sealed), "{sealed} of those who are left:\n{}", text_and_errors(&done));
    assert!(done.text().contains("it is asked again later"), "{}", text_and_errors(&done));
    let journal = guest.product_journal();
    assert_eq!(
        journal.lines().filter(|line| line.contains("Vault is sealed")).count(),
        1,
        "one line for an outage"
    );

    host.bao.unseal();
    provision(&host, "").expect_success("again");
    assert_eq!(enrolled(guest).lines().count(), 60);
    let of_people = tokens(&host.bao);
    provision(&host, "").expect_success("and again");
    assert_eq!(tokens(&host.bao), of_people, "no user got a second token");
}

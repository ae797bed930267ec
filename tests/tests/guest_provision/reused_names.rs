//! A login name that is given to another account after its user has left: the other account gets
//! nothing of the former user.

use cas_tests::claude_login;
use cas_tests::guest::{Guest, Suite, VaultGuest, document_with};
use serde_json::{Value, json};

use super::{enrolled, provision, provision_alone, roster, site, text_and_errors, token, tokens};

const DOCUMENT: &str = "secret/data/workstation/claude-users/dee";
const CREDENTIALS: &str = "/home/dee/.claude/.credentials.json";

/// Returns a host on which the user dee was provisioned, has a login in the store, and has a field
/// of another tool.
fn site_with_recreated_user() -> VaultGuest {
    let host = site();
    host.guest.run("useradd --create-home --uid 2001 --shell /bin/bash dee").expect_success("a user");
    roster(&host.guest, "users:\n  alice:\n  dee:\n");
    provision(&host, "").expect_success("provisioning");
    let login = claude_login::new_login("dee-of-2001");
    host.bao.admin().send_ok("POST", DOCUMENT, &json!({ "data": document_with(&login) }));
    host
}

fn stored(host: &VaultGuest) -> Value {
    let read = host.bao.admin().ask("GET", DOCUMENT, None);
    read.body["data"]["data"].clone()
}

fn recreate_account_with_name(host: &VaultGuest, uid: u32) {
    host.guest
        .run(&format!("userdel -r dee; useradd --create-home --uid {uid} --shell /bin/bash dee"))
        .expect_success("a new account of the same name");
}

#[test]
fn reused_name_is_refused_after_its_removal_from_the_roster() {
    let host = site_with_recreated_user();
    let guest = &host.guest;
    roster(guest, "users:\n  alice:\n");
    provision(&host, "").expect_success("dee leaves");
    recreate_account_with_name(&host, 2002);
    roster(guest, "users:\n  alice:\n  dee:\n");

    let before = tokens(&host.bao);
    let done = provision(&host, "");
    assert_eq!(done.code, Some(1), "{}", text_and_errors(&done));
    assert!(
        done.text().contains("the name was enrolled for uid 2001, and its account has uid 2002 now"),
        "{}",
        text_and_errors(&done)
    );
    assert_eq!(token(guest, "dee"), None);
    assert_eq!(tokens(&host.bao), before, "no token was made");
    assert_eq!(enrolled(guest), "alice\n");
    let by_hand = guest.run("cas-sync enroll dee");
    assert!(
        by_hand.code == Some(1) && text_and_errors(&by_hand).contains("--adopt dee"),
        "{}",
        text_and_errors(&by_hand)
    );

    provision(&host, "--adopt dee").expect_success("the administrator knows better");
    assert_eq!(enrolled(guest), "alice\ndee\n");
    assert!(token(guest, "dee").is_some());
    provision_alone(guest).expect_success("and it stays so");
}

#[test]
fn account_that_reuses_an_enrolled_name_gets_nothing() {
    let host = site_with_recreated_user();
    let guest = &host.guest;
    let old_token = token(guest, "dee").expect("dee's");
    recreate_account_with_name(&host, 2002);
    // Even with the former user's token, as a backup of the home would bring it.
    guest.put_vault_token("dee", &format!("{old_token}\n"));

    let synced = guest.sync("dee");
    assert_eq!(synced.code, Some(1), "{}", text_and_errors(&synced));
    assert!(text_and_errors(&synced).contains("--adopt dee"), "{}", text_and_errors(&synced));
    assert_eq!(guest.read(CREDENTIALS), None);
    let journal = guest.product_journal();
    assert!(journal.contains("user=dee FAIL cannot use the credentials of dee"), "{journal}");
    guest.ssh("dee", "true").expect_success("a login works");
    assert_eq!(guest.read(CREDENTIALS), None, "nothing was restored at a login");
    let status = guest.run("cas-sync status");
    assert_ne!(status.code, Some(0), "{}", status.text());
}

#[test]
fn marked_document_is_not_used_on_any_machine() {
    let host = site_with_recreated_user();
    let guest = &host.guest;
    roster(guest, "users:\n  alice:\n");
    let left = provision(&host, "--offboard dee").expect_success("offboarding").text();
    assert!(left.contains("marked the document as offboarded"), "{left}");
    for remains in [DOCUMENT, "vaultwarden_email of other tools", "workstation-claude-dee", "/home/dee"] {
        assert!(left.contains(remains), "{remains}: {left}");
    }
    let fields = stored(&host);
    assert!(fields["claude_offboarded_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{fields}");
    assert_eq!(fields["vaultwarden_email"], "alice@example.org", "other tools' fields survive");

    // The same uid, on a machine that has no record of dee.
    recreate_account_with_name(&host, 2001);
    guest.run("rm /var/lib/claude-auth-sync/identities/dee").expect_success("another machine");
    roster(guest, "users:\n  alice:\n  dee:\n");
    let before = tokens(&host.bao);
    let done = provision(&host, "");
    assert_eq!(done.code, Some(1), "{}", text_and_errors(&done));
    assert!(
        done.text().contains("dee: skipped: the document in the store is marked"),
        "{}",
        text_and_errors(&done)
    );
    assert!(done.text().contains("`cas-sync provision --adopt dee`"), "{}", text_and_errors(&done));
    assert_eq!(token(guest, "dee"), None, "no token is in the new home");
    assert_eq!(tokens(&host.bao), before, "the one that was made to look is revoked");

    let dee = host.enroll("dee");
    let synced = guest.sync("dee");
    assert!(text_and_errors(&synced).contains("marked as offboarded"), "{}", text_and_errors(&synced));
    assert_ne!(synced.code, Some(0), "{}", text_and_errors(&synced));
    assert_eq!(guest.read(CREDENTIALS), None);
    assert_eq!(dee.fields(), fields, "nothing was written");

    let adopted = provision(&host, "--adopt dee").expect_success("adopting").text();
    assert!(
        adopted.contains("dee is adopted with uid 2001, and the mark in the document is cleared"),
        "{adopted}"
    );
    let synced = guest.sync("dee");
    assert!(text_and_errors(&synced).contains("RECOVERED"), "{}", text_and_errors(&synced));
    assert!(guest.read(CREDENTIALS).is_some());
}

#[test]
fn deleted_document_leaves_nothing_to_take_over() {
    let host = site_with_recreated_user();
    let guest = &host.guest;
    let listed = provision(&host, "--offboard dee --delete-document");
    assert_eq!(listed.code, Some(78), "{}", text_and_errors(&listed));
    assert!(text_and_errors(&listed).contains("dee is listed in"), "{}", text_and_errors(&listed));
    roster(guest, "users:\n  alice:\n");
    let alone = guest.run("cas-sync provision --offboard dee --delete-document");
    assert_eq!(alone.code, Some(77), "{}", text_and_errors(&alone));
    assert!(alone.text().contains("the document must be deleted"), "{}", text_and_errors(&alone));
    provision(&host, "--offboard dee --delete-document").expect_success("with an administrator's token");
    assert_eq!(host.bao.admin().ask("GET", DOCUMENT, None).status, 404);
    assert_eq!(enrolled(guest), "alice\n");
}

/// Without a server there is no document, so the records of the machine decide.
#[test]
fn reused_name_is_refused_without_a_server() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.run("useradd --create-home --uid 2001 dee && cas-sync enroll dee").expect_success("a user");
    guest.put_token("dee", "sk-ant-oat01-of-the-first-dee");
    guest.run("cp -a /home/dee /root/backup").expect_success("a backup of the home");
    let left = guest.run("cas-sync provision --offboard dee").expect_success("offboarding").text();
    for remains in ["/home/dee, with the login", "identities/dee, which binds the name to its uid"] {
        assert!(left.contains(remains), "{remains}: {left}");
    }
    guest
        .run("userdel -r dee; useradd --create-home --uid 2002 --shell /bin/bash dee && cp -a /root/backup/.config /home/dee/ && chown -R dee: /home/dee")
        .expect_success("another account of the name, in the home of the first");
    let refused = guest.run("cas-sync enroll dee");
    assert!(
        refused.code == Some(1) && text_and_errors(&refused).contains("--adopt dee"),
        "{}",
        text_and_errors(&refused)
    );
    for command in
        ["cas-sync run", "cas-sync restore", "cas-sync backup", "cas-sync login", "cas-sync token show"]
    {
        let by_hand = guest.run(&format!("runuser -u dee -- {command} </dev/null"));
        assert!(
            by_hand.code != Some(0) && text_and_errors(&by_hand).contains("uid 2001"),
            "{command}: {}",
            text_and_errors(&by_hand)
        );
    }
    let seen = "runuser -u dee -- cas-session exec -- printenv CLAUDE_CODE_OAUTH_TOKEN; runuser -u dee -- cas-session environment";
    assert!(!guest.run(seen).text().contains("sk-ant"), "the first user's token");
    assert_eq!(guest.variable_over_ssh("dee"), None);
    guest.run("cas-sync provision --adopt dee && cas-sync enroll dee").expect_success("adopting");
    assert_eq!(
        guest.variable_over_ssh("dee").as_deref(),
        Some("sk-ant-oat01-of-the-first-dee"),
        "as reported"
    );
}

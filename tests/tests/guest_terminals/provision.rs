//! `cas-sync provision`: the plan, a run, a problem of one user, and a long run.

use cas_tests::guest::{Guest, Suite, VaultGuest};
use serde_json::{Value, json};

use crate::recording::Recordings;
use crate::terminal_setting::{ALL_SETTINGS, C, CommandUser, NARROW, NO_COLOR, PIPE, WIDE};

#[track_caller]
fn roster(guest: &Guest, text: &str) {
    guest.write("/etc/claude-auth-sync/roster.yaml", "root", "644", text.as_bytes());
}

#[test]
fn provision_output_equals_its_recordings() {
    let host = VaultGuest::start(Suite::Bookworm, "15min");
    let guest = &host.guest;
    host.bao.admin().send_ok("DELETE", "auth/token/roles/workstation-claude", &Value::Null);
    guest
        .run("useradd --create-home dave; useradd --create-home --badname Alice")
        .expect_success("the users");
    let with_token = [("VAULT_TOKEN", host.bao.root_token())];
    let without_token = CommandUser::new(guest, "root");
    let admin = CommandUser { variables: &with_token, ..without_token };
    let mut recordings = Recordings::open("provision").with_secrets(&[host.bao.root_token()]);
    let mut take =
        |scenario: &str, settings: &[_], command_user: CommandUser<'_>, words: &[&str], code: i32| {
            for setting in settings {
                let (ended, output) = command_user.run(*setting, &[&["provision"][..], words].concat());
                assert_eq!(ended, Some(code), "{output}");
                recordings.compare(scenario, *setting, &output);
            }
        };
    take("no-roster", &[NARROW], admin, &[], 78);
    roster(guest, "users:\n  alice:\n    claude-auth: false\n");
    take("roster-typo", &[NARROW], admin, &[], 78);

    roster(guest, "users:\n  alice:\n  bob:\n  carol: {parked: true}\n  daemon:\n  bbo:\n  Alice:\n");
    take("plan", &ALL_SETTINGS, admin, &["--dry-run"], 1);
    take("no-admin-token", &[NARROW, C, PIPE], without_token, &["--dry-run"], 1);
    roster(guest, "users:\n  alice:\n  bob:\n  dave:\n");
    take("done", &[NARROW], admin, &[], 0);
    take("nothing-to-do", &[NARROW], without_token, &[], 0);

    // One token is expired, one belongs to another user, and one permits too much; two users are
    // missing from the roster.
    let token = |user: &str| {
        let file =
            guest.read(&format!("/home/{user}/.config/claude-auth-sync/vault-token")).expect("a token");
        String::from_utf8(file).expect("text").trim().to_owned()
    };
    host.bao.admin().send_ok("POST", "auth/token/revoke", &json!({ "token": token("alice") }));
    let wide = "path \"secret/data/workstation/claude-users/*\" { capabilities = [\"create\", \"read\", \"update\", \"patch\"] }
        path \"auth/token/lookup-self\" { capabilities = [\"read\"] }
        path \"auth/token/renew-self\" { capabilities = [\"update\"] }";
    host.bao.admin().send_ok("PUT", "sys/policies/acl/workstation-claude-dave", &json!({ "policy": wide }));
    guest.put_vault_token("bob", &token("dave"));
    guest.run("sed -i 's/\"policy_checked_at_ms\": *[0-9]*/\"policy_checked_at_ms\":0/' /var/lib/claude-auth-sync/provisioned/*").expect_success("an old proof");
    take("obstructions", &[NARROW, WIDE, C], without_token, &["--dry-run"], 77);
    roster(guest, "users:\n  alice:\n");
    take("many-removals", &[NARROW], without_token, &["--dry-run"], 1);
    roster(guest, "users:\n  alice:\n  bob:\n  dave:\n");
    host.bao.seal();
    take("sealed", &[NARROW, PIPE], admin, &["--dry-run"], 75);
    host.bao.unseal();

    guest.run("for i in $(seq 100 123); do useradd --create-home p$i; done").expect_success("a class");
    let class: String = (100..124).map(|number| format!("  p{number}:\n")).collect();
    roster(guest, &format!("users:\n  alice:\n  bob:\n  dave:\n{class}"));
    take("many", &[NO_COLOR], admin, &[], 77);
    recordings.end();
}

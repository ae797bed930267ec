//! Which results are a failed unit, and which the journal reports.

use cas_tests::claude_login::{cleared_login, new_login};
use cas_tests::guest::{Guest, Suite};

use super::{failed, host, property};

const SERVICE: &str = "claude-auth-sync@alice.service";

/// The sync could not run, so an administrator must correct something.
#[test]
fn unsuccessful_sync_is_a_failed_unit() {
    let guest = host(Suite::Bookworm, &["alice"]);
    let vault = |rest: &str| format!("store = \"vault\"\n[vault]\naddress = \"https://127.0.0.1:9\"\n{rest}");
    guest.put_login("alice", &new_login("whole"));
    for (configuration, code, why) in [
        (vault(""), 77, "there is no Vault token file"),
        ("store = \"vault\"\n".to_owned(), 78, "vault.address is not set"),
        ("store = \n".to_owned(), 78, "config.toml: line 1"),
        ("stor = \"local\"\n".to_owned(), 78, "did you mean store?"),
    ] {
        guest.configure(&configuration);
        ends(&guest, code, "exit-code", why);
    }
    guest.configure("store = \"local\"\n");
    guest
        .run("s=/home/alice/.local/state/claude-auth-sync; mv $s $s.aside; ln -s /nowhere $s")
        .expect_success("in the way");
    ends(&guest, 1, "exit-code", "/home/alice/.local/state/claude-auth-sync");
    guest
        .run("s=/home/alice/.local/state/claude-auth-sync; rm $s; mv $s.aside $s")
        .expect_success("as it was");
    // A drop-in of the administrator.
    let starts = |program: &str| {
        guest
            .run(&format!("d=/run/systemd/system/{SERVICE}.d; mkdir -p $d && printf '[Service]\\nExecStart=\\nExecStart={program}\\n' >$d/own.conf && systemctl daemon-reload"))
            .expect_success("a drop-in");
    };
    starts("/usr/bin/cas-sync run --quickly");
    ends(&guest, 2, "exit-code", "");
    starts("/bin/sh -c \"kill -KILL $$$$\"");
    ends(&guest, 9, "signal", "");
}

/// None of these is a failure of the unit; alerts get them from the journal.
#[test]
fn temporary_failure_or_user_action_is_not_a_failed_unit() {
    let guest = host(Suite::Bookworm, &["alice"]);
    let login = new_login("whole");
    guest.put_login("alice", &login);
    guest.put_vault_token("alice", "hvs.not-asked-for\n");
    guest.configure("store = \"vault\"\n[vault]\naddress = \"http://127.0.0.1:9\"\n");
    ends(&guest, 75, "success", "store unreachable");
    guest.configure("store = \"local\"\n");
    guest.run("rm /etc/claude-auth-sync/conf.d/90-no-claude.toml").expect_success("enabling verification");
    ends(&guest, 69, "success", "claude cannot be used");
    guest.disable_verification();
    guest.forget_state("alice");
    guest.put_login("alice", &cleared_login(&login));
    ends(&guest, 79, "success", "interactive SSO login required");
    assert_eq!(failed(&guest), "");
}

/// Runs the service, which ends with this exit code or signal and has this line in the journal.
#[track_caller]
fn ends(guest: &Guest, code: i32, result: &str, why: &str) {
    let started =
        guest.run(&format!("systemctl reset-failed {SERVICE}; systemctl start {SERVICE}")).succeeded();
    let seen = (property(guest, SERVICE, "ExecMainStatus"), property(guest, SERVICE, "Result"));
    assert_eq!(seen, (code.to_string(), result.to_owned()), "{}", guest.product_journal());
    assert_eq!(started, result == "success");
    assert_eq!(failed(guest).contains(SERVICE), result != "success");
    let journal = guest.product_journal();
    assert!(journal.lines().last().is_some_and(|line| line.contains(why)), "{why}: {journal}");
}

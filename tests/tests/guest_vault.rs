//! Users with backups in Vault: what happens when it answers, refuses, or is unreachable.

use std::time::Duration;

use cas_tests::{
    claude_login::{HOUR_MS, cleared_login, new_login, parsed, valid_login},
    guest::{Guest, Suite, VaultGuest, document_with, env_file_path, login_path},
    now_ms,
};
use serde_json::json;

/// The deadline of the module.
const DEADLINE: Duration = Duration::from_secs(2);

/// The duration of a login without the product on a loaded machine; a quarter of a second when
/// idle.
const SSHD_OVERHEAD: Duration = Duration::from_millis(1300);

#[test]
fn backup_only_in_vault_is_restored() {
    let host = VaultGuest::start(Suite::Bookworm, "15min");
    let alice = host.enroll("alice");
    let login = new_login("kept");
    alice.put_document(&document_with(&login));
    host.guest.put_login("alice", &cleared_login(&login));

    let seen = host.guest.ssh("alice", "cat .claude/.credentials.json").expect_success("ssh");

    assert_eq!(parsed(&seen.text()), parsed(&login));
    assert_eq!(host.guest.file_status(&login_path("alice")), "600 alice:alice regular file");
    assert_eq!(alice.fields(), document_with(&login), "a login writes nothing into the store");
    let journal = host.guest.product_journal();
    assert!(journal.contains("user=alice RECOVERED"), "{journal}");
    assert!(!journal.contains("refresh-of") && !journal.contains(&alice.token()), "{journal}");
}

#[test]
fn backup_in_vault_survives_the_loss_of_the_machine() {
    let host = VaultGuest::start(Suite::Bookworm, "15min");
    let alice = host.enroll("alice");
    alice.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    let login = new_login("first");
    host.guest.put_login("alice", &login);
    host.guest.sync("alice").expect_success("the first backup");
    assert_eq!(alice.fields()["vaultwarden_email"], "alice@example.org", "other tools' fields stay");

    host.guest.forget_state("alice");
    host.guest.run("rm -r /home/alice/.claude").expect_success("losing the login");
    host.guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(parsed(&host.guest.read_login("alice"))["claudeAiOauth"], parsed(&login)["claudeAiOauth"]);
}

/// As in the runbook: a home was moved, and it needs the backup of the previous machine.
#[test]
fn new_machine_takes_over_a_backup_on_request() {
    let host = VaultGuest::start(Suite::Bookworm, "0s");
    let (alice, guest) = (host.enroll("alice"), &host.guest);
    let login = new_login("first");
    guest.put_login("alice", &login);
    guest.sync("alice").expect_success("a login of this home");
    let label = alice.fields()["backed_up_machine"].as_str().expect("it is noted").to_owned();
    let later = valid_login("later", now_ms() + 8 * HOUR_MS);
    let mut document = document_with(&later);
    document["backed_up_machine"] = "before/0123456789abcdef".into();
    alice.put_document(&document);
    guest
        .run("rm /home/alice/.local/state/claude-auth-sync/history.json")
        .expect_success("removing the local history");
    guest.put_login("alice", &cleared_login(&login));

    guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(parsed(&guest.read_login("alice")), parsed(&cleared_login(&login)), "the other may be in use");
    let journal = guest.product_journal();
    assert!(journal.contains("the backup in the store is used by another machine"), "{journal}");

    // A machine without a login is not an exception, and a clone has the same machine id.
    guest.run("rm -r /home/alice/.claude /home/alice/.local/state/claude-auth-sync").expect_success("new");
    let (_, machine_id) = label.split_once('/').expect("a host name and a machine-id");
    document["backed_up_machine"] = format!("clone/{machine_id}").into();
    alice.put_document(&document);
    guest.sync("alice").expect_success("nothing to do");
    assert!(guest.read(&login_path("alice")).is_none(), "another machine's login was taken");
    let by_hand = "systemd-run --quiet --pipe --wait --collect --uid=alice cas-sync restore --dry-run";
    assert!(!guest.run(by_hand).text().contains("Would restore generation"));
    let requests =
        guest.run(&format!("{by_hand} --from-other-machine")).expect_success("when it is asked for").text();
    assert!(requests.contains("Would restore generation"), "{requests}");

    guest
        .run("echo 'restore_from_other_machines = true' >/etc/claude-auth-sync/conf.d/replaced.toml")
        .expect_success("the administrator's setting");
    guest.sync("alice").expect_success("a sync");
    assert_eq!(parsed(&guest.read_login("alice"))["claudeAiOauth"], parsed(&later)["claudeAiOauth"]);
}

#[test]
fn unreachable_store_delays_only_one_login() {
    let host = VaultGuest::start(Suite::Bookworm, "0s");
    host.enroll("alice");
    let guest = &host.guest;
    // Packets to this IP address leave by the loopback, are received by no process, and are
    // dropped.
    guest.run("ip route add 10.99.0.2/32 dev lo").expect_success("a black hole");
    host.configure_address("https://10.99.0.2:8200", "0s");
    guest.put_login("alice", &cleared_login(&new_login("lost")));
    let before = guest.file_identity(&login_path("alice"));

    let first = login_duration_with_store_request(guest);
    assert!(first < DEADLINE + SSHD_OVERHEAD, "{first:?}");
    assert!(first > DEADLINE / 2, "it really asked: {first:?}");
    guest.ssh_within(SSHD_OVERHEAD, "alice", "true");
    assert_eq!(guest.file_identity(&login_path("alice")), before);
    let journal = guest.product_journal();
    assert!(journal.contains("user=alice WARN"), "{journal}");
}

#[test]
fn unresponsive_server_delays_only_one_login() {
    let host = VaultGuest::start(Suite::Bookworm, "0s");
    host.enroll("alice");
    let guest = &host.guest;
    // The kernel accepts connections for a service that never does.
    guest
        .run("systemd-run --quiet --unit=silent --socket-property=ListenStream=127.0.0.1:8299 sleep infinity")
        .expect_success("a silent server");
    host.configure_address("https://127.0.0.1:8299", "0s");
    guest.put_login("alice", &cleared_login(&new_login("lost")));
    let seen = login_duration_with_store_request(guest);
    assert!(seen < DEADLINE + SSHD_OVERHEAD, "{seen:?}");
    assert!(seen > DEADLINE / 2, "it really asked: {seen:?}");
    guest.ssh_within(SSHD_OVERHEAD, "alice", "true");
}

/// Returns the duration of a login that has not asked the store within the last minute; the shorter
/// of two, for busy machines.
fn login_duration_with_store_request(guest: &Guest) -> Duration {
    let login = || {
        guest.forget_state("alice");
        guest.ssh("alice", "true").expect_success("ssh").took
    };
    login().min(login())
}

#[test]
fn sealed_vault_changes_nothing_and_is_logged() {
    let host = VaultGuest::start(Suite::Bookworm, "0s");
    let alice = host.enroll("alice");
    let login = new_login("kept");
    alice.put_document(&document_with(&login));
    host.guest.put_login("alice", &cleared_login(&login));
    host.guest.put_token("alice", "sk-ant-oat01-known");
    host.bao.seal();

    assert_eq!(
        host.guest.variable_over_ssh("alice").as_deref(),
        Some("sk-ant-oat01-known"),
        "the known token stays"
    );
    host.guest.run(&format!("rm {}", env_file_path("alice"))).expect_success("no token");
    host.guest.forget_state("alice");
    let before = host.guest.file_identity(&login_path("alice"));
    host.guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(host.guest.file_identity(&login_path("alice")), before);
    let journal = host.guest.product_journal();
    assert!(journal.contains("user=alice WARN") && journal.contains("sealed"), "{journal}");

    host.bao.unseal();
    host.guest.forget_state("alice"); // a minute has passed
    host.guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(parsed(&host.guest.read_login("alice")), parsed(&login));
}

#[test]
fn vault_token_of_another_user_is_refused() {
    let host = VaultGuest::start(Suite::Bookworm, "0s");
    let (alice, bob) = (host.enroll("alice"), host.enroll("bob"));
    alice.put_document(&document_with(&new_login("alices")));
    bob.put_document(&document_with(&new_login("bobs")));
    host.guest.put_vault_token("alice", &bob.token());
    host.guest.put_login("alice", &cleared_login(&new_login("alices")));
    let before = host.guest.file_identity(&login_path("alice"));

    host.guest.ssh("alice", "true").expect_success("ssh");

    assert_eq!(host.guest.file_identity(&login_path("alice")), before);
    let journal = host.guest.product_journal();
    let line = journal.lines().find(|line| line.contains("user=alice")).unwrap_or_default();
    assert!(line.contains("bob") && !line.contains(&bob.token()), "{journal}");
}

#[test]
fn valid_login_is_never_overwritten_from_the_store() {
    let host = VaultGuest::start(Suite::Bookworm, "0s");
    let alice = host.enroll("alice");
    host.guest.put_login("alice", &new_login("in-use"));
    let before = host.guest.file_identity(&login_path("alice"));
    let documents = [
        document_with(&valid_login("older", now_ms() + HOUR_MS)),
        document_with(&valid_login("later", now_ms() + 20 * HOUR_MS)),
        document_with(&cleared_login(&new_login("emptied"))),
        json!({ "claude_ai_oauth_json": "not JSON", "credential_expires_at_ms": 9_999_999_999_999_u64 }),
        json!({ "claude_ai_oauth_json": { "accessToken": "an object, not a string" } }),
        json!({}),
    ];
    for document in documents {
        alice.put_document(&document);
        host.guest.ssh("alice", "true").expect_success("ssh");
        assert_eq!(host.guest.file_identity(&login_path("alice")), before, "{document}");
        assert_eq!(alice.fields(), document, "a login writes nothing into the store");
    }
    alice.delete_document();
    host.guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(host.guest.file_identity(&login_path("alice")), before, "a deleted document");
}

#[test]
fn older_generation_in_the_store_is_not_restored() {
    let host = VaultGuest::start(Suite::Bookworm, "0s");
    let alice = host.enroll("alice");
    let (older, newer) =
        (valid_login("older", now_ms() + 2 * HOUR_MS), valid_login("newer", now_ms() + 7 * HOUR_MS));
    for login in [&older, &newer] {
        host.guest.put_login("alice", login);
        host.guest.sync("alice").expect_success("a backup");
    }
    // An old version of the document is written again.
    alice.put_document(&document_with(&older));
    host.guest.put_login("alice", &cleared_login(&newer));
    host.guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(parsed(&host.guest.read_login("alice")), parsed(&newer));
}

/// A guest's own files contain nothing of the store except what belongs to the user.
#[test]
fn fetched_secrets_are_private_to_the_user() {
    let host = VaultGuest::start(Suite::Bookworm, "0s");
    let alice = host.enroll("alice");
    let mut document = document_with(&new_login("kept"));
    document["setup_token"] = "sk-ant-oat01-alices".into();
    alice.put_document(&document);
    host.guest.sync("alice").expect_success("a sync");
    host.guest.ssh("alice", "true").expect_success("ssh");
    let readable = |guest: &Guest| {
        guest.run("find /home/alice/.config/claude-auth-sync /home/alice/.local/state /home/alice/.claude \\( -perm /077 -o ! -user alice \\) ! -path /home/alice/.local/state -print 2>/dev/null").text()
    };
    assert_eq!(readable(&host.guest), "");
}

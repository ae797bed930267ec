//! People whose logins are kept in Vault: what they notice when it answers, when it refuses, and when it is gone.

use std::{thread, time::Duration};

use cas_tests::{
    claude_login::{HOUR_MS, fresh, healthy, parsed, tombstone},
    guest::{Fleet, Guest, Suite, VARIABLE, env_file_path, login_path},
    now_ms,
    openbao::Person,
};
use serde_json::{Value, json};

/// The deadline of the module.
const DEADLINE: Duration = Duration::from_secs(2);

/// What a login takes without us on a loaded machine; a quarter of a second when idle.
const SSHD_ITSELF: Duration = Duration::from_millis(1300);

/// The fields of a document that holds this login, beside another tool's.
fn document_with(login: &str) -> Value {
    let oauth = &parsed(login)["claudeAiOauth"];
    json!({
        "claude_ai_oauth_json": oauth.to_string(),
        "credential_expires_at_ms": oauth["expiresAt"],
        "backed_up_at": "2026-01-01T00:00:00Z",
        "vaultwarden_email": "alice@example.org",
    })
}

fn fields(person: &Person) -> Value {
    person.document().body["data"]["data"].clone()
}

#[test]
fn a_good_copy_in_vault_alone_is_enough() {
    let fleet = Fleet::start(Suite::Bookworm, "15min");
    let alice = fleet.enroll("alice");
    let login = fresh("kept");
    alice.put_document(&document_with(&login));
    fleet.guest.put_login("alice", &tombstone(&login));

    let seen = fleet.guest.ssh("alice", "cat .claude/.credentials.json").expect_success("ssh");

    assert_eq!(parsed(&seen.text()), parsed(&login));
    assert_eq!(fleet.guest.status_of(&login_path("alice")), "600 alice:alice regular file");
    assert_eq!(fields(&alice), document_with(&login), "a login writes nothing into the store");
    let journal = fleet.guest.product_journal();
    assert!(journal.contains("user=alice RECOVERED"), "{journal}");
    assert!(!journal.contains("refresh-of") && !journal.contains(&alice.token()), "{journal}");
}

#[test]
fn what_the_sync_backed_up_survives_the_loss_of_everything_on_the_machine() {
    let fleet = Fleet::start(Suite::Bookworm, "15min");
    let alice = fleet.enroll("alice");
    alice.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    let login = fresh("first");
    fleet.guest.put_login("alice", &login);
    fleet.guest.sync("alice").expect_success("the first backup");
    assert_eq!(fields(&alice)["vaultwarden_email"], "alice@example.org", "other tools' fields stay");

    fleet.guest.forget_state("alice");
    fleet.guest.run("rm -r /home/alice/.claude").expect_success("losing the login");
    fleet.guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(parsed(&fleet.guest.login_of("alice"))["claudeAiOauth"], parsed(&login)["claudeAiOauth"]);
}

#[test]
fn a_black_hole_costs_one_login_the_deadline_and_the_next_nothing() {
    let fleet = Fleet::start(Suite::Bookworm, "0s");
    fleet.enroll("alice");
    let guest = &fleet.guest;
    // Packets for this address leave by the loopback, come in there for nobody, and are dropped without a word.
    guest.run("ip route add 10.99.0.2/32 dev lo").expect_success("a black hole");
    fleet.configure_address("https://10.99.0.2:8200", "0s");
    guest.put_login("alice", &tombstone(&fresh("lost")));
    let before = guest.identity_of(&login_path("alice"));

    let first = a_login_that_asks_the_store(guest);
    assert!(first < DEADLINE + SSHD_ITSELF, "{first:?}");
    assert!(first > DEADLINE / 2, "it really asked: {first:?}");
    guest.ssh_within(SSHD_ITSELF, "alice", "true");
    assert_eq!(guest.identity_of(&login_path("alice")), before);
    let journal = guest.product_journal();
    assert!(journal.contains("user=alice WARN"), "{journal}");
}

#[test]
fn a_server_that_listens_and_never_answers_is_no_better() {
    let fleet = Fleet::start(Suite::Bookworm, "0s");
    fleet.enroll("alice");
    let guest = &fleet.guest;
    // The kernel takes connections on behalf of a service that never takes them over.
    guest
        .run("systemd-run --quiet --unit=silent --socket-property=ListenStream=127.0.0.1:8299 sleep infinity")
        .expect_success("a silent server");
    fleet.configure_address("https://127.0.0.1:8299", "0s");
    guest.put_login("alice", &tombstone(&fresh("lost")));
    let seen = a_login_that_asks_the_store(guest);
    assert!(seen < DEADLINE + SSHD_ITSELF, "{seen:?}");
    assert!(seen > DEADLINE / 2, "it really asked: {seen:?}");
    guest.ssh_within(SSHD_ITSELF, "alice", "true");
}

/// How long a login takes that has not asked the store within the last minute; the shortest of two, for the sake of busy
/// machines.
fn a_login_that_asks_the_store(guest: &Guest) -> Duration {
    let login = || {
        guest.forget_state("alice");
        guest.ssh("alice", "true").expect_success("ssh").took
    };
    login().min(login())
}

#[test]
fn a_sealed_vault_changes_nothing_and_is_named_in_the_journal() {
    let fleet = Fleet::start(Suite::Bookworm, "0s");
    let alice = fleet.enroll("alice");
    let login = fresh("kept");
    alice.put_document(&document_with(&login));
    fleet.guest.put_login("alice", &tombstone(&login));
    fleet.guest.put_token("alice", "sk-ant-oat01-known");
    fleet.bao.seal();

    assert_eq!(
        fleet.guest.variable_by_ssh("alice").as_deref(),
        Some("sk-ant-oat01-known"),
        "the known token stays"
    );
    fleet.guest.run(&format!("rm {}", env_file_path("alice"))).expect_success("no token");
    fleet.guest.forget_state("alice");
    let before = fleet.guest.identity_of(&login_path("alice"));
    fleet.guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(fleet.guest.identity_of(&login_path("alice")), before);
    let journal = fleet.guest.product_journal();
    assert!(journal.contains("user=alice WARN") && journal.contains("sealed"), "{journal}");

    fleet.bao.unseal();
    fleet.guest.forget_state("alice"); // a minute has passed
    fleet.guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(parsed(&fleet.guest.login_of("alice")), parsed(&login));
}

#[test]
fn a_token_that_is_somebody_elses_is_refused() {
    let fleet = Fleet::start(Suite::Bookworm, "0s");
    let (alice, bob) = (fleet.enroll("alice"), fleet.enroll("bob"));
    alice.put_document(&document_with(&fresh("alices")));
    bob.put_document(&document_with(&fresh("bobs")));
    fleet.guest.put_vault_token("alice", &bob.token());
    fleet.guest.put_login("alice", &tombstone(&fresh("alices")));
    let before = fleet.guest.identity_of(&login_path("alice"));

    fleet.guest.ssh("alice", "true").expect_success("ssh");

    assert_eq!(fleet.guest.identity_of(&login_path("alice")), before);
    let journal = fleet.guest.product_journal();
    let line = journal.lines().find(|line| line.contains("user=alice")).unwrap_or_default();
    assert!(line.contains("bob") && !line.contains(&bob.token()), "{journal}");
}

#[test]
fn a_setup_token_in_vault_reaches_every_login_and_leaves_with_its_withdrawal_on_bookworm() {
    a_setup_token_comes_and_goes(Suite::Bookworm);
}

#[test]
fn a_setup_token_in_vault_reaches_every_login_and_leaves_with_its_withdrawal_on_trixie() {
    a_setup_token_comes_and_goes(Suite::Trixie);
}

fn a_setup_token_comes_and_goes(suite: Suite) {
    const TOKEN: &str = "sk-ant-oat01-from_Vault-1";
    let fleet = Fleet::start(suite, "2s");
    let (guest, alice) = (&fleet.guest, fleet.enroll("alice"));
    alice.put_document(&json!({ "setup_token": TOKEN, "vaultwarden_email": "alice@example.org" }));
    let print = format!("printenv {VARIABLE}");

    let environment = guest.ssh("alice", "env").expect_success("ssh").text();
    assert!(environment.lines().any(|line| line == format!("{VARIABLE}={TOKEN}")), "{environment}");
    assert_eq!(guest.status_of(&env_file_path("alice")), "600 alice:alice regular file");
    assert_eq!(guest.read(&env_file_path("alice")), Some(format!("{VARIABLE}={TOKEN}\n").into_bytes()));
    let mut terminal = guest.ssh_terminal("alice");
    terminal.wait_for("$ ");
    assert_eq!(terminal.at_prompt(&print), format!("{TOKEN}\n"), "an interactive shell");
    terminal.leave();
    let mut console = guest.console("alice");
    assert_eq!(console.at_prompt(&print), format!("{TOKEN}\n"), "the console");
    console.leave();
    assert_eq!(guest.unit(&format!("su - alice -c '{print}'")).text(), format!("{TOKEN}\n"), "su -");

    // Vault is down: the known one stays, however old the last answer is.
    fleet.bao.seal();
    thread::sleep(Duration::from_millis(2100));
    assert_eq!(guest.variable_by_ssh("alice").as_deref(), Some(TOKEN));
    fleet.bao.unseal();

    // Withdrawn: gone at the next login that asks the store.
    alice.put_document(&json!({ "setup_token": "", "vaultwarden_email": "alice@example.org" }));
    guest.forget_state("alice"); // the minute in which a sealed store is left in peace has passed
    assert_eq!(guest.variable_by_ssh("alice"), None);
    assert_eq!(guest.read(&env_file_path("alice")), None);
    assert_eq!(fields(&alice)["vaultwarden_email"], "alice@example.org");
}

#[test]
fn a_withdrawn_setup_token_stays_until_the_refresh_age_has_passed_and_not_longer() {
    let fleet = Fleet::start(Suite::Bookworm, "3s");
    let alice = fleet.enroll("alice");
    alice.put_document(&json!({ "setup_token": "sk-ant-oat01-first" }));
    fleet.guest.put_login("alice", &fresh("whole")); // a broken one would be a reason to ask the store at once
    assert_eq!(fleet.guest.variable_by_ssh("alice").as_deref(), Some("sk-ant-oat01-first"));
    alice.put_document(&json!({ "vaultwarden_email": "alice@example.org" })); // the field is gone altogether
    thread::sleep(Duration::from_millis(3100));
    assert_eq!(fleet.guest.variable_by_ssh("alice"), None);
    // Within the age of that answer a new token is not seen yet, because the store is not asked; then it is.
    fleet.configure_address(fleet.bao.address(), "1h");
    alice.put_document(&json!({ "setup_token": "sk-ant-oat01-second" }));
    assert_eq!(fleet.guest.variable_by_ssh("alice"), None);
    fleet.configure_address(fleet.bao.address(), "0s");
    assert_eq!(fleet.guest.variable_by_ssh("alice").as_deref(), Some("sk-ant-oat01-second"));
}

#[test]
fn a_field_that_is_no_setup_token_sets_nothing_and_removes_nothing() {
    let fleet = Fleet::start(Suite::Bookworm, "0s");
    let alice = fleet.enroll("alice");
    let megabyte = format!("sk-ant-oat01-{}", "a".repeat(1 << 19));
    let values = [
        json!("sk-ant-oat01-abc\nLD_PRELOAD=/tmp/evil.so"),
        json!("LD_PRELOAD=/tmp/evil.so"),
        json!("sk-ant-oat01-a\u{0}b"),
        json!("sk-ant-api03-abc"),
        json!(megabyte),
        json!(7),
        json!(["sk-ant-oat01-abc"]),
        json!({ "token": "sk-ant-oat01-abc" }),
    ];
    for value in &values {
        alice.put_document(&json!({ "setup_token": value }));
        let shown: String = value.to_string().chars().take(60).collect();
        let seen = fleet.guest.ssh("alice", "echo in; printenv CLAUDE_CODE_OAUTH_TOKEN LD_PRELOAD").text();
        assert_eq!(seen, "in\n", "{shown}");
        assert_eq!(fleet.guest.read(&env_file_path("alice")), None, "{shown}");
    }
    fleet.guest.put_token("alice", "sk-ant-oat01-known");
    for value in &values {
        alice.put_document(&json!({ "setup_token": value }));
        let shown: String = value.to_string().chars().take(60).collect();
        assert_eq!(fleet.guest.variable_by_ssh("alice").as_deref(), Some("sk-ant-oat01-known"), "{shown}");
    }
}

#[test]
fn a_healthy_login_is_never_written_whatever_the_store_holds() {
    let fleet = Fleet::start(Suite::Bookworm, "0s");
    let alice = fleet.enroll("alice");
    fleet.guest.put_login("alice", &fresh("in-use"));
    let before = fleet.guest.identity_of(&login_path("alice"));
    let documents = [
        document_with(&healthy("older", now_ms() + HOUR_MS)),
        document_with(&healthy("later", now_ms() + 20 * HOUR_MS)),
        document_with(&tombstone(&fresh("emptied"))),
        json!({ "claude_ai_oauth_json": "not JSON", "credential_expires_at_ms": 9_999_999_999_999_u64 }),
        json!({ "claude_ai_oauth_json": { "accessToken": "an object, not a string" } }),
        json!({}),
    ];
    for document in documents {
        alice.put_document(&document);
        fleet.guest.ssh("alice", "true").expect_success("ssh");
        assert_eq!(fleet.guest.identity_of(&login_path("alice")), before, "{document}");
        assert_eq!(fields(&alice), document, "a login writes nothing into the store");
    }
    alice.delete_document();
    fleet.guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(fleet.guest.identity_of(&login_path("alice")), before, "a deleted document");
}

#[test]
fn an_older_generation_in_the_store_never_replaces_what_the_machine_knows_to_be_newer() {
    let fleet = Fleet::start(Suite::Bookworm, "0s");
    let alice = fleet.enroll("alice");
    let (older, newer) = (healthy("older", now_ms() + 2 * HOUR_MS), healthy("newer", now_ms() + 7 * HOUR_MS));
    for login in [&older, &newer] {
        fleet.guest.put_login("alice", login);
        fleet.guest.sync("alice").expect_success("a backup");
    }
    // Somebody puts an old version of the document back.
    alice.put_document(&document_with(&older));
    fleet.guest.put_login("alice", &tombstone(&newer));
    fleet.guest.ssh("alice", "true").expect_success("ssh");
    assert_eq!(parsed(&fleet.guest.login_of("alice")), parsed(&newer));
}

/// Nothing of the store may be in a guest's own files but what belongs to the person.
#[test]
fn nobody_else_can_read_what_was_fetched() {
    let fleet = Fleet::start(Suite::Bookworm, "0s");
    let alice = fleet.enroll("alice");
    let mut document = document_with(&fresh("kept"));
    document["setup_token"] = "sk-ant-oat01-alices".into();
    alice.put_document(&document);
    fleet.guest.sync("alice").expect_success("a sync");
    fleet.guest.ssh("alice", "true").expect_success("ssh");
    let readable = |guest: &Guest| {
        guest.run("find /home/alice/.config/claude-auth-sync /home/alice/.local/state /home/alice/.claude /run/claude-auth-sync/alice \\( -perm /077 -o ! -user alice \\) ! -path /home/alice/.local/state -print 2>/dev/null").text()
    };
    assert_eq!(readable(&fleet.guest), "");
}

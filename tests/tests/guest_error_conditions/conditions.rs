//! No configuration, no home, no server, no `claude`.

use std::collections::BTreeSet;

use super::commands::COMMANDS;
use super::disk_state::{Host, Unchanged, Who, difference};

/// How a command ends.
struct Row {
    words: &'static str,
    who: Who,
    code: i32,
    /// A text of the output or the errors.
    says: &'static str,
}

const fn user(words: &'static str, code: i32, says: &'static str) -> Row {
    Row { words, who: Who::Alice, code, says }
}

const fn root(words: &'static str, code: i32, says: &'static str) -> Row {
    Row { words, who: Who::Root, code, says }
}

/// A command that continues to run, as a service does, and prints nothing.
const CONTINUES: [(&str, &str); 1] =
    [("cas-sync watch", "waits until what it needs is there; the tests of the watch show it")];

/// Runs the rows; every other command must be in `without`, with the reason.
#[track_caller]
fn check_rows(host: &Host, kept: Unchanged, rows: &[Row], without: &[(&str, &str)]) {
    let rows_of: BTreeSet<&str> = COMMANDS
        .iter()
        .map(|command| command.words)
        .filter(|words| rows.iter().any(|row| row.words.starts_with(words)))
        .collect();
    let unasked: BTreeSet<&str> = without.iter().map(|(words, _)| *words).collect();
    let known: BTreeSet<&str> = COMMANDS.iter().map(|command| command.words).collect();
    assert_eq!(rows_of.union(&unasked).copied().collect::<BTreeSet<_>>(), known);
    let before = host.snapshot(kept);
    let mut faults = Vec::new();
    for row in rows {
        let output = host.run(row.who, row.words, "sk-ant-oat01-handed-in-0123456789");
        let (out, error) = (output.text(), String::from_utf8_lossy(&output.stderr).into_owned());
        let is_run = row.words.starts_with("cas-sync run");
        let is_told = format!("{error}{out}").contains(row.says);
        let is_short = row.code == 0 || is_run || error.lines().count() <= 3;
        let is_json = !row.words.contains("--json")
            || out.is_empty()
            || serde_json::from_str::<serde_json::Value>(&out).is_ok();
        if output.code != Some(row.code) || !is_told || !is_short || !is_json {
            faults.push(format!("{}: {:?}, not {}: {out}{error}", row.words, output.code, row.code));
        }
        let after = difference(&before, &host.snapshot(kept));
        if !after.is_empty() {
            faults.push(format!("{} changed {after:?}", row.words));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

const ADMINS: [(&str, &str); 3] = [
    ("cas-sync enroll", "asks nobody, and reads no configuration"),
    ("cas-sync unenroll", "as above"),
    ("cas-sync metrics", "as above"),
];

const ALWAYS_ANSWERS: [(&str, &str); 4] = [
    ("cas-sync sessions", "looks at processes alone"),
    (
        "cas-session login",
        "a login is never kept waiting, and never fails over what is amiss; the tests of logins show it",
    ),
    ("cas-session environment", "says nothing where there is nothing to say"),
    ("cas-session notice", "as above"),
];

#[test]
fn invalid_configuration_is_named_and_nothing_is_done() {
    let host = Host::start();
    let rows = [
        user("cas-sync run", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync check", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync check --json", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync verify", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync backup", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync restore", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync restore --dry-run --json", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync login", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync logout --yes", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync token set", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync token show", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync token show --json", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync token clear --yes", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync token import", 78, "/etc/claude-auth-sync/config.toml"),
        user("cas-sync doctor", 1, "[configuration-invalid]"),
        user("cas-sync doctor --json", 1, "configuration-invalid"),
        // That of the last sync.
        user("cas-sync status", 78, "/etc/claude-auth-sync/config.toml"),
        root("cas-sync provision", 78, "/etc/claude-auth-sync/config.toml"),
        root("cas-sync provision --dry-run --json", 78, "/etc/claude-auth-sync/config.toml"),
        root("cas-sync provision --print-policy", 78, "/etc/claude-auth-sync/config.toml"),
    ];
    let without = [&CONTINUES[..], &ADMINS, &ALWAYS_ANSWERS].concat();
    for text in
        ["store = 7\n", "store = \"vault\n", "store = \"valt\"\n", "[vault]\nadress = 7\nmount = false\n"]
    {
        host.vault_guest.guest.configure(text);
        check_rows(&host, Unchanged::AllButOwnNotes, &rows, &without);
    }
    // Root can read files of any mode, but not a directory.
    host.vault_guest
        .guest
        .run("rm /etc/claude-auth-sync/config.toml; mkdir /etc/claude-auth-sync/config.toml")
        .expect_success("a folder");
    check_rows(&host, Unchanged::AllButOwnNotes, &rows, &without);
    host.vault_guest.guest.run("rmdir /etc/claude-auth-sync/config.toml").expect_success("removed");
    host.vault_guest.guest.write("/etc/claude-auth-sync/config.toml", "root", "600", b"store = \"local\"\n");
    let provision = [("cas-sync provision", "root reads it")];
    let (rows, _): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.who == Who::Alice);
    check_rows(&host, Unchanged::AllButOwnNotes, &rows, &[&without[..], &provision].concat());
}

#[test]
fn missing_home_is_named_and_not_created() {
    let host = Host::start();
    host.vault_guest.guest.run("mv /home/alice /home/elsewhere").expect_success("it is away");
    let rows = [
        user("cas-sync run", 0, "SKIP the home is missing"),
        user("cas-sync check", 75, "is missing"),
        user("cas-sync verify --json", 75, "is missing"),
        user("cas-sync backup", 75, "is missing"),
        user("cas-sync restore", 75, "is missing"),
        user("cas-sync restore --list --json", 75, "is missing"),
        user("cas-sync login", 75, "is missing"),
        user("cas-sync logout --yes", 75, "is missing"),
        user("cas-sync token set", 75, "is missing"),
        user("cas-sync token show", 75, "is missing"),
        user("cas-sync token clear --yes", 75, "is missing"),
        user("cas-sync token import", 75, "is missing"),
        user("cas-sync doctor --json", 1, "login-missing"),
        user("cas-sync status", 79, "there is no login"),
        user("cas-sync sessions --json", 0, ""),
        user("cas-session environment", 0, ""),
        user("cas-session notice", 0, ""),
        root("cas-session login --user=alice", 0, ""),
        root("cas-sync doctor alice --json", 1, "login-missing"),
        root("cas-sync sessions", 0, ""),
        root("cas-sync metrics", 0, ""),
    ];
    let without = [
        ("cas-sync enroll", "opens nothing in a home; guest_home_types shows it"),
        ("cas-sync unenroll", "as above"),
        ("cas-sync provision", "guest_provision::homes shows it"),
    ];
    check_rows(&host, Unchanged::AllButOwnNotes, &rows, &[&CONTINUES[..], &without].concat());
}

/// Returns the commands that need a server, when it is unavailable. `code` is the documented exit
/// status, `says` a text of the message.
fn store_rows(code: i32, says: &'static str) -> [Row; 11] {
    [
        user("cas-sync run", code, says),
        user("cas-sync backup", code, says),
        user("cas-sync backup --json", code, says),
        user("cas-sync restore --list", code, says),
        user("cas-sync restore --list --json", code, says),
        user("cas-sync token set --unverified", code, says),
        user("cas-sync token show", code, says),
        user("cas-sync token show --json", code, says),
        user("cas-sync token clear --yes", code, says),
        user("cas-sync token import --unverified", code, says),
        user("cas-sync logout --yes", code, says),
    ]
}

const WITHOUT_SERVER: [(&str, &str); 5] = [
    ("cas-sync check", "asks no server"),
    ("cas-sync verify", "as above"),
    ("cas-sync status", "as above"),
    ("cas-sync login", "asks `claude` first; the tests of it have a server that is away"),
    ("cas-sync doctor", "guest_doctor::store breaks the server in each of these ways"),
];

/// A setup token that was written by hand.
const BY_HAND: &str = "sk-ant-oat01-by-hand-0123456789";

#[test]
fn unreachable_store_leaves_no_partial_changes() {
    let host = Host::start();
    let guest = &host.vault_guest.guest;
    let without = [&CONTINUES[..], &ADMINS, &ALWAYS_ANSWERS, &WITHOUT_SERVER].concat();
    let provisioned = [("cas-sync provision", "waits for an admin's token, whatever else is missing")];
    guest.put_token("alice", BY_HAND);
    let before = host.alice.fields();

    guest.configure("store = \"vault\"\n");
    let rows = store_rows(78, "vault.address is not set");
    let provision = [
        root("cas-sync provision", 78, "vault.address is not set"),
        root("cas-sync provision --dry-run --json", 78, "vault.address is not set"),
    ];
    check_rows(
        &host,
        Unchanged::AllButOwnNotes,
        &rows.into_iter().chain(provision).collect::<Vec<_>>(),
        &without,
    );

    host.vault_guest.configure_address("https://127.0.0.1:9", "15min");
    let rows = store_rows(75, "127.0.0.1:9");
    let provision = [root("cas-sync provision --json", 75, "127.0.0.1:9")];
    check_rows(
        &host,
        Unchanged::AllButOwnNotes,
        &rows.into_iter().chain(provision).collect::<Vec<_>>(),
        &without,
    );

    host.vault_guest.configure_address(host.vault_guest.bao.address(), "15min");
    let path = "/home/alice/.config/claude-auth-sync/vault-token";
    guest.run(&format!("mv {path} /root/vault-token")).expect_success("no token");
    check_rows(
        &host,
        Unchanged::AllButOwnNotes,
        &store_rows(77, "vault-token"),
        &[&without[..], &provisioned].concat(),
    );
    guest.run(&format!("mv /root/vault-token {path}")).expect_success("the token");

    host.vault_guest.bao.seal();
    let rows = store_rows(75, "sealed");
    let provision = [root("cas-sync provision --json", 75, "sealed")];
    check_rows(
        &host,
        Unchanged::AllButOwnNotes,
        &rows.into_iter().chain(provision).collect::<Vec<_>>(),
        &without,
    );
    host.vault_guest.bao.unseal();
    assert_eq!(host.alice.fields(), before, "the document is as it was");
}

#[test]
fn missing_client_accepts_no_unverified_credential() {
    let host = Host::start();
    let without = [
        ("cas-sync check", "asks no `claude`"),
        ("cas-sync status", "as above"),
        ("cas-sync provision", "as above"),
        ("cas-sync token show", "as above"),
        ("cas-sync token clear", "as above"),
        ("cas-sync logout", "deletes the login without it, and says so; the tests of it show it"),
        ("cas-sync doctor", "guest_doctor::sign_in has no claude, and one that is too old"),
    ];
    let before = host.alice.fields();
    for program in ["/nowhere/claude", "/etc/passwd", "/bin/true"] {
        let verify = format!("verify = true\n[claude]\nprogram = {program:?}\n");
        let guest = &host.vault_guest.guest;
        guest.write("/etc/claude-auth-sync/conf.d/95-verify.toml", "root", "644", verify.as_bytes());
        let rows = [
            user("cas-sync run", 69, "claude"),
            user("cas-sync verify", 69, "claude"),
            user("cas-sync verify --json", 69, "claude"),
            user("cas-sync backup --verify", 69, "claude"),
            user("cas-sync restore", 69, "claude"),
            user("cas-sync login --email alice@example.org", 69, "claude"),
            user("cas-sync token set", 69, "claude"),
            user("cas-sync token import", 1, "cas-sync token set"),
        ];
        check_rows(
            &host,
            Unchanged::AllButOwnNotes,
            &rows,
            &[&CONTINUES[..], &ADMINS, &ALWAYS_ANSWERS, &without].concat(),
        );
    }
    assert_eq!(host.alice.fields(), before, "the document is as it was");
}

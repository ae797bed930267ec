//! The cost limit of the store for a login, in instructions, and the crates that must never be
//! linked.

use std::path::Path;
use std::process::Command;

use cas_tests::claude_login::new_login;
use cas_tests::openbao::Policy;
use cas_tests::test_user::{LOGIN, NAME, TestUser};
use serde_json::json;

/// Instructions of a complete process of the login helper that reads a document over TLS in one
/// request. Measured: see docs/admin/vault.md. With reqwest's default cryptography, whose entropy
/// collector counts jitter, it is more than four hundred million.
const CEILING: u64 = 6_000_000;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Runs the login helper under callgrind, with the longest deadline, because callgrind makes it
/// fifty times slower. Returns the number of instructions.
fn count_instructions(test_user: &TestUser) -> u64 {
    let helper = test_user.program("cas-session").display().to_string();
    let user = format!("--user={NAME}");
    let arguments = [
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        &helper,
        "login",
        "--reply=1",
        "--deadline-ms=60000",
        &user,
    ];
    let output = test_user.output(test_user.command_of_root("valgrind".as_ref(), &arguments));
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : "));
    let count = collected.unwrap_or_else(|| panic!("no count in: {report}; run `make test-deps`")).1;
    count.trim().parse().expect("a number")
}

#[test]
fn tls_read_stays_below_its_instruction_limit() {
    let alice = TestUser::create();
    let bao = alice.bao();
    let vault_user = alice.use_store(&bao, Policy::Patch);
    vault_user.put_document(&json!({ "theirs": "y".repeat(1000) }));
    // Each login asks the store.
    alice.configure("verify = false\nlogin_refresh_after = \"0s\"\n");
    alice.put(LOGIN, &new_login("one"));
    let asked = |instructions: &mut u64| {
        let before = bao.requests().len();
        *instructions = count_instructions(&alice);
        let asked = bao.requests().split_off(before);
        asked.iter().map(|asked| asked.operation.clone()).collect::<Vec<_>>()
    };
    let mut instructions = 0;
    assert_eq!(asked(&mut instructions), ["read", "read"], "it looks the token up, once");
    assert_eq!(asked(&mut instructions), ["read"]);
    eprintln!("one read over TLS: {instructions} instructions");
    assert!(instructions < CEILING, "{instructions} instructions");
    assert!(instructions > CEILING / 10, "{instructions} instructions cannot be a complete TLS connection");
}

/// Returns the names of all packages that any part of the workspace builds or links.
fn packages() -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--offline", "--edges", "normal,build", "--prefix", "none"])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn only_ring_is_linked_for_cryptography() {
    let packages = packages();
    for wanted in ["ring", "rustls", "reqwest", "cas-core"] {
        assert!(
            packages.iter().any(|name| name == wanted),
            "{wanted} is not in the tree: was it asked for rightly?"
        );
    }
    for unwanted in ["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls", "h2"] {
        assert!(
            packages.iter().all(|name| name != unwanted),
            "{unwanted} came in: see `cargo tree -i {unwanted}`"
        );
    }
}

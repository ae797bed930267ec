//! What the store may cost a login, counted rather than timed, and what must never be linked into it.

use std::path::{Path, PathBuf};
use std::process::Command;

use cas_tests::openbao::{Bao, Policy};

/// Instructions of a whole process that reads a document over TLS in one request. Measured: see docs/admin/vault.md. With
/// reqwest's default cryptography, whose entropy collector counts jitter, it is more than four hundred million.
const CEILING: u64 = 6_000_000;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The program as it would be shipped.
fn release_build() -> PathBuf {
    let output = Command::new(workspace().join("packaging/build.sh"))
        .args([
            env!("CARGO"),
            "build",
            "--release",
            "--locked",
            "--package",
            "cas-tests",
            "--bin",
            "store-read-once",
        ])
        .args(["--message-format", "json"])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    let built = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let executables: Vec<String> =
        built.filter_map(|message| message["executable"].as_str().map(str::to_owned)).collect();
    executables.last().expect("an executable").into()
}

/// Runs the program under callgrind; returns what it printed and how many instructions it took.
fn count_instructions(program: &Path, arguments: &[&str]) -> (String, u64) {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("valgrind: {error}; run `make test-deps`"));
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : "));
    let count = collected.unwrap_or_else(|| panic!("no count in: {report}")).1.trim().parse().unwrap();
    (String::from_utf8(output.stdout).unwrap(), count)
}

#[test]
fn one_read_over_tls_stays_below_its_ceiling() {
    let bao = Bao::tls();
    let alice = bao.person("alice", Policy::Patch);
    alice.put_document(&serde_json::json!({ "setup_token": "x", "theirs": "y".repeat(1000) }));
    let folder = tempfile::tempdir().unwrap();
    let (memory, token_file) = (folder.path().join("memory"), alice.token_file());
    let arguments = [
        bao.address(),
        bao.ca_cert().unwrap().to_str().unwrap(),
        "alice",
        token_file.to_str().unwrap(),
        memory.to_str().unwrap(),
        "60000",
    ];
    let program = release_build();
    let (first, _) = count_instructions(&program, &arguments);
    assert!(first.starts_with("version=1 requests=2 "), "{first}");
    let (second, instructions) = count_instructions(&program, &arguments);
    assert!(second.starts_with("version=1 requests=1 "), "{second}");
    eprintln!("one read over TLS: {instructions} instructions");
    assert!(instructions < CEILING, "{instructions} instructions");
    assert!(instructions > CEILING / 10, "{instructions} instructions cannot be a whole TLS connection");
}

/// The names of all packages that any part of the workspace builds or links.
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
fn no_cryptography_but_rings_is_linked() {
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

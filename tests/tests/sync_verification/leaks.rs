//! No token is visible while the client is at work.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cas_protocol::deadline::Deadline;
use cas_tests::anthropic::MessageAnswer::Silence;

use super::*;

/// Returns the descendants of this process.
pub(super) fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut next = vec![pid];
    while let Some(pid) = next.pop() {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            next.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        found.push(pid);
    }
    found.retain(|found| *found != pid);
    found
}

/// Returns the client among the descendants of a running sync.
pub(super) fn find_client(pid: u32) -> u32 {
    let is_client = |pid: &u32| command_line(*pid).contains("--output-format");
    let found = descendants(pid).into_iter().find(is_client);
    found.unwrap_or_else(|| panic!("no client below {pid}: {:?}", descendants(pid)))
}

/// Returns the scratch directory of a client.
pub(super) fn scratch_directory(client: u32) -> PathBuf {
    let temporary = PathBuf::from(&environment(client)["TMPDIR"]);
    temporary.parent().expect("it is in the scratch directory").to_owned()
}

fn command_line(pid: u32) -> String {
    String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()).into_owned()
}

fn environment(pid: u32) -> BTreeMap<String, String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).expect("an environment");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn verification_leaks_no_token_and_leaves_no_files() {
    let fixture = fixture();
    let (alice, login) = signed_in(&fixture, "alice");
    fixture.anthropic().answer_messages(&login.access_token, Some(Silence));
    let running = alice.sync().start().expect("a start");
    assert!(fixture.anthropic().wait_for(&Deadline::after(LIMIT), |request| request.is_message()));

    let client = find_client(running.pid());
    let variables = environment(client);
    assert!(variables.contains_key("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR"), "{variables:?}");
    for pid in descendants(running.pid()).into_iter().chain([running.pid()]) {
        let seen = format!("{}{:?}", command_line(pid), environment(pid));
        assert!(!seen.contains("sk-ant-"), "process {pid}: {seen}");
    }
    // Nothing of the test's and the sync's environment; only the network variables of the
    // configuration.
    let expected = [
        "ANTHROPIC_CONFIG_DIR",
        "API_TIMEOUT_MS",
        "CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK",
        "CLAUDE_CODE_MAX_RETRIES",
        "CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR",
        "CLAUDE_CODE_TMPDIR",
        "CLAUDE_CONFIG_DIR",
        "CLAUDE_STREAM_IDLE_TIMEOUT_MS",
        "DISABLE_AUTOUPDATER",
        "DISABLE_ERROR_REPORTING",
        "DISABLE_TELEMETRY",
        "HOME",
        "LANG",
        "NODE_EXTRA_CA_CERTS",
        "PATH",
        "TMPDIR",
    ];
    assert_eq!(variables.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    let scratch = scratch_directory(client);
    assert_eq!((scratch.is_dir(), variables["HOME"].as_str()), (true, scratch.to_str().expect("text")));
    assert_eq!(fs::metadata(&scratch).expect("there").mode() & 0o7777, 0o700);
    for text in texts_below(&scratch) {
        assert!(!text.contains("sk-ant-"), "{text}");
    }

    let output = running.end(LIMIT).expect("an end");
    assert_eq!(output.exit_code, TRY_LATER, "{}", output.stdout);
    assert!(!scratch.exists());
    let log = fs::read_to_string(alice.state_file("sync.log")).expect("a log");
    assert!(!(output.stdout + &output.stderr + &log).contains("sk-ant-"));
}

fn texts_below(directory: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    // The client creates and removes its locks meanwhile.
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => texts.extend(texts_below(&entry.path())),
            Ok(kind) if kind.is_file() => {
                texts.push(String::from_utf8_lossy(&fs::read(entry.path()).unwrap_or_default()).into_owned());
            }
            _ => (),
        }
    }
    texts
}

//! Concurrent writes of the real command lines: scripts write with `bao kv` while `cas-sync run`
//! backs up one new login after the other.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cas_tests::claude_login::{HOUR_MS, parsed, valid_login};
use cas_tests::now_ms;
use cas_tests::openbao::{self, Bao, Policy};
use cas_tests::size::sized;
use cas_tests::test_user::{LOGIN, NAME, TestUser};
use serde_json::{Value, json};

const WRITERS: usize = 8;

/// Returns how often each writes: at full size five hundred rounds under both policies together.
/// Those that read and write the complete document do it less often, since most of their rounds
/// must be repeated several times.
fn write_count(writer: usize) -> usize {
    if writer < 3 { sized(16, 4) } else { sized(42, 10) }
}

/// The interval between two runs of the product.
const PAUSE: Duration = Duration::from_millis(500);

/// An administrator with a token and the command line, in the user's network.
struct Shell<'world> {
    test_user: &'world TestUser,
    bao: &'world Bao,
    document: String,
}

impl Shell<'_> {
    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(openbao::binary());
        command.env_clear().env("BAO_ADDR", self.bao.address()).env("BAO_TOKEN", self.bao.root_token());
        command.env("BAO_CACERT", "/etc/claude-auth-sync/ca.pem").env("HOME", "/nonexistent");
        command.arg("kv").args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.test_user.inside(move || command.spawn()).expect("bao starts");
        // If it reads nothing it may have ended.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        child.wait_with_output().expect("bao ends")
    }

    /// Patches the document; the server merges.
    fn patch(&self, field: &str) -> bool {
        self.succeeds(&["patch", &self.document, &format!("{field}=theirs")], "")
    }

    /// Patches as scripts do that have no `patch` in their policy: the command reads and writes the
    /// complete document.
    fn patch_with_read_and_write(&self, field: &str) -> bool {
        self.succeeds(&["patch", "-method=rw", &self.document, &format!("{field}=theirs")], "")
    }

    /// Puts the document: reads it, and writes it over the version that was read.
    fn put(&self, field: &str) -> bool {
        let read = self.run(&["get", "-format=json", &self.document], "");
        let mut read: Value = serde_json::from_slice(&read.stdout).expect("the document");
        let version = read["data"]["metadata"]["version"].as_u64().expect("a version");
        let mut fields = read["data"]["data"].take();
        fields[field] = json!("theirs");
        self.succeeds(&["put", &format!("-cas={version}"), &self.document, "-"], &fields.to_string())
    }

    fn succeeds(&self, arguments: &[&str], input: &str) -> bool {
        let output = self.run(arguments, input);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || error.contains("check-and-set"), "{arguments:?}: {error}");
        output.status.success()
    }

    /// Adds a field, with as many attempts as necessary.
    fn add(&self, writer: usize, field: &str) -> usize {
        for conflicts in 0..500 {
            let is_done = match writer {
                0 => self.patch_with_read_and_write(field),
                1 | 2 => self.put(field),
                _ => self.patch(field),
            };
            if is_done {
                return conflicts;
            }
        }
        panic!("{field} never got through");
    }
}

/// Backs up one new login after the other. Returns the last one, and the number of runs.
fn back_up_repeatedly(test_user: &TestUser, are_done: &AtomicBool) -> (String, usize) {
    let begun = now_ms();
    for count in 0.. {
        let is_last = are_done.load(Ordering::Acquire);
        let login = valid_login(&format!("generation-{count}"), begun + 7 * HOUR_MS + count * 1000);
        test_user.put(LOGIN, &login);
        let output = test_user.sync();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // Another writer may be faster five times in a row; then the next run backs it up.
        assert!(output.status.success() || text.contains("meanwhile"), "{output:?}");
        if is_last && text.contains("backed up") {
            return (login, usize::try_from(count).expect("few") + 1);
        }
        // A run of the product takes a tenth of the time of a writer of the complete document.
        std::thread::sleep(PAUSE);
    }
    unreachable!("the count has no end")
}

fn race(policy: Policy) {
    let test_user = TestUser::create();
    let bao = test_user.bao();
    let vault_user = test_user.use_store(&bao, policy);
    vault_user.put_document(&json!({ "first": "x" }));
    let are_done = AtomicBool::new(false);
    let (last, runs, conflicts) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| back_up_repeatedly(&test_user, &are_done));
        let others: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let document = format!("secret/workstation/claude-users/{NAME}");
                let shell = Shell { test_user: &test_user, bao: &bao, document };
                let write = move |number| shell.add(writer, &format!("w{writer}n{number}"));
                scope.spawn(move || (0..write_count(writer)).map(write).sum::<usize>())
            })
            .collect();
        let outcomes: Vec<_> = others.into_iter().map(|other| other.join()).collect();
        are_done.store(true, Ordering::Release);
        let conflicts = outcomes.into_iter().map(|outcome| outcome.expect("the other writers succeed"));
        let conflicts: usize = conflicts.sum();
        let (last, runs) = ours.join().expect("every run of the product ended");
        (last, runs, conflicts)
    });
    let document = vault_user.fields();
    let all = (0..WRITERS).flat_map(|writer| (0..write_count(writer)).map(move |n| format!("w{writer}n{n}")));
    let names: Vec<String> = all.collect();
    let lost: Vec<&String> = names.iter().filter(|name| document[name] != json!("theirs")).collect();
    eprintln!("{policy:?}: {runs} runs of ours among {} writes, {conflicts} conflicts", names.len());
    assert!(names.len() >= sized(250, 60) && lost.is_empty(), "lost: {lost:?}");
    assert_eq!(document["first"], json!("x"));
    let backup = document["claude_ai_oauth_json"].as_str().expect("a backup");
    assert_eq!(parsed(backup), parsed(&last)["claudeAiOauth"], "the last login is what is there");
    assert!(conflicts > 0 && runs > sized(10, 3), "the race was one");
}

#[test]
fn concurrent_command_line_fields_survive_merges() {
    race(Policy::Patch);
}

#[test]
fn concurrent_command_line_fields_survive_replacements() {
    race(Policy::Update);
}

//! How the real clients and this project's parser read credential files of every kind.
//!
//! `answers.tsv` holds the result of each client for each file of the corpus. Each run compares the
//! parser with that table, and runs the newest client with 30 of the files, chosen by the day. At
//! full size (`CAS_FULL_SIZE=1`) both clients run with all of them, and the one that npm publishes
//! with 30. `RECORD=1` adds the files that the table lacks; at full size it rewrites the table.

mod client;
mod parser;
mod recording;

use std::process::Command;

use cas_tests::claude_client::{NEWEST, OLDER, now_in_milliseconds};
use cas_tests::credential_corpus::{Case, cases};

use self::recording::Recording;

/// The number of files that a run tests with the newest client.
const SAMPLE: usize = 30;
const DAY: i64 = 24 * 3_600_000;

#[test]
fn recording_has_each_case_once() {
    let recording = Recording::load();
    let cases: Vec<_> = cases().into_iter().map(|case| case.name).collect();
    assert_eq!(recording.names(), cases, "run this suite with RECORD=1");
}

/// A login that any client uses is never replaced, and one that no client uses is never valid.
#[test]
fn parser_reads_each_file_as_the_clients_do() {
    let recording = Recording::load();
    let mut wrong = Vec::new();
    for case in cases() {
        let answers = recording.answers(&case.name);
        if let Err(difference) = parser::compare(&case, &answers) {
            wrong.push(format!("{}: {difference}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn clients_answer_as_recorded() {
    if recording::is_wanted() {
        return record();
    }
    let recording = Recording::load();
    let full = cas_tests::size::full_size();
    let mut wrong = Vec::new();
    for version in if full { &[OLDER, NEWEST][..] } else { &[NEWEST][..] } {
        let chosen = if full { cases() } else { daily_sample() };
        for (case, answer) in chosen.iter().zip(client::answers(version, &chosen)) {
            let recorded = recording.answer(&case.name, version);
            if answer != recorded {
                wrong.push(format!("{version}, {}: {answer}; recorded: {recorded}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
}

/// Reports a newer client on npm that answers differently, so that it is looked at before users get
/// it. Only at full size: the merge does not depend on what is published.
#[test]
fn published_client_answers_as_recorded() {
    let setup = concat!(env!("CARGO_MANIFEST_DIR"), "/setup/claude");
    let output = Command::new(setup).arg("published").output().expect("the script");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = String::from_utf8(output.stdout).expect("a path");
    let version = path.split("claude-").last().and_then(|rest| rest.split('/').next()).expect("a version");
    println!("npm publishes {version}; the suites run {NEWEST}");
    let (recording, chosen) = (Recording::load(), daily_sample());
    let mut wrong = Vec::new();
    for (case, answer) in chosen.iter().zip(client::answers(version, &chosen)) {
        let recorded = recording.answer(&case.name, NEWEST);
        if answer != recorded {
            wrong.push(format!("{version}, {}: {answer}; {NEWEST}: {recorded}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs both clients with the files that the table lacks, or with all of them at full size.
fn record() {
    let mut recording = Recording::load();
    let (full, names) = (cas_tests::size::full_size(), recording.names().join("\n"));
    let is_recorded = |case: &Case| names.lines().any(|name| name == case.name);
    let wanted: Vec<_> = cases().into_iter().filter(|case| full || !is_recorded(case)).collect();
    for version in [OLDER, NEWEST] {
        for (case, answer) in wanted.iter().zip(client::answers(version, &wanted)) {
            recording.set(&case.name, version, answer);
        }
    }
    recording.save(&cases());
}

/// Returns other files each day, so that all of them are tested within two weeks.
fn daily_sample() -> Vec<Case> {
    let mut chosen = cases();
    let first = usize::try_from(now_in_milliseconds() / DAY).unwrap_or(0) * SAMPLE % chosen.len();
    chosen.rotate_left(first);
    chosen.truncate(SAMPLE);
    chosen
}

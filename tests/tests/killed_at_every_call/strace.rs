//! Running the sync under strace(1): to learn which system calls it makes, and to be killed at one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use cas_tests::resident::{NAME, Resident};

/// The system calls of one undisturbed run.
#[derive(Debug)]
pub(crate) struct Calls(BTreeMap<String, usize>);

impl Calls {
    /// Runs the sync to its end and counts.
    pub(crate) fn of_a_run(resident: &Resident) -> Self {
        let trace = resident.folder().join("trace");
        let output = under_strace(resident, &["-o", &trace.display().to_string()]);
        assert!(output.status.success(), "an undisturbed run: {output:?}");
        let text = fs::read_to_string(trace).expect("strace wrote its trace");
        let mut calls = BTreeMap::new();
        for line in text.lines() {
            let call = line.split_once(' ').map(|(_, call)| call.trim_start()).unwrap_or_default();
            let name = call.split_once('(').map(|(name, _)| name).unwrap_or_default();
            // Neither the second half of a call, nor a signal, nor the end.
            if !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
                *calls.entry(name.to_owned()).or_default() += 1;
            }
        }
        assert!(calls.len() > 20 && calls.contains_key("renameat"), "strace saw no run: {calls:?}");
        Self(calls)
    }

    /// Their names.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// How often this one was made.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// All of them.
    pub(crate) fn total(&self) -> usize {
        self.0.values().sum()
    }
}

/// Runs the sync and kills it as it enters the `nth` call of this name; false when it came to its end before.
pub(crate) fn kill_at(resident: &Resident, name: &str, nth: usize) -> bool {
    let inject = format!("inject={name}:signal=KILL:when={nth}");
    let output = under_strace(resident, &["-o", "/dev/null", "-e", &format!("trace={name}"), "-e", &inject]);
    let was_killed = output.status.signal() == Some(9) || output.status.code() == Some(128 + 9);
    assert!(was_killed || output.status.success(), "{name} {nth}: {output:?}");
    was_killed
}

/// strace passes the end of what it runs on as its own.
fn under_strace(resident: &Resident, options: &[&str]) -> Output {
    let program = resident.program("cas-sync").display().to_string();
    let arguments = [&["-f", "-qq", "-u", NAME][..], options, &[&program, "run"]].concat();
    resident.output(resident.command_of_root("strace".as_ref(), &arguments))
}

//! Runs a command under strace(1): to record its system calls, and to kill it at one of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use cas_tests::size::full_size;
use cas_tests::test_user::{NAME, TestUser};

/// The system calls after which something outside of the process may be different: a file, a lock,
/// a request to a server, a child. A process that is killed at another call leaves the state of the
/// next one of these.
const CHANGES: &str = "\
    bind chmod chown clone clone3 connect copy_file_range creat execve exit_group fallocate fchmod \
    fchmodat fchmodat2 fchown fchownat fdatasync flock fork fsetxattr fsync ftruncate futimesat kill \
    lchown link linkat listen mkdir mkdirat mknod mknodat pidfd_send_signal pwrite64 pwritev pwritev2 \
    rename renameat renameat2 rmdir sendfile sendmmsg sendmsg sendto setsockopt setxattr shutdown socket \
    splice symlink symlinkat tgkill truncate unlink unlinkat utime utimensat utimes vfork wait4 waitid \
    write writev";
/// Calls of which only some change anything, and the arguments by which those are recognized.
const CONDITIONAL_CALLS: &[(&str, &[&str])] = &[
    ("open", &["O_CREAT", "O_TRUNC"]),
    ("openat", &["O_CREAT", "O_TRUNC"]),
    ("openat2", &["O_CREAT", "O_TRUNC"]),
    ("fcntl", &["F_SETLK", "F_OFD_SETLK"]),
];

/// The command of a sweep, and its exit status if it is undisturbed.
#[derive(Clone, Copy)]
pub(crate) struct Subcommand {
    pub words: &'static [&'static str],
    pub code: i32,
}

/// The sync.
pub(crate) const RUN: Subcommand = Subcommand { words: &["run"], code: 0 };

/// The system calls of one undisturbed run: for each name, whether its first, second, ... call
/// changed something.
#[derive(Debug)]
pub(crate) struct Calls(BTreeMap<String, Vec<bool>>);

impl Calls {
    /// Runs the command to its end and records them.
    pub(crate) fn trace_run(test_user: &TestUser, command: Subcommand) -> Self {
        let trace = test_user.folder().join("trace");
        let output = under_strace(test_user, command, &["-o", &trace.display().to_string()]);
        assert_eq!(output.status.code(), Some(command.code), "an undisturbed run: {output:?}");
        let text = fs::read_to_string(trace).expect("strace wrote its trace");
        let mut calls = BTreeMap::<String, Vec<bool>>::new();
        for line in text.lines() {
            let call = line.split_once(' ').map(|(_, call)| call.trim_start()).unwrap_or_default();
            let (name, arguments) = call.split_once('(').unwrap_or_default();
            // Ignores the second half of a call, signals, and the end.
            if !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
                calls.entry(name.to_owned()).or_default().push(changes(name, arguments));
            }
        }
        assert!(calls.len() > 20 && calls.contains_key("renameat"), "strace saw no run: {calls:?}");
        Self(calls)
    }

    /// Returns the points at which a run is killed: names, and the numbers of the calls. At full
    /// size that is every call; else each that changes something.
    pub(crate) fn points(&self) -> Vec<(&str, Vec<usize>)> {
        let numbers = |of_name: &Vec<bool>| {
            let count = of_name.len();
            if full_size() || of_name.iter().all(|changes| *changes) {
                // A run is not always the same to the last call, so it is killed as long as there
                // is another one.
                return (1..=2 * count + 20).collect();
            }
            (1..=count).filter(|number| of_name[number - 1]).collect()
        };
        self.0.iter().map(|(name, of_name)| (name.as_str(), numbers(of_name))).collect()
    }

    /// Returns the number of calls at which a run can be killed.
    pub(crate) fn total(&self) -> usize {
        let of_name = |calls: &Vec<bool>| match full_size() {
            true => calls.len(),
            false => calls.iter().filter(|changes| **changes).count(),
        };
        self.0.values().map(of_name).sum()
    }
}

/// Returns true for a call that changes something. A call that strace could not print in one line
/// counts as a change.
fn changes(name: &str, arguments: &str) -> bool {
    let sometimes = CONDITIONAL_CALLS.iter().find(|(sometimes, _)| *sometimes == name);
    let is_one = |flags: &[&str]| flags.iter().any(|flag| arguments.contains(flag));
    CHANGES.split_whitespace().any(|changing| changing == name)
        || sometimes.is_some_and(|(_, flags)| is_one(flags) || arguments.contains("<unfinished"))
}

/// Runs the command and kills it as it enters the `nth` call of this name. Returns false if it
/// ended before.
pub(crate) fn kill_at(test_user: &TestUser, command: Subcommand, name: &str, nth: usize) -> bool {
    let inject = format!("inject={name}:signal=KILL:when={nth}");
    let options = ["-o", "/dev/null", "-e", &format!("trace={name}"), "-e", &inject];
    let output = under_strace(test_user, command, &options);
    let was_killed = output.status.signal() == Some(9) || output.status.code() == Some(128 + 9);
    assert!(was_killed || output.status.code() == Some(command.code), "{name} {nth}: {output:?}");
    was_killed
}

/// Runs a command under strace, which exits as that command does.
fn under_strace(test_user: &TestUser, command: Subcommand, options: &[&str]) -> Output {
    let program = test_user.program("cas-sync").display().to_string();
    let arguments = [&["-f", "-qq", "-u", NAME][..], options, &[&program], command.words].concat();
    test_user.output(test_user.command_of_root("strace".as_ref(), &arguments))
}

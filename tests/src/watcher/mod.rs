//! A [`TestUser`] whose login file is watched by the `cas-sync watch` of the release build.

mod account;
mod process;
mod writer;

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub use self::account::Account;
pub use self::process::Process;
pub use self::writer::{WriteMethod, WriteStep, Writer};
use crate::test_user::{LOGIN, STATE, TestUser, UID};

/// A timeout far above every expected duration, so that a slow machine does not fail.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The unit file of the service.
const UNIT: &str = include_str!("../../../packaging/systemd/claude-auth-watch@.service");

/// The interval between two checks of a condition.
const PAUSE: Duration = Duration::from_millis(2);

/// A watcher that runs. It ends with this value.
pub struct Watcher {
    child: Child,
}

impl Watcher {
    /// Starts a watcher for the user and waits until it watches `.claude`.
    ///
    /// # Panics
    /// If it does not start, or does not watch within a minute.
    pub fn start(test_user: &TestUser) -> Self {
        let watcher = Self::start_without_waiting(test_user);
        watcher.process().wait_until_watching(&test_user.path(".claude"));
        watcher
    }

    /// As above, with the priority of the unit, which it has on a workstation.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_with_unit_priority(test_user: &TestUser) -> Self {
        let priority = UNIT.lines().find_map(|line| line.strip_prefix("Nice=")).expect("the unit sets it");
        let watcher = Self::start_with_prefix(&["nice", "--adjustment", priority], test_user);
        watcher.process().wait_until_watching(&test_user.path(".claude"));
        watcher
    }

    /// Starts a watcher without waiting. It shares a processor with every [`Writer`] and has the
    /// higher priority, so that the result does not depend on the load of the machine.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_without_waiting(test_user: &TestUser) -> Self {
        let processor = shared_processor().to_string();
        Self::start_with_prefix(&["taskset", "--cpu-list", &processor, "chrt", "--fifo", "1"], test_user)
    }

    fn start_with_prefix(prefix: &[&str], test_user: &TestUser) -> Self {
        let id = UID.to_string();
        let (first, rest) = prefix.split_first().expect("a command");
        let mut command = Command::new(first);
        command.args(rest).arg("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--pdeathsig", "KILL", "--"]);
        command.arg(test_user.program("cas-sync")).arg("watch").current_dir("/");
        command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        let child = test_user.inside(move || command.spawn()).expect("setpriv is there");
        Self { child }
    }

    /// Returns the process.
    pub fn process(&self) -> Process {
        Process::from_pid(self.child.id())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // The error is that it has ended.
        let _ = kill(Pid::from_raw(i32::try_from(self.child.id()).expect("a process id")), signal);
    }

    /// Waits for its end and returns the exit code.
    ///
    /// # Panics
    /// If it has not ended within a minute.
    pub fn end(mut self) -> Option<i32> {
        let mut code = None;
        eventually("the end of the watcher", || {
            let status = self.child.try_wait().expect("the child can be waited for");
            code = status.map(|status| status.code());
            code.is_some()
        });
        code.flatten()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // The errors are that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the first processor that this process may use.
fn shared_processor() -> usize {
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("the kernel reports it");
    (0..CpuSet::count()).find(|processor| allowed.is_set(*processor).unwrap_or_default()).unwrap_or_default()
}

/// Waits until the user's login file satisfies `condition`.
///
/// # Panics
/// If that takes longer than a minute; the message contains the file and the journal.
#[track_caller]
pub fn wait_for_login(test_user: &TestUser, condition: impl Fn(&str) -> bool) -> Duration {
    let begun = Instant::now();
    let content = || text(test_user, LOGIN);
    while !condition(&content()) {
        assert!(
            begun.elapsed() < TIMEOUT,
            "it holds {:?}, and the history {:?}\n{}",
            generations(&content()),
            generations(&text(test_user, &format!("{STATE}/history.json"))),
            test_user.journal()
        );
        thread::sleep(Duration::from_micros(200));
    }
    begun.elapsed()
}

fn text(test_user: &TestUser, below_home: &str) -> String {
    String::from_utf8(test_user.read(below_home).unwrap_or_default()).unwrap_or_default()
}

/// Returns the names of the generations in a text ([`crate::claude_login::valid_login`]).
fn generations(text: &str) -> Vec<&str> {
    let parts = text.split("-refresh-of-").skip(1);
    parts.map(|part| part.split(['"', '\\']).next().unwrap_or_default()).collect()
}

/// Waits until the condition holds.
///
/// # Panics
/// If that takes longer than a minute.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < TIMEOUT, "{what}: not within {TIMEOUT:?}");
        thread::sleep(PAUSE);
    }
}

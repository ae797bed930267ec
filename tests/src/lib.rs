//! Fixtures with real components for the suites.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

pub mod anthropic;
pub mod claude_client;
pub mod claude_login;
pub mod counting_relay;
pub mod credential_corpus;
pub mod guest;
pub mod many_users;
pub mod minimal_program;
pub mod namespaces;
pub mod openbao;
pub mod pam;
pub mod programs;
pub mod prometheus;
pub mod pseudo_terminal;
mod screen;
pub mod size;
pub mod store_run;
pub mod test_user;
pub mod tls_authority;
pub mod vault_fake;
pub mod watcher;

/// Returns the directory into which the scripts in `tests/setup` download.
#[expect(clippy::disallowed_methods, reason = "the environment of the suites names the cache")]
pub fn cache() -> PathBuf {
    let home =
        || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/claude-auth-sync");
    std::env::var_os("CAS_CACHE").map_or_else(home, PathBuf::from)
}

/// A timeout far above every expected duration, so that a slow machine does not fail.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// Waits until this condition holds. The interval grows with the time that has passed, because a
/// condition is often a process that computes for 10 ms.
///
/// # Panics
/// If it does not within [`TIMEOUT`].
#[track_caller]
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        let elapsed = start.elapsed();
        assert!(elapsed < TIMEOUT, "{what}: not within {TIMEOUT:?}");
        thread::sleep((elapsed / 4).clamp(Duration::from_millis(20), Duration::from_millis(200)));
    }
}

/// Returns the factor by which a thread computes slower now than on an idle machine, measured over
/// 30 ms of its own time. A time limit may be multiplied by it.
pub fn slowdown() -> f64 {
    let computed = || {
        let used = getrusage(UsageWho::RUSAGE_THREAD).expect("the kernel accounts for threads");
        let micros = |time: TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
        micros(used.user_time()) + micros(used.system_time())
    };
    let (started, before) = (Instant::now(), computed());
    loop {
        let used = computed() - before;
        if used >= 30_000 {
            return (started.elapsed().as_micros() as f64 / used as f64).max(1.0);
        }
    }
}

/// Returns the wall-clock time, in milliseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "the suites read the clock")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    u64::try_from(since.as_millis()).expect("milliseconds fit")
}

/// Writes one line into a file that only its owner may read, replacing the previous file.
pub fn write_private(path: &Path, line: &str) {
    // The file may not exist yet.
    let _ = fs::remove_file(path);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    writeln!(file, "{line}").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

//! One `bao server` process on free loopback ports. It is ready when the constructor returns, ends
//! with its owner, and its log is printed when a test fails.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::binary;

/// The timeout from the start of a server to its first answer.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// A command in front of every process of the fixture, such as `nsenter -t PID -n --` to run in a
/// guest's network.
#[derive(Clone, Debug, Default)]
pub struct Prefix(pub Vec<String>);

impl Prefix {
    pub(super) fn command(&self, program: impl AsRef<Path>) -> Command {
        match self.0.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program.as_ref());
                command
            }
            None => Command::new(program.as_ref()),
        }
    }
}

/// A running server. It is killed when this value is dropped, or when the thread that started it
/// ends: start it from the thread that uses it.
pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `bao server` with these arguments; output goes to `log`.
    pub(super) fn start(prefix: &Prefix, arguments: &[String], folder: &Path, log: &Path) -> Self {
        let output = File::create(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let mut command = prefix.command("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(binary()).arg("server").args(arguments);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", folder)
            .current_dir(folder);
        command.stdin(Stdio::null()).stderr(output.try_clone().expect("duplicating the log")).stdout(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log: log.to_owned() }
    }

    /// Waits until `is_ready`. Returns false if the server ended because another process took one
    /// of its ports.
    pub(super) fn wait_until(&mut self, mut is_ready: impl FnMut() -> bool) -> bool {
        let started = Instant::now();
        while started.elapsed() < READY_TIMEOUT {
            if let Some(status) = self.child.try_wait().expect("asking for the server's state") {
                let log = self.log_text();
                assert!(log.contains("address already in use"), "bao ended with {status}:\n{log}");
                return false;
            }
            if is_ready() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("bao was not ready within {READY_TIMEOUT:?}:\n{}", self.log_text());
    }

    /// Ends it as a power failure would.
    pub(super) fn kill(&mut self) {
        // The error is that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log_text();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(60)..];
            eprintln!("--- the end of {}:\n{}", self.log.display(), last.join("\n"));
        }
    }
}

/// Returns a port P such that P and P + 1 are free: `bao` listens on both. It is below the range
/// that the kernel gives to clients, never repeats in one process, and rarely in two.
pub(super) fn free_ports() -> u16 {
    static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
    let seed = std::process::id().wrapping_mul(7919);
    for _ in 0..3000 {
        let attempt = ATTEMPTS.fetch_add(1, Ordering::Relaxed);
        let pair = u16::try_from(seed.wrapping_add(attempt) % 6000).expect("below 6000");
        let port = 20_000 + 2 * pair;
        if is_free(port) && is_free(port + 1) {
            return port;
        }
    }
    panic!("no two neighbouring loopback ports are free between 20000 and 32000");
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

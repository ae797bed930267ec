//! Timing, counting, and the table.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cas_tests::programs::release;

use crate::user::{HelperUser, Situation};

/// The cost of one start of a program.
struct Samples {
    until_reply: Duration,
    cpu: Duration,
    peak_kib: i64,
}

/// All measurements.
pub(crate) struct Table {
    bare: PathBuf,
    helper: PathBuf,
    bare_times: Vec<Duration>,
    taken: BTreeMap<Situation, Vec<Samples>>,
    instructions: BTreeMap<Situation, u64>,
}

impl Table {
    pub(crate) fn new(bare: &Path) -> Self {
        Self {
            bare: bare.to_owned(),
            helper: release("cas-session"),
            bare_times: Vec::new(),
            taken: BTreeMap::new(),
            instructions: BTreeMap::new(),
        }
    }

    pub(crate) fn time_bare(&mut self) {
        self.bare_times.push(start(&mut Command::new(&self.bare)).until_reply);
    }

    pub(crate) fn time(&mut self, situation: Situation, user: &HelperUser) {
        let taken = start(Command::new(&self.helper).args(HelperUser::arguments()).env_clear());
        assert!(user.is_whole(), "{situation:?}");
        self.taken.entry(situation).or_default().push(taken);
    }

    pub(crate) fn count_instructions(&mut self, situation: Situation, user: &HelperUser) {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(&self.helper)
            .args(HelperUser::arguments())
            .output()
            .expect("valgrind is installed (make test-deps)");
        assert!(user.is_whole(), "{situation:?}");
        let report = String::from_utf8_lossy(&output.stderr);
        let count = report.lines().find_map(|line| line.split_once("Collected : ")).expect("a count").1;
        self.instructions.insert(situation, count.trim().parse().expect("a number"));
    }
}

/// Starts a program, reads its reply to the end, waits for it, and returns its account.
#[expect(clippy::zombie_processes, reason = "wait4 waits for it and takes its account too")]
fn start(command: &mut Command) -> Samples {
    let begun = Instant::now();
    let child =
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.expect("the program starts");
    let mut reply = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut reply).expect("a reply");
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let pid = libc::pid_t::try_from(child.id()).expect("a pid");
    // SAFETY: the child belongs to this process and is waited for once; the buffer has space for
    // its account.
    let waited = unsafe { libc::wait4(pid, std::ptr::null_mut(), 0, usage.as_mut_ptr()) };
    let until_reply = begun.elapsed();
    assert!(waited == pid && reply.starts_with("CAS1") && reply.ends_with('\n'), "{reply:?}");
    // SAFETY: zeroed bytes are a valid account, and so is what the call wrote.
    let usage = unsafe { usage.assume_init() };
    Samples {
        until_reply,
        cpu: to_duration(usage.ru_utime) + to_duration(usage.ru_stime),
        peak_kib: usage.ru_maxrss,
    }
}

fn to_duration(time: libc::timeval) -> Duration {
    let micros = time.tv_sec * 1_000_000 + time.tv_usec;
    Duration::from_micros(micros.unsigned_abs())
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = median(self.bare_times.iter().map(Duration::as_secs_f64));
        writeln!(
            formatter,
            "{:<28}{:>10}{:>8}{:>10}{:>12}{:>16}",
            "", "time µs", "ratio", "CPU µs", "peak KiB", "instructions"
        )?;
        writeln!(formatter, "{:<28}{:>10.0}{:>8.2}", "smallest static program", unit * 1e6, 1.0)?;
        for (situation, taken) in &self.taken {
            let time = median(taken.iter().map(|taken| taken.until_reply.as_secs_f64()));
            let cpu = median(taken.iter().map(|taken| taken.cpu.as_secs_f64()));
            let peak = taken.iter().map(|taken| taken.peak_kib).max().unwrap_or_default();
            let instructions = self.instructions.get(situation).copied().unwrap_or_default();
            writeln!(
                formatter,
                "{:<28}{:>10.0}{:>8.2}{:>10.0}{peak:>12}{instructions:>16}",
                situation.title(),
                time * 1e6,
                time / unit,
                cpu * 1e6,
            )?;
        }
        Ok(())
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

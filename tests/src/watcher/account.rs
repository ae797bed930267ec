//! The kernel's counters of a process and all its threads.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// The counts at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// How often one of its threads released the processor or was preempted; each wakeup is
    /// followed by one of these.
    pub context_switches: u64,
    /// True if every thread waits.
    pub is_asleep: bool,
    /// The processor time of its threads.
    pub processor: Duration,
    /// Its present memory, in KiB.
    pub resident_kib: u64,
    /// The private part of it; the rest are pages of files that other processes may share.
    pub anonymous_kib: u64,
    /// Its maximum memory, in KiB.
    pub peak_kib: u64,
    /// How many threads there are.
    pub threads: usize,
}

impl Account {
    /// Reads the counters of this process; zero if it has ended.
    pub(super) fn read(pid: u32) -> Self {
        let process = Path::new("/proc").join(pid.to_string());
        let complete = fs::read_to_string(process.join("status")).unwrap_or_default();
        let threads = || fs::read_dir(process.join("task")).into_iter().flatten().flatten();
        let of_all = |name: &str| -> Vec<String> {
            threads().map(|thread| fs::read_to_string(thread.path().join(name)).unwrap_or_default()).collect()
        };
        let tasks = of_all("status");
        // The first number is in nanoseconds (sched-stats of the kernel's documentation).
        let run = |task: &String| task.split(' ').next().and_then(|time| time.parse::<u64>().ok());
        let switches = |task: &String| {
            number(task, "voluntary_ctxt_switches:") + number(task, "nonvoluntary_ctxt_switches:")
        };
        Self {
            context_switches: tasks.iter().map(switches).sum(),
            processor: Duration::from_nanos(of_all("schedstat").iter().filter_map(run).sum()),
            is_asleep: tasks.iter().all(|task| task.contains("State:\tS")),
            resident_kib: number(&complete, "VmRSS:"),
            anonymous_kib: number(&complete, "RssAnon:"),
            peak_kib: number(&complete, "VmHWM:"),
            threads: tasks.len(),
        }
    }
}

fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

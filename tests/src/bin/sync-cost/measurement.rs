//! Starts a command and reads its account and that of its descendants. In its own process, because
//! the kernel stores the largest of all children so far.

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use serde::{Deserialize, Serialize};

/// The option that makes this program measure a command.
pub(crate) const OPTION: &str = "--measured";

/// The cost of one command. Times in microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Samples {
    pub wall: i64,
    pub cpu: i64,
    pub peak_kib: i64,
    pub succeeded: bool,
}

/// Runs the command that follows the option, without its output, and prints its cost.
pub(crate) fn run(command: &[String]) -> ExitCode {
    let (program, arguments) = command.split_first().expect("a command to measure");
    let begun = Instant::now();
    let status = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status();
    let wall = i64::try_from(begun.elapsed().as_micros()).expect("not for ages");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("our children's account");
    let micros = |time: TimeVal| time.num_microseconds();
    let taken = Samples {
        wall,
        cpu: micros(usage.user_time()) + micros(usage.system_time()),
        peak_kib: usage.max_rss(),
        succeeded: status.expect("the command starts").success(),
    };
    println!("{}", serde_json::to_string(&taken).expect("numbers are JSON"));
    ExitCode::SUCCESS
}

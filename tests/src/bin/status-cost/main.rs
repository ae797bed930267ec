//! Measures `cas-sync status` and `cas-sync metrics` of the release build for ten thousand users,
//! interleaved with grep(1), which only reads the same files.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cas_tests::many_users::ManyUsers;
use cas_tests::programs::release;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

const USERS: u32 = 10_000;
const ROUNDS: usize = 15;

fn main() -> Result<()> {
    let many_users = ManyUsers::create(USERS)?;
    let figures = many_users.scratch().join("figures.prom").display().to_string();
    let grep = ["-r", "-c", "nothing like that", "/var/lib/claude-auth-sync/published"];
    let runs: [(&str, PathBuf, Vec<&str>); 4] = [
        ("grep -r", "/usr/bin/grep".into(), grep.to_vec()),
        ("cas-sync status", release("cas-sync"), vec!["status"]),
        ("cas-sync status --json", release("cas-sync"), vec!["status", "--json"]),
        ("cas-sync metrics", release("cas-sync"), vec!["metrics", "--output", &figures]),
    ];
    let mut times: [Vec<Duration>; 4] = Default::default();
    let mut processor: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        for (((name, program, arguments), times), processor) in
            runs.iter().zip(&mut times).zip(&mut processor)
        {
            let (began, before) = (Instant::now(), processor_time()?);
            let output = many_users.run(program.clone(), arguments).with_context(|| (*name).to_owned())?;
            times.push(began.elapsed());
            processor.push(processor_time()?.saturating_sub(before));
            let text = String::from_utf8_lossy(&output.stderr);
            ensure!(text.is_empty(), "{name}: {text}");
        }
    }
    println!("{USERS} users, {ROUNDS} rounds | median ms | CPU ms | ratio of CPU");
    let base = median(&mut processor[0]);
    for (((name, ..), times), processor) in runs.iter().zip(&mut times).zip(&mut processor) {
        let (time, cpu) = (median(times), median(processor));
        let ratio = cpu.as_secs_f64() / base.as_secs_f64();
        println!("{name} | {} | {} | {ratio:.2}", time.as_millis(), cpu.as_millis());
    }
    Ok(())
}

/// Returns the processor time of all children that have ended.
fn processor_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.try_into()?))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

//! What looking at ten thousand people costs: `cas-sync status` and `cas-sync metrics` of the release build, in turns with
//! grep(1), which reads the same files and does nothing with them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cas_tests::crowd::Crowd;
use cas_tests::programs::release;

const PEOPLE: u32 = 10_000;
const ROUNDS: usize = 15;

fn main() -> Result<()> {
    let crowd = Crowd::of(PEOPLE)?;
    let figures = crowd.scratch().join("figures.prom").display().to_string();
    let grep = ["-r", "-c", "nothing like that", "/var/lib/claude-auth-sync/people"];
    let runs: [(&str, PathBuf, Vec<&str>); 4] = [
        ("grep -r", "/usr/bin/grep".into(), grep.to_vec()),
        ("cas-sync status", release("cas-sync"), vec!["status"]),
        ("cas-sync status --json", release("cas-sync"), vec!["status", "--json"]),
        ("cas-sync metrics", release("cas-sync"), vec!["metrics", "--output", &figures]),
    ];
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        for ((name, program, arguments), times) in runs.iter().zip(&mut times) {
            let began = Instant::now();
            let output = crowd.run(program.clone(), arguments).with_context(|| (*name).to_owned())?;
            times.push(began.elapsed());
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(said.is_empty(), "{name}: {said}");
        }
    }
    println!("{PEOPLE} people, {ROUNDS} rounds | median ms | ratio");
    let base = median(&mut times[0]);
    for ((name, ..), times) in runs.iter().zip(&mut times) {
        let median = median(times);
        println!("{name} | {} | {:.2}", median.as_millis(), median.as_secs_f64() / base.as_secs_f64());
    }
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

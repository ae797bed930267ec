//! The cost of one sync: `cas-sync run` compared with the legacy script, in turns, in one network,
//! with one server.
//!
//! `cargo run -p cas-tests --bin sync-cost [ROUNDS]` as root. Counts are exact, from the audit log
//! of the server, a relay that counts connections, and strace. CPU, memory and time are medians,
//! whose ratios can be compared between machines.

mod bench;
mod measurement;
mod table;

use std::process::ExitCode;

use crate::bench::{Bench, Probe};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(measurement::OPTION) => measurement::run(arguments.get(1..).unwrap_or_default()),
        None => compare(20),
        Some(rounds) => match rounds.parse() {
            Ok(rounds) if rounds > 0 => compare(rounds),
            _ => {
                eprintln!("usage: sync-cost [ROUNDS]");
                ExitCode::from(2)
            }
        },
    }
}

fn compare(rounds: usize) -> ExitCode {
    println!("without the verification, {rounds} rounds\n");
    print!("{}", Bench::new(Probe::LeftOut).compare(rounds));
    let rounds = rounds.div_ceil(4);
    println!(
        "\nwith the verification by the real client against a stand-in for the servers, {rounds} rounds\n"
    );
    print!("{}", Bench::new(Probe::Made).compare(rounds));
    ExitCode::SUCCESS
}

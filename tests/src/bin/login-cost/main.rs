//! `make bench`: the cost of a real ssh login without the product, with it, and with a shell script
//! in its place.
//!
//! All variants run in one guest and in turns, so that other load affects all of them equally.
//! `login-cost ROUNDS` sets another number of rounds than 30.

mod statistics;
mod variant;

use std::process::ExitCode;

use cas_tests::guest::{Suite, VaultGuest};

use crate::{statistics::Statistics, variant::Variant};

fn main() -> ExitCode {
    let rounds = match std::env::args().nth(1).map(|text| text.parse::<usize>()) {
        None => 30,
        Some(Ok(rounds)) if rounds > 0 => rounds,
        Some(_) => {
            eprintln!("usage: login-cost [ROUNDS]");
            return ExitCode::from(2);
        }
    };
    let host = VaultGuest::start(Suite::Bookworm, "1h");
    variant::prepare(&host);
    for variant in Variant::ALL {
        variant.time_one_login(&host); // the first of each is a warm-up
    }
    let mut figures = Statistics::default();
    for round in 0..rounds {
        // Seven is a prime: with another stride each round, every variant follows every other one
        // equally often, and none always follows the same one.
        let stride = 1 + round % (Variant::ALL.len() - 1);
        for turn in 0..Variant::ALL.len() {
            if let Some(variant) = Variant::ALL.get((round + turn * stride) % Variant::ALL.len()) {
                figures.add(*variant, variant.time_one_login(&host));
            }
        }
    }
    print!("{figures}");
    ExitCode::SUCCESS
}

//! Measures `cas-session login`: time from start to reply compared with the smallest static
//! program, CPU time, peak memory, instructions, and requests to the store.
//!
//! `cargo run -p cas-tests --bin helper-cost` runs the release build as root in a private mount and
//! network namespace, for a user that exists only there. Medians are of interleaved rounds; the
//! ratio can be compared between machines.

mod measure;
mod user;

use cas_tests::minimal_program;
use cas_tests::namespaces::{Mount, Namespaces};

use crate::measure::Table;
use crate::user::{HelperUser, Situation};

const ROUNDS: usize = 300;

fn main() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let user = HelperUser::create(folder.path());
    let bare = minimal_program::build(folder.path());
    let bind = |source, target: &str| Mount::Bind { source, target: target.into() };
    let mounts = vec![
        bind(user.passwd(), "/etc/passwd"),
        bind(user.group(), "/etc/group"),
        Mount::Over { source: user.lib(), target: "/var/lib".into() },
    ];
    let inside = Namespaces::new(mounts).expect("namespaces of our own: this needs root");
    let table = inside.run(move || {
        let mut table = Table::new(&bare);
        for _ in 0..ROUNDS {
            table.time_bare();
            for situation in Situation::ALL {
                user.prepare(situation);
                table.time(situation, &user);
            }
        }
        for situation in Situation::ALL {
            user.prepare(situation);
            table.count_instructions(situation, &user);
        }
        table
    });
    print!("{table}");
}

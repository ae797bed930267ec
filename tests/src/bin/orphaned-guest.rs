//! Boots a guest, says where its first process is, and waits to be killed: what a scenario that ran out of time leaves
//! behind. `guest_fixture` starts it and kills it.

use std::thread;
use std::time::Duration;

use cas_tests::guest::{Guest, Suite};

fn main() {
    let guest = Guest::boot(Suite::Bookworm);
    println!("leader={}", guest.leader());
    thread::sleep(Duration::from_secs(600));
}

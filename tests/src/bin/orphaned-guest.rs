//! Boots a guest, prints its first process, and waits to be killed: the state after a scenario that
//! ran out of time. `guest_fixture` starts and kills it.

use std::thread;
use std::time::Duration;

use cas_tests::guest::{Guest, Suite};

fn main() {
    let guest = Guest::boot(Suite::Bookworm);
    println!("leader={}", guest.leader());
    thread::sleep(Duration::from_secs(600));
}

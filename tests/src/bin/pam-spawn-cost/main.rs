//! The cost that the module adds to a login, relative to the one cost it cannot avoid: starting a
//! program.
//!
//! `cargo run -p cas-tests --bin pam-spawn-cost` opens sessions in the release build of the module,
//! with the smallest static program in place of `cas-session`, and alternates that with starting
//! the same program directly and reading its line. It prints medians in microseconds, and the
//! ratio, which can be compared between machines.

use cas_tests::minimal_program;
use cas_tests::pam::PamFixture;

mod measure;
mod session;

const ROUNDS: &str = "1000";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [rounds, module, program, confdir] = arguments.as_slice() {
        measure::print_table(rounds.parse().expect("a number of rounds"), module, program, confdir);
        return;
    }
    let own = std::env::current_exe().expect("this program has a file");
    let own = own.to_str().expect("UTF-8");
    let fixture = PamFixture::new(own, own);
    let program = minimal_program::build(&fixture.path(""));
    let measured = fixture
        .stage()
        .arg(own)
        .arg(ROUNDS)
        .args([&fixture.module(), &program, &fixture.path("pam.d")])
        .status()
        .expect("unshare is installed (tests/setup/host-packages.sh)");
    assert!(measured.success(), "the measurement ended well");
}

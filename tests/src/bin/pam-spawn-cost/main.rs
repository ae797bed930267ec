//! What the module adds to a login, in units of the one thing it cannot do without: starting a program.
//!
//! `cargo run -p cas-tests --bin pam-spawn-cost` opens sessions in the release build of the module, with the smallest
//! static program in the place of `cas-session`, and interleaves that with starting the same program bare and reading its
//! line. It prints medians in microseconds, and the ratio, which is what can be compared between machines.

use std::process::Command;

use cas_tests::pam::PamBed;

mod measure;
mod session;

/// The smallest program that answers: linked statically, without the Rust runtime.
const PROGRAM: &str = r#"
#![no_main]
unsafe extern "C" {
    fn write(descriptor: i32, bytes: *const u8, count: usize) -> isize;
}
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    let line = b"CAS1 sk-ant-oat01-the_token-of-the-bed\n";
    unsafe { write(1, line.as_ptr(), line.len()) };
    0
}
"#;

const ROUNDS: &str = "1000";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [rounds, module, program, confdir] = arguments.as_slice() {
        measure::print_table(rounds.parse().expect("a number of rounds"), module, program, confdir);
        return;
    }
    let own = std::env::current_exe().expect("this program has a file");
    let own = own.to_str().expect("UTF-8");
    let bed = PamBed::new(own, own);
    let (source, program) = (bed.at("program.rs"), bed.at("program"));
    std::fs::write(&source, PROGRAM).expect("the source is written");
    let built = Command::new("rustc")
        .args([
            "--edition=2024",
            "-O",
            "-C",
            "panic=abort",
            "-C",
            "target-feature=+crt-static",
            "-C",
            "strip=symbols",
            "-o",
        ])
        .args([&program, &source])
        .status();
    assert!(built.expect("rustc runs").success(), "the static program builds");
    let measured = bed
        .stage()
        .arg(own)
        .arg(ROUNDS)
        .args([&bed.module(), &program, &bed.at("pam.d")])
        .status()
        .expect("unshare is installed (tests/bed/host-packages.sh)");
    assert!(measured.success(), "the measurement ended well");
}

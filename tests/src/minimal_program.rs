//! The smallest program that replies like `cas-session`, linked statically without the Rust
//! runtime. Measurements compare with it, because starting some program is unavoidable.

use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = r#"
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

const FLAGS: [&str; 8] =
    ["--edition=2024", "-O", "-C", "panic=abort", "-C", "target-feature=+crt-static", "-C", "strip=symbols"];

/// Builds it in this directory.
///
/// # Panics
/// If `rustc` does not.
pub fn build(folder: &Path) -> PathBuf {
    let (source, program) = (folder.join("program.rs"), folder.join("program"));
    std::fs::write(&source, SOURCE).expect("the source is written");
    let built = Command::new("rustc").args(FLAGS).arg("-o").args([&program, &source]).status();
    assert!(built.expect("rustc runs").success(), "the static program builds");
    program
}

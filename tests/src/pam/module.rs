//! The module as it is shipped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The release build of the module, built on its own (together with the other programs, cas-core would have more features)
/// in a place of its own below the target directory. Building what is built already takes a moment only.
///
/// # Panics
/// When it cannot be built: the message is cargo's.
#[must_use]
pub fn module_file() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = target_directory().join("pam-module");
        let built = Command::new(env!("CARGO"))
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .args(["build", "--release", "--locked", "--quiet", "--package", "pam_cas", "--target-dir"])
            .arg(&target)
            .status()
            .expect("cargo runs");
        assert!(built.success(), "the module builds (it needs libpam0g-dev: run tests/bed/host-packages.sh)");
        target.join("release/libpam_cas.so")
    })
}

/// The target directory that the running test or program was built in; cargo marks it as a cache.
fn target_directory() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a file");
    let marked = own.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file());
    marked.expect("cargo built this in a target directory").to_owned()
}

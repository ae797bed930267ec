//! Prometheus, its promtool and the node exporter, out of Debian's packages.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns one of the programs that `tests/setup/prometheus.sh` has unpacked.
///
/// # Panics
/// If it has not been unpacked.
pub fn program(name: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("setup/prometheus.sh");
    let requests = Command::new(script).arg("--where").output().expect("the script runs");
    assert!(requests.status.success(), "{}", String::from_utf8_lossy(&requests.stderr));
    Path::new(String::from_utf8_lossy(&requests.stdout).trim()).join(name)
}

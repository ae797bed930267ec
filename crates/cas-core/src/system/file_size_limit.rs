//! Treats a file size limit (`ulimit -f`) like a full disk: only the write fails.
//!
//! By default the kernel kills a program that writes beyond its `RLIMIT_FSIZE`, with SIGXFSZ. A
//! handler turns that into the error EFBIG. A handler is used instead of `SIG_IGN` because exec
//! resets it: `claude` and other children start with the default disposition.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::libc::SIGXFSZ;

/// Installs the handler, so that a write beyond the limit fails with EFBIG. Each program calls this
/// before its first write.
///
/// # Errors
/// The system's error; the default action then stays.
pub fn treat_as_full_disk() -> io::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

/// Installs the handler in a program that replaces itself by exec, unless the caller ignores the
/// signal, because the next program must inherit that.
///
/// # Errors
/// As for [`treat_as_full_disk`].
pub fn treat_as_full_disk_before_exec() -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if ignores(&status, SIGXFSZ) { Ok(()) } else { treat_as_full_disk() }
}

/// Returns true if the mask `SigIgn` of `/proc/PID/status` (proc_pid_status(5)) has this signal.
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn mask(status: &str, name: &str) -> bool {
        let renamed = status.replace("SigIgn:", "-").replace(name, "SigIgn:");
        ignores(&renamed, SIGXFSZ)
    }

    #[test]
    fn sigxfsz_handler_is_reset_in_children() {
        treat_as_full_disk().expect("a handler");
        let own = fs::read_to_string("/proc/self/status").expect("own status");
        assert!(mask(&own, "SigCgt:") && !ignores(&own, SIGXFSZ));
        let child = Command::new("cat").arg("/proc/self/status").output().expect("cat runs");
        let child = String::from_utf8(child.stdout).expect("UTF-8");
        assert!(child.contains("SigBlk:"));
        for name in ["SigIgn:", "SigCgt:", "SigBlk:"] {
            assert!(!mask(&child, name), "{name} {child}");
        }
    }

    #[test]
    fn ignored_signal_is_in_the_mask() {
        assert!(ignores("Name:\tx\nSigIgn:\t0000000001001000\n", SIGXFSZ));
        assert!(!ignores("SigIgn:\t0000000000001000\n", SIGXFSZ));
        assert!(!ignores("", SIGXFSZ));
    }
}

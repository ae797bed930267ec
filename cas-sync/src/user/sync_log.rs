//! `sync.log` in the state directory: lines `<RFC 3339 time> <STATUS> <text>`, with a size limit.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use cas_core::outcome::Status;
use cas_core::text::sanitize_line;
use cas_core::time::timestamp::Timestamp;
use nix::libc;

/// At this size in bytes the log is renamed to `sync.log.1`, replacing the previous one: years at
/// four lines a day.
const LIMIT: u64 = 1 << 20;

/// Appends one line.
pub(crate) fn append(path: &Path, now: Timestamp, status: Status, text: &str) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() >= LIMIT) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
    file.write_all(format!("{now} {status} {}\n", sanitize_line(text)).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_has_one_line_per_run_and_is_rotated() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = scratch.path().join("sync.log");
        append(&path, Timestamp::from_millis(0), Status::Ok, "no login yet").expect("written");
        let line = fs::read_to_string(&path).expect("there");
        assert!(line.starts_with("1970-01-01T00:00:00Z OK no login yet") && line.ends_with('\n'), "{line}");

        let full = fs::File::create(&path).expect("there");
        full.set_len(LIMIT).expect("grown");
        for _ in 0..3 {
            append(&path, Timestamp::from_millis(0), Status::Ok, "no login yet").expect("written");
        }
        assert_eq!(fs::read_to_string(&path).expect("there").lines().count(), 3);
        assert_eq!(fs::metadata(scratch.path().join("sync.log.1")).expect("rotated").len(), LIMIT);
    }
}

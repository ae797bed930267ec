//! `sync.log` in the state directory: lines `<RFC 3339 time> <STATUS> <text>`, of bounded length in all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use cas_core::outcome::Status;
use cas_core::text::sanitize_line;
use cas_core::time::timestamp::Timestamp;
use nix::libc;

/// From this size in bytes on the log is put aside as `sync.log.1`, in the place of the one put aside before: years of
/// four lines a day.
const LIMIT: u64 = 1 << 20;

/// Adds one line.
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
    fn the_log_has_one_line_a_run_and_does_not_grow_without_bound() {
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
        assert_eq!(fs::metadata(scratch.path().join("sync.log.1")).expect("put aside").len(), LIMIT);
    }
}

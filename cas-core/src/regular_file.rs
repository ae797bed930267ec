//! Opens a small file without ever waiting for it: a FIFO or a device in its place is an error, not a hang.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

/// Whether the last component of a path may be a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    Followed,
    Refused,
}

/// Opens for reading; `ELOOP` when a link is refused. What was opened may still be anything: look at its metadata.
pub(crate) fn open(path: &Path, links: Links) -> io::Result<File> {
    let no_follow = if links == Links::Refused { OFlag::O_NOFOLLOW } else { OFlag::empty() };
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY | no_follow).bits())
        .open(path)
}

/// Reads at most `limit` bytes into `buffer` and says whether that was all.
pub(crate) fn read_all(file: &File, limit: usize, buffer: &mut Vec<u8>) -> io::Result<bool> {
    // Of full size from the start: a growing vector would leave pieces of a secret behind.
    let expected = file.metadata().map_or(0, |metadata| usize::try_from(metadata.len()).unwrap_or(limit));
    buffer.reserve_exact(expected.min(limit) + 1);
    file.take(limit as u64 + 1).read_to_end(buffer)?;
    Ok(buffer.len() <= limit)
}

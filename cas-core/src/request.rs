//! The request that a login or the watcher leaves for the sync: an empty file that a path unit waits for.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

use crate::enrolment::REQUEST;

/// Asks the sync to look soon. `directory` is the person's, below [`crate::enrolment::REQUESTS`]; where nobody enrolled them
/// there is none, and nobody to ask.
pub fn leave(directory: &Path) {
    drop(
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(directory.join(REQUEST)),
    );
}

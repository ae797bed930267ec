//! Stores waiting requests over a restart of the dispatcher: user ids, one per line, in a directory
//! of root below `/run`.

use std::fs;
use std::io;

const PATH: &str = "/run/claude-auth-sync/pending";

/// Writes the requests; writes nothing if there are none.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write(uids: &[u32]) -> io::Result<()> {
    if uids.is_empty() {
        return Ok(());
    }
    fs::write(PATH, uids.iter().map(|uid| format!("{uid}\n")).collect::<String>())
}

/// Reads and removes the requests; empty if there are none.
pub(super) fn take() -> Vec<u32> {
    let text = fs::read_to_string(PATH).unwrap_or_default();
    // If it cannot be removed, the requests are handled again.
    drop(fs::remove_file(PATH));
    text.lines().filter_map(|uid| uid.parse().ok()).collect()
}

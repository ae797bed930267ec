//! The requests that wait, over a restart of the dispatcher: user ids, one a line, in root's directory below `/run`.

use std::fs;
use std::io;

const PATH: &str = "/run/claude-auth-sync/pending";

/// Writes them down. Nothing is written when none waits.
///
/// # Errors
/// Those of writing the file.
pub(super) fn write(uids: &[u32]) -> io::Result<()> {
    if uids.is_empty() {
        return Ok(());
    }
    fs::write(PATH, uids.iter().map(|uid| format!("{uid}\n")).collect::<String>())
}

/// Reads and removes them. Empty where there are none.
pub(super) fn take() -> Vec<u32> {
    let text = fs::read_to_string(PATH).unwrap_or_default();
    // Where it cannot be removed, they are answered again.
    drop(fs::remove_file(PATH));
    text.lines().filter_map(|uid| uid.parse().ok()).collect()
}

//! Finds the background sessions of Claude Code that wait for a login. The client records each
//! session in `jobs/ID/state.json` below its configuration directory. A session that found no login
//! is blocked until it gets a message, even if the login works again
//! (`docs/design/claude-code.md`).

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::fs::regular_file;

/// The directory of the records, below the configuration directory.
const JOBS: &str = "jobs";

/// The maximum number of entries that are read. More would delay the command.
const MAX_JOBS: usize = 1_000;

/// The maximum size of a record, in bytes. A record has about 1 KiB.
const MAX_SIZE: usize = 1 << 20;

/// The start of the member `needs` if the session waits for a login.
const NEEDS_LOGIN: &str = "login required";

#[derive(Deserialize)]
struct Job {
    #[serde(default)]
    state: String,
    #[serde(default)]
    needs: Option<String>,
    #[serde(default)]
    detail: Option<String>,
}

/// Returns the ids of the sessions that wait for a login, in order. A record that cannot be read is
/// left out.
pub fn waiting_for_login(config_directory: &Path) -> Vec<String> {
    let jobs = config_directory.join(JOBS);
    // Not the whole directory, which is the user's and can have any size.
    let entries = fs::read_dir(&jobs).into_iter().flatten().take(MAX_JOBS).flatten();
    let ids = entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|id| is_id(id));
    let mut waiting: Vec<_> = ids.filter(|id| is_waiting(&jobs.join(id).join("state.json"))).collect();
    waiting.sort();
    waiting
}

/// Returns true for an id as the client makes it: eight hexadecimal digits. It is printed as part
/// of a command.
fn is_id(name: &str) -> bool {
    name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_waiting(record: &Path) -> bool {
    let Ok(Some(text)) = regular_file::read(record, MAX_SIZE) else { return false };
    let Ok(job) = serde_json::from_slice::<Job>(&text) else { return false };
    // After `claude respawn` only `detail` is left.
    let needs_login = job.needs.is_some_and(|needs| needs.starts_with(NEEDS_LOGIN));
    job.state == "blocked" && (needs_login || job.detail.as_deref() == Some("Login expired"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_sessions_without_a_login_are_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let expired = r#"{"state":"blocked","needs":"login required — run /login · Login expired"}"#;
        let respawned = r#"{"state":"blocked","detail":"Login expired"}"#;
        for (id, record) in [
            ("0000000a", expired),
            ("0000000b", respawned),
            ("0000000c", r#"{"state":"blocked","needs":"permission to run a command"}"#),
            ("0000000d", r#"{"state":"working","detail":"Login expired"}"#),
            ("0000000e", "[]"),
            ("$(reboot)", expired),
        ] {
            fs::create_dir_all(directory.path().join("jobs").join(id)).expect("a directory");
            fs::write(directory.path().join("jobs").join(id).join("state.json"), record).expect("a record");
        }
        fs::write(directory.path().join("jobs/pins.json"), "{}").expect("another file");
        assert_eq!(waiting_for_login(directory.path()), ["0000000a", "0000000b"]);
        assert!(waiting_for_login(&directory.path().join("none")).is_empty());
    }
}

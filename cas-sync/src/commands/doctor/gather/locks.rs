//! Claude Code's locks, those that are there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cas_core::claude_files::locks;
use cas_core::fs::regular_file;
use cas_core::system::account::Paths;
use cas_core::time::timestamp::Timestamp;
use serde::Deserialize;

use super::super::facts::Lock;
use super::shown;

/// The longest note of a holder that is read.
const LIMIT: usize = 4096;

/// Who holds the refresh locks, as newer clients note it beside the first of them.
#[derive(Deserialize)]
struct Holder {
    pid: u32,
}

/// Those of this person.
pub(in crate::commands::doctor) fn of(paths: &Paths) -> Vec<Lock> {
    let Some(folder) = paths.credentials_file.parent() else { return Vec::new() };
    let places = locks::lock_paths(folder);
    let holder = holder(&places[0]);
    places.iter().filter_map(|path| lock(path, holder)).collect()
}

fn lock(path: &Path, holder: Option<u32>) -> Option<Lock> {
    let found = fs::symlink_metadata(path).ok()?;
    let seconds = u64::try_from(found.mtime()).unwrap_or(0);
    Some(Lock {
        path: shown(path),
        is_directory: found.is_dir(),
        is_empty: fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()),
        uid: found.uid(),
        touched_at: Timestamp::from_millis(seconds.saturating_mul(1000)),
        holder,
    })
}

/// The process that has noted that it holds them, if it still runs and can be a client. Its number may have gone to another.
fn holder(refresh: &Path) -> Option<u32> {
    let mut note = refresh.as_os_str().to_owned();
    note.push(".owner");
    let text = regular_file::read(&PathBuf::from(note), LIMIT).ok()??;
    let Holder { pid } = serde_json::from_slice(&text).ok()?;
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = program.file_name()?.to_string_lossy().into_owned();
    ["claude", "node", "bun"].iter().any(|client| name.starts_with(client)).then_some(pid)
}

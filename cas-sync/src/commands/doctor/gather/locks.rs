//! Claude Code's existing locks.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cas_core::claude_files::locks;
use cas_core::fs::regular_file;
use cas_core::system::account::Paths;
use cas_core::time::timestamp::Timestamp;
use serde::Deserialize;

use super::super::facts::Lock;
use super::path_text;

/// Maximum size of the holder file, in bytes.
const MAX_HOLDER_FILE: usize = 4096;

/// The holder of the refresh locks, which newer clients record beside the first lock.
#[derive(Deserialize)]
struct Holder {
    pid: u32,
}

/// Returns the existing locks of the user.
pub(in crate::commands::doctor) fn find(user_paths: &Paths) -> Vec<Lock> {
    let Some(directory) = user_paths.credentials_file.parent() else { return Vec::new() };
    let paths = locks::lock_paths(directory);
    let holder = holder(&paths[0]);
    paths.iter().filter_map(|path| lock(path, holder)).collect()
}

fn lock(path: &Path, holder: Option<u32>) -> Option<Lock> {
    let found = fs::symlink_metadata(path).ok()?;
    let seconds = u64::try_from(found.mtime()).unwrap_or(0);
    Some(Lock {
        path: path_text(path),
        is_directory: found.is_dir(),
        is_empty: fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()),
        uid: found.uid(),
        touched_at: Timestamp::from_millis(seconds.saturating_mul(1000)),
        holder,
    })
}

/// Returns the recorded process if it runs and can be a client. Its ID may belong to another
/// process now.
fn holder(refresh: &Path) -> Option<u32> {
    let mut owner_file = refresh.as_os_str().to_owned();
    owner_file.push(".owner");
    let text = regular_file::read(&PathBuf::from(owner_file), MAX_HOLDER_FILE).ok()??;
    let Holder { pid } = serde_json::from_slice(&text).ok()?;
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = program.file_name()?.to_string_lossy().into_owned();
    ["claude", "node", "bun"].iter().any(|client| name.starts_with(client)).then_some(pid)
}

//! Owners and modes of the user's files and directories, and the few contents that checks need.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cas_core::claude_files::json_settings::{ClaudeJson, ReadJsonError, state_file};
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::fs::owned_file::{self, Ownership};
use cas_core::ledger::setup_tokens::SeenTokens;
use cas_core::state::env_file;
use cas_core::system::account::{Account, Paths};

use super::super::facts::{Entry, EntryKind, EnvFile, Onboarding};
use super::path_text;

/// Maximum size of the env file, in bytes.
const MAX_ENV_FILE: usize = 4096;

/// Returns the existing entries.
pub(super) fn find(account: &Account, paths: &Paths) -> Vec<Entry> {
    let claude_json = state_file(&account.home, None);
    let paths_by_kind = [
        (EntryKind::LoginFile, Some(paths.credentials_file.as_path())),
        (EntryKind::ClaudeDir, paths.credentials_file.parent()),
        (EntryKind::ClaudeState, Some(claude_json.as_path())),
        (EntryKind::ConfigDir, paths.vault_token_file.parent()),
        (EntryKind::EnvFile, Some(paths.env_file.as_path())),
        (EntryKind::StateDir, Some(paths.state_directory.as_path())),
    ];
    paths_by_kind.into_iter().filter_map(|(kind, path)| entry(kind, path?)).collect()
}

fn entry(kind: EntryKind, path: &Path) -> Option<Entry> {
    let found = fs::symlink_metadata(path).ok()?;
    // The mode of a symlink means nothing; the target counts.
    let found = if found.is_symlink() { fs::metadata(path).ok()? } else { found };
    Some(Entry { kind, path: path_text(path), uid: found.uid(), mode: found.mode() & 0o7777 })
}

/// Reads the env file. Unlike a sync, this does not change its mode.
pub(super) fn env_file(path: &Path, uid: u32, seen: &SeenTokens) -> EnvFile {
    match owned_file::read(path, uid, MAX_ENV_FILE, Ownership::OwnerOnlyWritable) {
        Ok(None) => EnvFile::Absent,
        Ok(Some(found)) => match env_file::parse(&found.content) {
            Ok(token) => EnvFile::Token { expiry: seen.expiry(Fingerprint::from_bytes(token.expose())) },
            Err(why) => EnvFile::Malformed { path: path_text(path), why },
        },
        Err(problem) => EnvFile::Unusable { path: path_text(path), why: problem.to_string() },
    }
}

/// Returns whether the client has completed its first start.
pub(super) fn onboarding(path: &Path, state: &Result<Option<ClaudeJson>, ReadJsonError>) -> Onboarding {
    let state = match state {
        Ok(Some(state)) => state,
        Ok(None) => return Onboarding::Pending,
        Err(ReadJsonError::File(_)) => {
            return Onboarding::Unknown(format!("cannot read {}", path.display()));
        }
        Err(ReadJsonError::NotJson | ReadJsonError::NotAnObject) => {
            return Onboarding::Unknown(format!("{} is not a JSON object", path.display()));
        }
    };
    match state.has_completed_onboarding() {
        Some(true) => Onboarding::Done,
        // The client completes its first start by itself then.
        Some(false) => {
            Onboarding::Unknown("the first start of Claude Code was begun and not completed".into())
        }
        None => Onboarding::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_start_is_done_when_the_client_records_it() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = scratch.path().join(".claude.json");
        let onboarding = |path: &Path| onboarding(path, &ClaudeJson::read(path));
        assert_eq!(onboarding(&path), Onboarding::Pending);
        for (text, expected) in [
            ("{}", Onboarding::Pending),
            (r#"{"numStartups":1}"#, Onboarding::Pending),
            (r#"{"a":{"hasCompletedOnboarding":true}}"#, Onboarding::Pending),
            (r#"{ "hasCompletedOnboarding" : true }"#, Onboarding::Done),
        ] {
            fs::write(&path, text).expect("a file");
            assert_eq!(onboarding(&path), expected, "{text}");
        }
        for text in [r#"{"hasCompletedOnboarding":false}"#, "{", "[]"] {
            fs::write(&path, text).expect("a file");
            assert!(matches!(onboarding(&path), Onboarding::Unknown(_)), "{text}");
        }
    }
}

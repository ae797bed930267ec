//! The person's files and folders, as they lie there: links are not followed, and of the contents only what has to be known.

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
use super::shown;

/// The longest env file that is read.
const LONGEST_ENV_FILE: usize = 4096;

/// Those that are there.
pub(super) fn of(account: &Account, paths: &Paths) -> Vec<Entry> {
    let own_state = state_file(&account.home, None);
    let places = [
        (EntryKind::LoginFile, Some(paths.credentials_file.as_path())),
        (EntryKind::ClaudeFolder, paths.credentials_file.parent()),
        (EntryKind::ClaudeState, Some(own_state.as_path())),
        (EntryKind::ConfigFolder, paths.vault_token_file.parent()),
        (EntryKind::EnvFile, Some(paths.env_file.as_path())),
        (EntryKind::StateFolder, Some(paths.state_directory.as_path())),
    ];
    places.into_iter().filter_map(|(kind, path)| entry(kind, path?)).collect()
}

fn entry(kind: EntryKind, path: &Path) -> Option<Entry> {
    let found = fs::symlink_metadata(path).ok()?;
    // A link is where somebody put it, and its mode says nothing: what it leads to counts.
    let found = if found.is_symlink() { fs::metadata(path).ok()? } else { found };
    Some(Entry { kind, path: shown(path), uid: found.uid(), mode: found.mode() & 0o7777 })
}

/// What the setup-token's file holds. Unlike a login's look at it, this leaves its mode as it is.
pub(super) fn env_file(path: &Path, uid: u32, seen: &SeenTokens) -> EnvFile {
    match owned_file::read(path, uid, LONGEST_ENV_FILE, Ownership::OwnerOnlyWritable) {
        Ok(None) => EnvFile::Absent,
        Ok(Some(found)) => match env_file::parse(&found.content) {
            Ok(token) => EnvFile::Token { lapse: seen.lapse(Fingerprint::from_bytes(token.expose())) },
            Err(why) => EnvFile::Malformed { path: shown(path), why },
        },
        Err(problem) => EnvFile::Unusable { path: shown(path), why: problem.to_string() },
    }
}

/// Whether the client has asked the questions of its first start.
pub(super) fn onboarding(path: &Path, state: &Result<Option<ClaudeJson>, ReadJsonError>) -> Onboarding {
    let state = match state {
        Ok(Some(state)) => state,
        Ok(None) => return Onboarding::Pending,
        Err(ReadJsonError::File(_)) => {
            return Onboarding::Unknown(format!("{} cannot be read", path.display()));
        }
        Err(ReadJsonError::NotAnObject) => {
            return Onboarding::Unknown(format!("{} is no JSON object", path.display()));
        }
    };
    match state.has_completed_onboarding() {
        Some(true) => Onboarding::Done,
        // One that says otherwise is asked in the end, and says it itself.
        Some(false) => Onboarding::Unknown("claude has begun with the questions of its first start".into()),
        None => Onboarding::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_is_over_when_the_client_says_so() {
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

//! Reads the `state.json` of a user for publishing, in a process that has become the user.

use std::time::Duration;

use anyhow::Result;
use cas_core::fs::owned_file::{self, Ownership};
use cas_core::outcome::state_report::FILE_NAME;
use cas_core::system::account::{Account, Paths};
use cas_core::system::identity::Identities;
use serde::{Deserialize, Serialize};

use super::MAX_SIZE;
use crate::os::environment::env_var;
use crate::os::run_as_user;

/// The state that was found in a state directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FoundState {
    /// The text of the file.
    Text(String),
    /// No sync has written one yet.
    Absent,
    /// The home is missing, not mounted, or not in use yet, with a message.
    HomeUnavailable(String),
    /// It is not a small regular file of the user, with the reason.
    Unreadable(String),
}

/// Returns the result of a process that has become `user`. Drop-ins of the service can set the
/// paths of its files.
///
/// # Errors
/// If the process times out, fails, or cannot become the user.
pub(super) fn read_as_user(user: &str, timeout: Duration) -> Result<FoundState, String> {
    let variables = Paths::VARIABLES.iter().filter_map(|name| Some((*name, env_var(name)?)));
    let output =
        run_as_user::run_with_variables(&["internal", "read-state", "--", user], variables, timeout)?;
    serde_json::from_slice(&output)
        .map_err(|_| "the process that runs as the user returned no valid result".to_owned())
}

/// Runs as USER: reads the state, and prints it for root.
///
/// # Errors
/// If the caller is not root, or this process cannot become USER.
pub(crate) fn serve_state(user: &str) -> Result<()> {
    run_as_user::serve_request(user, env_var, |account, paths| serde_json::to_string(&find(account, paths)))
}

fn find(account: &Account, paths: &Paths) -> FoundState {
    if let Err(error) = Identities::open().check(account) {
        return FoundState::Unreadable(error.to_string());
    }
    if let Some(problem) = account.home_problem(paths) {
        return FoundState::HomeUnavailable(problem.to_string());
    }
    read_file(&paths.state_directory.join(FILE_NAME), account.uid.as_raw())
}

/// Reads one state. Does not wait for a FIFO, and does not follow a link to a file of another user.
pub(super) fn read_file(path: &std::path::Path, owner: u32) -> FoundState {
    match owned_file::read(path, owner, MAX_SIZE, Ownership::Owner) {
        Ok(None) => FoundState::Absent,
        Ok(Some(found)) => match std::str::from_utf8(&found.content) {
            Ok(text) => FoundState::Text(text.to_owned()),
            Err(_) => FoundState::Unreadable(format!("{} is not UTF-8", path.display())),
        },
        Err(error) => FoundState::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use nix::sys::stat::Mode;
    use nix::unistd::{Uid, mkfifo};

    use super::*;

    #[test]
    fn only_small_regular_file_of_user_is_read() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = |name: &str| scratch.path().join(name);
        let own = Uid::effective().as_raw();
        fs::write(path("state"), "{}").expect("a file");
        assert_eq!(read_file(&path("state"), own), FoundState::Text("{}".into()));
        assert_eq!(read_file(&path("absent"), own), FoundState::Absent);
        mkfifo(&path("fifo"), Mode::S_IRWXU).expect("a FIFO");
        symlink("state", path("link")).expect("a link");
        fs::create_dir(path("directory")).expect("a directory");
        let _socket = UnixListener::bind(path("socket")).expect("a socket");
        File::create(path("huge")).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
        fs::write(path("bytes"), [0xff, 0xfe]).expect("a file");
        for name in ["fifo", "link", "directory", "socket", "huge", "bytes", "state/below"] {
            let found = read_file(&path(name), own);
            assert!(matches!(&found, FoundState::Unreadable(why) if why.contains(name)), "{name}: {found:?}");
        }
        assert!(matches!(read_file(&path("state"), own + 1), FoundState::Unreadable(_)));
    }

    #[test]
    fn result_survives_serialization() {
        for found in [
            FoundState::Text("{\"a\": \"\u{1b}\"}\n".into()),
            FoundState::Absent,
            FoundState::HomeUnavailable("away".into()),
            FoundState::Unreadable("a FIFO".into()),
        ] {
            let text = serde_json::to_string(&found).expect("JSON");
            assert_eq!(serde_json::from_str::<FoundState>(&text).expect("the same"), found);
        }
    }
}

//! A refresh run: Claude Code uses the login in the home of its owner and refreshes it if it has
//! expired. A refresh that is killed after the reply of the server costs the login, so nothing here
//! kills it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cas_core::claude_files::json_settings::{self, ClaudeJson, ReadJsonError};
use cas_protocol::deadline::Deadline;

use super::child::{self, ChildOutput, End, RunClientError};
use super::invocation::Invocation;
use super::scratch::Scratch;
use crate::os::deferred_signals::SignalBlock;
use crate::os::oom_score;
use crate::precedence::managed_settings::{self, RemoteSettings};

/// After this time the run continues unobserved. A token endpoint that never answers takes about
/// two minutes.
pub(super) const TIMEOUT: Duration = Duration::from_secs(240);

/// The name of the credential file, which no setting changes.
const FILE_NAME: &str = ".credentials.json";

const DAMAGED_STATE: &str = "the user's .claude.json is not JSON, so claude does not start; `cas-sync doctor` prints the command that corrects it";

/// The directories of a login.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoginPlace {
    home: PathBuf,
    /// Set if it is not `.claude` in the home.
    config_directory: Option<PathBuf>,
}

impl LoginPlace {
    /// Returns the place of this credential file of a user with this home.
    pub(super) fn new(credentials_file: &Path, home: &Path) -> Result<Self, RunClientError> {
        let wrong_name = RunClientError::Unusable(
            "CLAUDE_CREDENTIALS_FILE names a file that Claude Code does not use; let it end in /.credentials.json",
        );
        let directory = credentials_file.parent().ok_or(wrong_name)?;
        if credentials_file.file_name().is_none_or(|name| name != FILE_NAME) {
            return Err(wrong_name);
        }
        let is_usual = directory == home.join(".claude");
        Ok(Self { home: home.to_owned(), config_directory: (!is_usual).then(|| directory.to_owned()) })
    }

    /// Returns the client's state file, which may also set variables.
    pub(super) fn own_settings(&self) -> PathBuf {
        json_settings::state_file(&self.home, self.config_directory.as_deref())
    }

    /// Checks that the client starts with its state file. 2.1.197 would replace one that is not
    /// JSON.
    ///
    /// # Errors
    /// [`RunClientError::Unknown`] with the remedy. The caller must not start a client then.
    pub(super) fn ensure_usable_state_file(&self) -> Result<(), RunClientError> {
        match ClaudeJson::read(&self.own_settings()) {
            Err(ReadJsonError::NotJson) => Err(RunClientError::Unknown(DAMAGED_STATE)),
            _ => Ok(()),
        }
    }

    /// Returns true if settings there select another credential than the login.
    pub(super) fn overrides_login(&self) -> bool {
        let config_directory = self.config_directory.clone().unwrap_or_else(|| self.home.join(".claude"));
        managed_settings::user_files(&self.own_settings())
            || managed_settings::remote_settings(&config_directory) == Some(RemoteSettings::Override)
    }
}

/// Runs the client with the login there; after `timeout` the client continues unobserved.
///
/// The output is truncated while the client runs, without its notice: no signal, no closed pipe and
/// no resource limit (which would also limit the credential file) may end a refresh. After the
/// timeout, or if the sync is killed, only the client's own timeouts limit it.
pub(super) fn run(
    invocation: &Invocation,
    place: &LoginPlace,
    timeout: Duration,
) -> Result<ChildOutput, RunClientError> {
    // Created first, so that it is dropped last, after all other cleanup.
    let _deferred =
        SignalBlock::new().map_err(|_| RunClientError::Unknown("cannot block signals for claude"))?;
    let no_room = |_| RunClientError::Unknown("there is no space in /tmp to run claude");
    let scratch = Scratch::new().map_err(no_room)?;
    let mut command = invocation.question(&scratch, &place.home).map_err(no_room)?;
    command.envs(place.config_directory.as_ref().map(|path| ("CLAUDE_CONFIG_DIR", path)));
    let mut child = child::spawn(&mut command)?;
    oom_score::protect(&child);
    let said_too_much = Cell::new(false);
    let shorten = || said_too_much.set(scratch.truncate_oversized() || said_too_much.get());
    let never = || {
        shorten();
        false
    };
    let waited = child::wait(&mut child, &Deadline::after(timeout), never);
    shorten();
    let ended = |end| ChildOutput::new(if said_too_much.get() { End::OutputTooLarge } else { end }, &scratch);
    match waited {
        Ok(Some(end)) => Ok(ended(end)),
        not_ended => {
            let ended = ended(End::TimedOut);
            scratch.close();
            not_ended.map(|_| ended)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn login_place_moved_is_named_other_file_name_is_rejected() {
        let home = Path::new("/home/alice");
        let usual = LoginPlace::new(Path::new("/home/alice/.claude/.credentials.json"), home).expect("usual");
        assert_eq!(usual, LoginPlace { home: home.into(), config_directory: None });
        let moved = LoginPlace::new(Path::new("/srv/alice/.credentials.json"), home).expect("moved");
        assert_eq!(moved.config_directory.as_deref(), Some(Path::new("/srv/alice")));
        assert!(matches!(
            LoginPlace::new(Path::new("/srv/alice/login.json"), home),
            Err(RunClientError::Unusable(_))
        ));
    }

    /// Bits are signal numbers less one: SIGHUP 1, SIGINT 2, SIGTERM 15.
    const DEFERRED: u64 = 1 | 1 << 1 | 1 << 14;

    #[test]
    fn refresh_run_blocks_signals_in_child_and_restores_mask() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        // Not sh: dash begins with an empty mask.
        let (invocation, place) = stand_in(scratch.path(), "#!/bin/bash\ncat /proc/self/status\n");
        let before = blocked(&fs::read_to_string("/proc/thread-self/status").expect("own status"));
        let ended = run(&invocation, &place, TIMEOUT).expect("an end");
        assert_eq!(ended.end, End::Exited(0));
        assert_eq!(blocked(&String::from_utf8_lossy(&ended.stdout)) & DEFERRED, DEFERRED);
        let after = blocked(&fs::read_to_string("/proc/thread-self/status").expect("own status"));
        assert_eq!((before & DEFERRED, after), (0, before));
    }

    #[test]
    fn refresh_run_after_timeout_continues() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let script =
            "#!/bin/sh\necho begun\nread go <$HOME/gate\necho $go >$TMPDIR/went\npwd >$HOME/finished\n";
        let (invocation, place) = stand_in(scratch.path(), script);
        let gate = scratch.path().join("gate");
        nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a gate");

        let ended = run(&invocation, &place, Duration::from_millis(300)).expect("an end");

        assert_eq!((ended.end, ended.stdout.as_slice()), (End::TimedOut, &b"begun\n"[..]));
        fs::write(&gate, "on\n").expect("the script reads the gate");
        let deadline = Deadline::after(Duration::from_secs(30));
        let left = loop {
            let written = fs::read_to_string(scratch.path().join("finished")).unwrap_or_default();
            match written.strip_suffix('\n') {
                Some(path) => break PathBuf::from(path),
                None => assert!(!deadline.is_expired(), "the script did not continue"),
            }
        };
        assert_eq!(fs::read_to_string(left.join("tmp/went")).expect("its place is still there"), "on\n");
        fs::remove_dir_all(left).expect("tidied up");
    }

    #[test]
    fn refresh_run_with_oversized_output_is_truncated_not_killed() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        // It writes each part once the output is short again, so that the test has no race.
        let script = "#!/bin/bash\n\
            is_short() { [ $(($(stat -c %s stdout) + $(stat -c %s stderr))) -le 2097152 ]; }\n\
            for part in {1..10}; do\n\
              head -c 2000000 /dev/zero; head -c 2000000 /dev/zero >&2\n\
              for look in {1..3000}; do is_short && break; sleep 0.01; done; is_short || exit 1\n\
            done\n\
            echo $part >$HOME/parts; echo the end\n";
        let (invocation, place) = stand_in(scratch.path(), script);
        let ended = run(&invocation, &place, TIMEOUT).expect("an end");
        let parts = fs::read_to_string(scratch.path().join("parts")).expect("it came to its end");
        assert_eq!((ended.end, parts.as_str()), (End::OutputTooLarge, "10\n"));
        assert!(ended.stdout.ends_with(b"the end\n"), "{} bytes", ended.stdout.len());
    }

    fn stand_in(directory: &Path, script: &str) -> (Invocation, LoginPlace) {
        let program = directory.join("claude");
        fs::write(&program, script).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
        let place = LoginPlace { home: directory.into(), config_directory: None };
        (Invocation::new(program, BTreeMap::new()), place)
    }

    fn blocked(status: &str) -> u64 {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("a mask");
        u64::from_str_radix(mask.trim(), 16).expect("a number")
    }
}

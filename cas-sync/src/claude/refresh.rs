//! A refresh run: Claude Code uses the login in its owner's home, and refreshes it first where that is due. A refresh
//! that is cut short after the server has answered costs the login, so nothing here ever ends it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cas_core::claude_files::json_settings;
use cas_protocol::deadline::Deadline;

use super::child::{self, ChildOutput, End, RunClientError};
use super::invocation::Invocation;
use super::scratch::Scratch;
use crate::os::deferred_signals::SignalBlock;
use crate::os::oom_score;
use crate::precedence::managed_settings::{self, RemoteSettings};

/// After this long it is left alone, and goes on. A token endpoint that never answers keeps it for about two minutes.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);

/// The name of the credential file, which the client takes from no setting.
const FILE_NAME: &str = ".credentials.json";

/// Where the login lies.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    home: PathBuf,
    /// Where it is not the home's own `.claude`.
    config_directory: Option<PathBuf>,
}

impl Place {
    /// The place of this credential file of somebody with this home.
    pub(super) fn of(credentials_file: &Path, home: &Path) -> Result<Self, RunClientError> {
        let elsewhere = RunClientError::Unusable(
            "CLAUDE_CREDENTIALS_FILE names a file that Claude Code does not use; let it end in /.credentials.json",
        );
        let directory = credentials_file.parent().ok_or(elsewhere)?;
        if credentials_file.file_name().is_none_or(|name| name != FILE_NAME) {
            return Err(elsewhere);
        }
        let is_usual = directory == home.join(".claude");
        Ok(Self { home: home.to_owned(), config_directory: (!is_usual).then(|| directory.to_owned()) })
    }

    /// The client's own state, which may hold variables too.
    pub(super) fn own_settings(&self) -> PathBuf {
        json_settings::state_file(&self.home, self.config_directory.as_deref())
    }

    /// Whether what lies there lets the client use another credential than the login.
    pub(super) fn chooses_the_credential(&self) -> bool {
        let config_directory = self.config_directory.clone().unwrap_or_else(|| self.home.join(".claude"));
        managed_settings::user_files(&self.own_settings())
            || managed_settings::remote_settings(&config_directory) == Some(RemoteSettings::Override)
    }
}

/// Lets the client use the login there; after `patience` it is left alone.
///
/// What it says is bounded all the while, without its noticing: no signal, no closed pipe and no limit of its own (which
/// would be one for the credential file as well) may end a refresh. Once it is left alone, as after the sync was killed,
/// its own time-outs are all that bounds it: whatever else could do so without somebody who stays could also end it.
pub(super) fn run(
    invocation: &Invocation,
    place: &Place,
    patience: Duration,
) -> Result<ChildOutput, RunClientError> {
    // First of all, so that it is the last to go: by then nothing is left to be tidied up.
    let _deferred =
        SignalBlock::new().map_err(|_| RunClientError::Unknown("signals could not be kept from claude"))?;
    let no_room = |_| RunClientError::Unknown("there is no room in /tmp to run claude in");
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
    let waited = child::wait(&mut child, &Deadline::after(patience), never);
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
    fn another_config_directory_is_named_and_another_file_name_refused() {
        let home = Path::new("/home/alice");
        let usual = Place::of(Path::new("/home/alice/.claude/.credentials.json"), home).expect("usual");
        assert_eq!(usual, Place { home: home.into(), config_directory: None });
        let moved = Place::of(Path::new("/srv/alice/.credentials.json"), home).expect("moved");
        assert_eq!(moved.config_directory.as_deref(), Some(Path::new("/srv/alice")));
        assert!(matches!(
            Place::of(Path::new("/srv/alice/login.json"), home),
            Err(RunClientError::Unusable(_))
        ));
    }

    /// Bits are signal numbers less one: SIGHUP 1, SIGINT 2, SIGTERM 15.
    const DEFERRED: u64 = 1 | 1 << 1 | 1 << 14;

    #[test]
    fn what_it_starts_lets_the_signals_wait_too_and_afterwards_all_is_as_before() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        // Not sh: dash begins with an empty mask.
        let (invocation, place) = stand_in(scratch.path(), "#!/bin/bash\ncat /proc/self/status\n");
        let before = blocked(&fs::read_to_string("/proc/thread-self/status").expect("own status"));
        let ended = run(&invocation, &place, PATIENCE).expect("an end");
        assert_eq!(ended.end, End::Exited(0));
        assert_eq!(blocked(&String::from_utf8_lossy(&ended.stdout)) & DEFERRED, DEFERRED);
        let after = blocked(&fs::read_to_string("/proc/thread-self/status").expect("own status"));
        assert_eq!((before & DEFERRED, after), (0, before));
    }

    #[test]
    fn what_takes_too_long_is_left_alone_and_goes_on() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let script =
            "#!/bin/sh\necho begun\nread go <$HOME/gate\necho $go >$TMPDIR/went\npwd >$HOME/finished\n";
        let (invocation, place) = stand_in(scratch.path(), script);
        let gate = scratch.path().join("gate");
        nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a gate");

        let ended = run(&invocation, &place, Duration::from_millis(300)).expect("an end");

        assert_eq!((ended.end, ended.stdout.as_slice()), (End::TimedOut, &b"begun\n"[..]));
        fs::write(&gate, "on\n").expect("somebody waits at the gate");
        let deadline = Deadline::after(Duration::from_secs(30));
        let left = loop {
            let written = fs::read_to_string(scratch.path().join("finished")).unwrap_or_default();
            match written.strip_suffix('\n') {
                Some(path) => break PathBuf::from(path),
                None => assert!(!deadline.is_expired(), "it was not left to go on"),
            }
        };
        assert_eq!(fs::read_to_string(left.join("tmp/went")).expect("its place is still there"), "on\n");
        fs::remove_dir_all(left).expect("tidied up");
    }

    #[test]
    fn what_says_too_much_is_neither_stopped_nor_believed_and_takes_little_room() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        // It says each part once the last one takes little room, so that nobody can be too slow.
        let script = "#!/bin/bash\n\
            is_short() { [ $(($(stat -c %s stdout) + $(stat -c %s stderr))) -le 2097152 ]; }\n\
            for part in {1..10}; do\n\
              head -c 2000000 /dev/zero; head -c 2000000 /dev/zero >&2\n\
              for look in {1..3000}; do is_short && break; sleep 0.01; done; is_short || exit 1\n\
            done\n\
            echo $part >$HOME/parts; echo the end\n";
        let (invocation, place) = stand_in(scratch.path(), script);
        let ended = run(&invocation, &place, PATIENCE).expect("an end");
        let parts = fs::read_to_string(scratch.path().join("parts")).expect("it came to its end");
        assert_eq!((ended.end, parts.as_str()), (End::OutputTooLarge, "10\n"));
        assert!(ended.stdout.ends_with(b"the end\n"), "{} bytes", ended.stdout.len());
    }

    fn stand_in(directory: &Path, script: &str) -> (Invocation, Place) {
        let program = directory.join("claude");
        fs::write(&program, script).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
        let place = Place { home: directory.into(), config_directory: None };
        (Invocation::new(program, BTreeMap::new()), place)
    }

    fn blocked(status: &str) -> u64 {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("a mask");
        u64::from_str_radix(mask.trim(), 16).expect("a number")
    }
}

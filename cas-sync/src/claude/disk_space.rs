//! Room for a refreshed login. The server takes the old refresh token as soon as it has given out the new one; a client that
//! then finds the disk full, or the quota used up, throws the new one away, and the person is logged out
//! (`docs/design/claude-code.md`). So the room is shown to be there before a client is started.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use cas_core::claude_files::json_settings;

use super::child::RunClientError;

/// What the client writes at its start besides copies of what is there already, with as much again to spare (32 KiB were
/// seen), in bytes.
const FOR_THE_REST: u64 = 64 << 10;

/// The client writes a new file beside the old one, and keeps a backup of its own state.
const COPIES: u64 = 2;

/// The largest file that is counted, in bytes: a run must not fill gigabytes for a file that has a hole in it.
const LIMIT: u64 = json_settings::LIMIT as u64;

const UNFIT_LOGIN: &str = "the person's .credentials.json is no regular file of at most 64 MiB; move it out of the way, and sign in again";
/// The client waits at a FIFO there for ever (measured with 2.1.329).
const UNFIT_STATE: &str = "the person's .claude.json is no regular file of at most 64 MiB; make it smaller, such as by its projects, or move it out of the way";

const FULL: &str =
    "the home has no room for the login that Claude Code would get; make room on its disk, or in its quota";
const LIMITED: &str =
    "the file size limit leaves no room for the login that Claude Code would get; raise it (ulimit -f)";
const CLOSED: &str =
    "Claude Code could not keep the login it would get; let its folder belong to the person, and be writable";

/// Shows that there is room in the folder of this credential file for a client that refreshes the login. Whoever fills the
/// disk a moment later is not foreseen.
///
/// # Errors
/// [`RunClientError::Unknown`], which says what to do: no client must be started.
pub(super) fn ensure_free_space(credentials_file: &Path, own_state: &Path) -> Result<(), RunClientError> {
    let folder = credentials_file.parent().unwrap_or(Path::new("/"));
    let wanted =
        FOR_THE_REST + COPIES * (length(credentials_file, UNFIT_LOGIN)? + length(own_state, UNFIT_STATE)?);
    // It never has a name: nothing is left of it, even if we are killed, and the watcher does not see it.
    let file = tempfile::tempfile_in(folder).map_err(|error| problem(&error))?;
    fill(&file, wanted).map_err(|error| problem(&error))
}

/// At most [`LIMIT`]. Links are followed, as the client does; where there is no file, nothing is copied.
fn length(path: &Path, unfit: &'static str) -> Result<u64, RunClientError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() <= LIMIT => Ok(found.len()),
        Ok(_) => Err(RunClientError::Unknown(unfit)),
        Err(_) => Ok(0),
    }
}

/// Writes so many bytes down to the disk: before that, a file system may have promised more than it has. They are ones
/// that no file system can make fewer of.
fn fill(mut file: &File, length: u64) -> io::Result<()> {
    let written = io::copy(&mut File::open("/dev/urandom")?.take(length), &mut file)?;
    if written < length {
        return Err(io::ErrorKind::WriteZero.into());
    }
    file.sync_all()
}

fn problem(error: &io::Error) -> RunClientError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull, WriteZero};
    match error.kind() {
        FileTooLarge => RunClientError::Unknown(LIMITED),
        QuotaExceeded | StorageFull | WriteZero => RunClientError::Unknown(FULL),
        _ => RunClientError::Unknown(CLOSED),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn nothing_is_left_of_what_was_tried() {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let file = folder.path().join(".credentials.json");
        fs::write(&file, "{}").expect("written");
        assert_eq!(ensure_free_space(&file, Path::new("/nonexistent")), Ok(()));
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }

    #[test]
    fn no_room_is_tried_for_what_is_no_small_file_and_it_is_named() {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let (login, state) = (folder.path().join(".credentials.json"), folder.path().join(".claude.json"));
        let make_small = || {
            for path in [&login, &state] {
                fs::write(path, "{}").expect("written");
            }
        };
        for (unfit, named) in [(&login, ".credentials.json"), (&state, ".claude.json")] {
            for length in [LIMIT + 1, 1 << 40] {
                make_small();
                File::create(unfit).and_then(|file| file.set_len(length)).expect("a sparse file");
                let said = ensure_free_space(&login, &state);
                assert!(
                    matches!(said, Err(RunClientError::Unknown(text)) if text.contains(named)),
                    "{said:?}"
                );
            }
            make_small();
            fs::remove_file(unfit).expect("removed");
            nix::unistd::mkfifo(unfit, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
            let said = ensure_free_space(&login, &state);
            assert!(matches!(said, Err(RunClientError::Unknown(text)) if text.contains(named)), "{said:?}");
            fs::remove_file(unfit).expect("removed");
        }
        make_small();
        File::create(&state).and_then(|file| file.set_len(LIMIT)).expect("a sparse file");
        assert_eq!(ensure_free_space(&login, &state), Ok(()));
    }

    #[test]
    fn what_is_written_takes_the_room_it_is_said_to_take() {
        let file = tempfile::tempfile().expect("a file");
        fill(&file, 100_000).expect("written");
        let found = file.metadata().expect("it is open");
        assert!(found.len() == 100_000 && found.blocks() * 512 >= 100_000, "{found:?}");
    }

    #[test]
    fn where_nothing_can_be_made_it_says_why() {
        let nowhere = Path::new("/nonexistent/.credentials.json");
        assert_eq!(ensure_free_space(nowhere, nowhere), Err(RunClientError::Unknown(CLOSED)));
        let full = problem(&io::Error::from_raw_os_error(nix::errno::Errno::EDQUOT as i32));
        assert_eq!(full, RunClientError::Unknown(FULL));
        let limited = problem(&io::Error::from_raw_os_error(nix::errno::Errno::EFBIG as i32));
        assert_eq!(limited, RunClientError::Unknown(LIMITED));
    }
}

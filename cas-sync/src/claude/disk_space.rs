//! Checks the disk space for a refreshed login. The server invalidates the old refresh token as
//! soon as it has issued the new one. A client that then finds the disk or the quota full loses the
//! new one, and the user is logged out (`docs/design/claude-code.md`). So the space is checked
//! before a client starts.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use cas_core::claude_files::json_settings;
use cas_core::fs::obstacle::{Obstacle, ObstacleKind};

use super::child::RunClientError;

/// What the client writes at its start besides the copies, in bytes: twice the 32 KiB that were
/// measured.
const RESERVE: u64 = 64 << 10;

/// The client writes a new credential file beside the old one, and a backup of its state file.
const COPIES: u64 = 2;

/// The largest counted file, in bytes: a sparse file must not cause gigabytes of writes.
const LIMIT: u64 = json_settings::LIMIT as u64;

const UNFIT_LOGIN: &str =
    "the user's .credentials.json is not a regular file of at most 64 MiB; move it away and sign in again";
/// The client blocks on a FIFO there (measured with 2.1.329).
const UNFIT_STATE: &str = "the user's .claude.json is not a regular file of at most 64 MiB; remove old projects from it, or move it away";

const NO_SPACE_TEST: &str = "cannot test whether Claude Code can write a refreshed login";

/// Returns what keeps Claude Code from writing a refreshed login into the directory of this
/// credential file. A disk that another process fills afterwards is not covered.
///
/// # Errors
/// [`RunClientError::Unknown`]: the caller must not start a client.
pub(super) fn obstacle(
    credentials_file: &Path,
    own_state: &Path,
) -> Result<Option<Obstacle>, RunClientError> {
    let directory = credentials_file.parent().unwrap_or(Path::new("/"));
    let wanted =
        RESERVE + COPIES * (length(credentials_file, UNFIT_LOGIN)? + length(own_state, UNFIT_STATE)?);
    // The file has no name: nothing remains if this process is killed, and the watcher sees
    // nothing.
    match tempfile::tempfile_in(directory).and_then(|file| fill(&file, wanted)) {
        Ok(()) => Ok(None),
        Err(error) => classify(credentials_file, &error).map(Some),
    }
}

/// Returns the size, at most [`LIMIT`]. Symlinks are followed, as the client does; a missing file
/// counts as 0.
fn length(path: &Path, unfit: &'static str) -> Result<u64, RunClientError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() <= LIMIT => Ok(found.len()),
        Ok(_) => Err(RunClientError::Unknown(unfit)),
        Err(_) => Ok(0),
    }
}

/// Writes so many bytes to the disk, since a file system may promise more space than it has. The
/// bytes are random, so that no file system compresses them.
fn fill(mut file: &File, length: u64) -> io::Result<()> {
    let written = io::copy(&mut File::open("/dev/urandom")?.take(length), &mut file)?;
    if written < length {
        return Err(io::ErrorKind::WriteZero.into());
    }
    file.sync_all()
}

fn classify(path: &Path, error: &io::Error) -> Result<Obstacle, RunClientError> {
    if error.kind() == io::ErrorKind::WriteZero {
        return Ok(Obstacle { kind: ObstacleKind::NoSpace, path: path.to_owned() });
    }
    Obstacle::from_error(path, error).ok_or(RunClientError::Unknown(NO_SPACE_TEST))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn free_space_check_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a scratch directory");
        let file = folder.path().join(".credentials.json");
        fs::write(&file, "{}").expect("written");
        assert_eq!(obstacle(&file, Path::new("/nonexistent")), Ok(None));
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }

    #[test]
    fn free_space_check_names_irregular_or_large_file() {
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
                let result = obstacle(&login, &state);
                assert!(
                    matches!(result, Err(RunClientError::Unknown(text)) if text.contains(named)),
                    "{result:?}"
                );
            }
            make_small();
            fs::remove_file(unfit).expect("removed");
            nix::unistd::mkfifo(unfit, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
            let result = obstacle(&login, &state);
            assert!(
                matches!(result, Err(RunClientError::Unknown(text)) if text.contains(named)),
                "{result:?}"
            );
            fs::remove_file(unfit).expect("removed");
        }
        make_small();
        File::create(&state).and_then(|file| file.set_len(LIMIT)).expect("a sparse file");
        assert_eq!(obstacle(&login, &state), Ok(None));
    }

    #[test]
    fn filled_file_occupies_its_size() {
        let file = tempfile::tempfile().expect("a file");
        fill(&file, 100_000).expect("written");
        let found = file.metadata().expect("it is open");
        assert!(found.len() == 100_000 && found.blocks() * 512 >= 100_000, "{found:?}");
    }

    #[test]
    fn free_space_error_names_the_cause() {
        let nowhere = Path::new("/nonexistent/.credentials.json");
        assert_eq!(obstacle(nowhere, nowhere), Err(RunClientError::Unknown(NO_SPACE_TEST)));
        let kind = |errno: nix::errno::Errno| {
            classify(nowhere, &io::Error::from_raw_os_error(errno as i32)).map(|found| found.kind)
        };
        assert_eq!(kind(nix::errno::Errno::EDQUOT), Ok(ObstacleKind::QuotaExceeded));
        assert_eq!(kind(nix::errno::Errno::EFBIG), Ok(ObstacleKind::FileSizeLimit));
        assert_eq!(kind(nix::errno::Errno::EIO), Err(RunClientError::Unknown(NO_SPACE_TEST)));
    }
}

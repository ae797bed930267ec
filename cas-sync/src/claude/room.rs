//! Room for a refreshed login. The server takes the old refresh token as soon as it has given out the new one; a client that
//! then finds the disk full, or the quota used up, throws the new one away, and the person is logged out
//! (`docs/claude-code.md`). So the room is shown to be there before a client is started.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::running::Problem;

/// What the client writes at its start besides copies of what is there already, with as much again to spare (32 KiB were
/// seen), in bytes.
const FOR_THE_REST: u64 = 64 << 10;

/// The client writes a new file beside the old one, and keeps a backup of its own state.
const COPIES: u64 = 2;

const FULL: &str =
    "the home has no room for the login that Claude Code would get; make room on its disk, or in its quota";
const CLOSED: &str =
    "Claude Code could not keep the login it would get; let its folder belong to the person, and be writable";

/// Shows that there is room in the folder of this credential file for a client that refreshes the login. Whoever fills the
/// disk a moment later is not foreseen.
///
/// # Errors
/// [`Problem::Unknown`], which says what to do: no client must be started.
pub(super) fn is_there(credentials_file: &Path, own_state: &Path) -> Result<(), Problem> {
    let folder = credentials_file.parent().unwrap_or(Path::new("/"));
    let length = |path| fs::metadata(path).map_or(0, |found| found.len());
    let wanted = FOR_THE_REST + COPIES * (length(credentials_file) + length(own_state));
    // It never has a name: nothing is left of it, even if we are killed, and the watcher does not see it.
    let file = tempfile::tempfile_in(folder).map_err(|error| problem(&error))?;
    fill(&file, wanted).map_err(|error| problem(&error))
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

fn problem(error: &io::Error) -> Problem {
    use io::ErrorKind::{QuotaExceeded, StorageFull, WriteZero};
    match error.kind() {
        QuotaExceeded | StorageFull | WriteZero => Problem::Unknown(FULL),
        _ => Problem::Unknown(CLOSED),
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
        assert_eq!(is_there(&file, Path::new("/nonexistent")), Ok(()));
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
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
        assert_eq!(is_there(nowhere, nowhere), Err(Problem::Unknown(CLOSED)));
        let full = problem(&io::Error::from_raw_os_error(nix::errno::Errno::EDQUOT as i32));
        assert_eq!(full, Problem::Unknown(FULL));
    }
}

//! Opens a small file without ever waiting for it: a FIFO or a device in its place is an error, not a hang.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

/// Reads a file of at most `limit` bytes, or nothing where there is none; links are followed.
///
/// # Errors
/// [`Unfit`], which says whether it is the file that has to be changed.
pub fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, Unfit> {
    let file = match open(path, Links::Followed) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Unfit::Failed(error)),
    };
    if !file.metadata().map_err(Unfit::Failed)?.is_file() {
        return Err(Unfit::NotRegular);
    }
    let mut content = Vec::new();
    let is_all = read_all(&file, limit, &mut content).map_err(Unfit::Failed)?;
    if is_all { Ok(Some(content)) } else { Err(Unfit::TooLarge) }
}

/// Why a file was not read.
#[derive(Debug)]
pub enum Unfit {
    /// It is a FIFO, a device, a directory: move it out of the way.
    NotRegular,
    /// It is larger than anything of its kind: make it smaller, or move it out of the way.
    TooLarge,
    /// It could not be read, such as for want of leave; the error says why.
    Failed(io::Error),
}

/// Whether the last component of a path may be a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    Followed,
    Refused,
}

/// Opens for reading; `ELOOP` when a link is refused. What was opened may still be anything: look at its metadata.
pub(crate) fn open(path: &Path, links: Links) -> io::Result<File> {
    let no_follow = if links == Links::Refused { OFlag::O_NOFOLLOW } else { OFlag::empty() };
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY | no_follow).bits())
        .open(path)
}

/// Reads at most `limit` bytes into `buffer` and says whether that was all.
pub(crate) fn read_all(file: &File, limit: usize, buffer: &mut Vec<u8>) -> io::Result<bool> {
    // Of full size from the start: a growing vector would leave pieces of a secret behind.
    let expected = file.metadata().map_or(0, |metadata| usize::try_from(metadata.len()).unwrap_or(limit));
    buffer.reserve_exact(expected.min(limit) + 1);
    file.take(limit as u64 + 1).read_to_end(buffer)?;
    Ok(buffer.len() <= limit)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn only_a_regular_file_that_is_small_enough_is_read_and_nothing_is_waited_for() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = |name: &str| scratch.path().join(name);
        assert!(matches!(read(&path("absent"), 4), Ok(None)));
        fs::write(path("small"), "text").expect("a file");
        symlink("small", path("link")).expect("a link");
        for name in ["small", "link"] {
            assert_eq!(read(&path(name), 4).expect("read"), Some(b"text".to_vec()), "{name}");
        }

        assert!(matches!(read(&path("small"), 3), Err(Unfit::TooLarge)));
        File::create(path("huge")).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
        assert!(matches!(read(&path("huge"), 4), Err(Unfit::TooLarge)));
        mkfifo(&path("fifo"), Mode::S_IRWXU).expect("a FIFO");
        for unfit in [path("fifo"), path("."), "/dev/zero".into()] {
            assert!(matches!(read(&unfit, 4), Err(Unfit::NotRegular)), "{unfit:?}");
        }
        assert!(matches!(read(&path("small/none"), 4), Err(Unfit::Failed(_))));
    }
}

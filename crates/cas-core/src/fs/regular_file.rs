//! Opens a small file without ever waiting for it: a FIFO or a device in its place is an error, not a hang.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// Reads a file of at most `limit` bytes, or nothing where there is none; links are followed.
///
/// # Errors
/// [`Unfit`], which says whether it is the file that has to be changed.
pub fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, OpenError> {
    let Some(file) = RegularFile::open(path, Symlinks::Follow)? else { return Ok(None) };
    let mut content = Vec::new();
    file.read(limit, &mut content).map(|()| Some(content))
}

/// Why a file was not read.
#[derive(Debug)]
pub enum OpenError {
    /// It is a FIFO, a device, a directory: move it out of the way.
    NotRegular,
    /// It is a symbolic link, where none may be: put a file of its own there.
    Link,
    /// It is larger than anything of its kind: make it smaller, or move it out of the way.
    TooLarge,
    /// It could not be read, such as for want of leave; the error says why.
    Failed(io::Error),
}

/// Whether the last component of a path may be a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symlinks {
    /// A symlink is followed.
    Follow,
    /// A symlink is an error.
    Reject,
}

/// A file that was opened for reading, and is a regular one: whatever becomes of its name, this is the same file.
#[derive(Debug)]
pub struct RegularFile {
    file: File,
    metadata: Metadata,
}

impl RegularFile {
    /// Opens what lies at `path`; nothing where there is nothing. Whose it may be is for the caller to judge, by
    /// [`RegularFile::metadata`], before it is read.
    pub fn open(path: &Path, links: Symlinks) -> Result<Option<Self>, OpenError> {
        let file = match open(path, links) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(OpenError::of_open(error, links)),
        };
        let metadata = file.metadata().map_err(OpenError::Failed)?;
        if metadata.is_file() { Ok(Some(Self { file, metadata })) } else { Err(OpenError::NotRegular) }
    }

    /// What it was when it was opened.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// What it is now: its size and times may have changed.
    pub fn metadata_now(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// Reads all of it, from its beginning, into `buffer`, provided that is at most `limit` bytes.
    pub fn read(&self, limit: usize, buffer: &mut Vec<u8>) -> Result<(), OpenError> {
        let is_all = (&self.file).rewind().and_then(|()| read_all(&self.file, limit, buffer));
        if is_all.map_err(OpenError::Failed)? { Ok(()) } else { Err(OpenError::TooLarge) }
    }
}

impl OpenError {
    fn of_open(error: io::Error, links: Symlinks) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ELOOP) if links == Symlinks::Reject => Self::Link,
            // A socket.
            Some(Errno::ENXIO) => Self::NotRegular,
            _ => Self::Failed(error),
        }
    }
}

/// `ELOOP` when a link is refused. What was opened may still be anything.
fn open(path: &Path, links: Symlinks) -> io::Result<File> {
    let no_follow = if links == Symlinks::Reject { OFlag::O_NOFOLLOW } else { OFlag::empty() };
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY | no_follow).bits())
        .open(path)
}

/// Reads at most `limit` bytes into `buffer` and says whether that was all.
fn read_all(file: &File, limit: usize, buffer: &mut Vec<u8>) -> io::Result<bool> {
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
    use std::os::unix::net::UnixListener;

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

        assert!(matches!(read(&path("small"), 3), Err(OpenError::TooLarge)));
        File::create(path("huge")).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
        assert!(matches!(read(&path("huge"), 4), Err(OpenError::TooLarge)));
        mkfifo(&path("fifo"), Mode::S_IRWXU).expect("a FIFO");
        let _socket = UnixListener::bind(path("socket")).expect("a socket");
        for unfit in [path("fifo"), path("socket"), path("."), "/dev/zero".into()] {
            assert!(matches!(read(&unfit, 4), Err(OpenError::NotRegular)), "{unfit:?}");
        }
        assert!(matches!(read(&path("small/none"), 4), Err(OpenError::Failed(_))));
        assert!(matches!(RegularFile::open(&path("link"), Symlinks::Reject), Err(OpenError::Link)));
        symlink("loop", path("loop")).expect("a link to itself");
        assert!(matches!(read(&path("loop"), 4), Err(OpenError::Failed(_))));
    }
}

//! Opens small files without blocking: a FIFO or a device in place of the file is an error.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// Reads a file of at most `limit` bytes. Returns `None` if it does not exist. Symlinks are
/// followed.
///
/// # Errors
/// [`OpenError`] says whether the file itself has to be changed.
pub fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, OpenError> {
    let Some(file) = RegularFile::open(path, Symlinks::Follow)? else { return Ok(None) };
    let mut content = Vec::new();
    file.read(limit, &mut content).map(|()| Some(content))
}

/// Why a file was not read.
#[derive(Debug)]
pub enum OpenError {
    /// It is a FIFO, a device or a directory. The remedy is to move it away.
    NotRegular,
    /// It is a symlink where none is permitted. The remedy is to replace it with a regular file.
    Link,
    /// It is larger than the limit. The remedy is to shorten it or to move it away.
    TooLarge,
    /// It cannot be read, for example because of its mode.
    Failed(io::Error),
}

/// Whether the last component of a path may be a symlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symlinks {
    /// A symlink is followed.
    Follow,
    /// A symlink is an error.
    Reject,
}

/// A regular file that is open for reading. It stays the same file when its name is removed or
/// replaced.
#[derive(Debug)]
pub struct RegularFile {
    file: File,
    metadata: Metadata,
}

impl RegularFile {
    /// Opens the file at `path`. Returns `None` if it does not exist. The caller must check the
    /// owner with [`RegularFile::metadata`] before it reads the content.
    pub fn open(path: &Path, links: Symlinks) -> Result<Option<Self>, OpenError> {
        let file = match open(path, links) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(OpenError::from_io_error(error, links)),
        };
        let metadata = file.metadata().map_err(OpenError::Failed)?;
        if metadata.is_file() { Ok(Some(Self { file, metadata })) } else { Err(OpenError::NotRegular) }
    }

    /// Returns the metadata of the time when the file was opened.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the current metadata. Size and times may have changed since the file was opened.
    pub fn metadata_now(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// Reads the whole file into `buffer`, from its beginning, if it has at most `limit` bytes.
    pub fn read(&self, limit: usize, buffer: &mut Vec<u8>) -> Result<(), OpenError> {
        let is_all = (&self.file).rewind().and_then(|()| read_all(&self.file, limit, buffer));
        if is_all.map_err(OpenError::Failed)? { Ok(()) } else { Err(OpenError::TooLarge) }
    }
}

impl OpenError {
    fn from_io_error(error: io::Error, links: Symlinks) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ELOOP) if links == Symlinks::Reject => Self::Link,
            // Opening a socket fails with ENXIO.
            Some(Errno::ENXIO) => Self::NotRegular,
            _ => Self::Failed(error),
        }
    }
}

/// Opens the path for reading. Fails with `ELOOP` on a rejected symlink. The result may be any kind
/// of file.
fn open(path: &Path, links: Symlinks) -> io::Result<File> {
    let no_follow = if links == Symlinks::Reject { OFlag::O_NOFOLLOW } else { OFlag::empty() };
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY | no_follow).bits())
        .open(path)
}

/// Reads at most `limit` bytes into `buffer`, and returns true if that is the whole file.
fn read_all(file: &File, limit: usize, buffer: &mut Vec<u8>) -> io::Result<bool> {
    // Reserved at once: a vector that grows would leave parts of a secret in freed memory.
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
    fn file_that_is_large_or_not_regular_is_rejected_at_once() {
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

//! Reads files that must belong to a given user. A symlink is not followed, a FIFO does not block,
//! and devices and oversized files are rejected.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::fs::file_id::FileId;
use crate::fs::obstacle::Obstacle;
use crate::fs::regular_file::{OpenError, RegularFile, Symlinks};

/// The content of a file, and the version that was read.
pub struct FileContent {
    /// The bytes. Their memory is overwritten on drop.
    pub content: Zeroizing<Vec<u8>>,
    /// The version of the file that was read.
    pub identity: FileId,
}

/// The required owner and mode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// A regular file of the user, with any mode, because another program creates it.
    Owner,
    /// In addition, only the owner can write it, and it has one hard link. Its content is passed
    /// on.
    OwnerOnlyWritable,
}

/// Reads a file of user `owner`. Returns `None` if it does not exist.
///
/// # Errors
/// [`FileError`] if it is not a regular file of that user, is larger than `limit` bytes, or cannot
/// be read.
pub fn read(
    path: &Path,
    owner: u32,
    limit: usize,
    guard: Ownership,
) -> Result<Option<FileContent>, FileError> {
    OwnedFile::open(path, owner, guard)?.map(|file| file.read(limit)).transpose()
}

/// An open file of a known owner. It stays the same file when its name is removed or replaced.
#[derive(Debug)]
pub struct OwnedFile {
    path: PathBuf,
    file: RegularFile,
}

impl OwnedFile {
    /// Opens a file of user `owner`. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// [`FileError`] if it is not a regular file of that user.
    pub fn open(path: &Path, owner: u32, guard: Ownership) -> Result<Option<Self>, FileError> {
        let problem = |reason: Reason| FileError { path: path.to_owned(), reason };
        let opened = RegularFile::open(path, Symlinks::Reject);
        let Some(file) = opened.map_err(|unfit| problem(Reason::from_open_error(unfit, 0)))? else {
            return Ok(None);
        };
        let metadata = file.metadata();
        if metadata.uid() != owner {
            return Err(problem(Reason::Foreign { owner: metadata.uid() }));
        }
        if guard == Ownership::OwnerOnlyWritable && (metadata.mode() & 0o022 != 0 || metadata.nlink() != 1) {
            return Err(problem(Reason::Shared));
        }
        Ok(Some(Self { path: path.to_owned(), file }))
    }

    /// Reads the current content.
    ///
    /// # Errors
    /// [`FileError`] if it is larger than `limit` bytes or cannot be read.
    pub fn read(&self, limit: usize) -> Result<FileContent, FileError> {
        let problem = |reason: Reason| FileError { path: self.path.clone(), reason };
        let metadata = self.file.metadata_now().map_err(|error| problem(Reason::Failed("examine", error)))?;
        let mut content = Zeroizing::new(Vec::new());
        self.file
            .read(limit, &mut content)
            .map_err(|unfit| problem(Reason::from_open_error(unfit, limit)))?;
        Ok(FileContent { content, identity: FileId::from_metadata(&metadata) })
    }
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}", reason.describe(path))]
pub struct FileError {
    pub(crate) path: PathBuf,
    pub(crate) reason: Reason,
}

#[derive(Debug)]
pub(crate) enum Reason {
    NotRegular,
    Foreign { owner: u32 },
    Shared,
    TooLarge { limit: usize },
    Failed(&'static str, io::Error),
}

impl Reason {
    fn from_open_error(unfit: OpenError, limit: usize) -> Self {
        match unfit {
            OpenError::NotRegular | OpenError::Link => Self::NotRegular,
            OpenError::TooLarge => Self::TooLarge { limit },
            OpenError::Failed(error) => Self::Failed("read", error),
        }
    }

    fn describe(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::NotRegular => format!("{path} is not a regular file: move it away"),
            Self::Foreign { owner } => {
                format!("{path} belongs to user id {owner}: give it to its user, or remove it")
            }
            Self::Shared => {
                format!(
                    "{path} can be written by others or has a second name: remove it; it is created again"
                )
            }
            Self::TooLarge { limit } => {
                format!("{path} is larger than {limit} bytes: move it out of the way")
            }
            Self::Failed(step, error) if error.kind() == io::ErrorKind::FileTooLarge => {
                format!("cannot {step} {path}: the file size limit is reached; raise it (ulimit -f)")
            }
            Self::Failed(step, error) => format!("cannot {step} {path}: {error}"),
        }
    }
}

impl FileError {
    /// Returns the obstacle that the error shows, if it does not pass by itself.
    pub fn obstacle(&self) -> Option<Obstacle> {
        match &self.reason {
            Reason::Failed(_, error) => Obstacle::from_error(&self.path, error),
            Reason::NotRegular | Reason::Foreign { .. } | Reason::Shared | Reason::TooLarge { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::sys::stat::Mode;
    use nix::unistd::{Uid, mkfifo};

    use super::*;

    fn uid() -> u32 {
        Uid::effective().as_raw()
    }

    fn message(path: &Path, guard: Ownership) -> String {
        read(path, uid(), 100, guard).err().map(|problem| problem.to_string()).unwrap_or_default()
    }

    #[test]
    fn file_that_is_foreign_shared_or_not_regular_is_rejected() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = |name: &str| directory.path().join(name);
        assert!(read(&path("absent"), uid(), 100, Ownership::Owner).expect("absence is no error").is_none());

        mkfifo(&path("fifo"), Mode::S_IRWXU).expect("a FIFO");
        symlink("/etc/passwd", path("link")).expect("a link");
        fs::write(path("large"), [b'x'; 101]).expect("a file");
        for (name, expected) in
            [("fifo", "not a regular file"), ("link", "not a regular file"), (".", "not a regular file")]
        {
            assert!(
                message(&path(name), Ownership::Owner).contains(expected),
                "{name}: {}",
                message(&path(name), Ownership::Owner)
            );
        }
        assert!(message(&path("large"), Ownership::Owner).contains("larger than 100 bytes"));
        assert!(message(Path::new("/dev/null"), Ownership::Owner).contains("not a regular file"));

        fs::write(path("mine"), "text").expect("a file");
        let foreign =
            read(&path("mine"), uid() + 1, 100, Ownership::Owner).err().expect("a foreign file is refused");
        assert!(foreign.to_string().contains(&format!("belongs to user id {}", uid())));
        fs::set_permissions(path("mine"), fs::Permissions::from_mode(0o620)).expect("chmod");
        assert!(message(&path("mine"), Ownership::OwnerOnlyWritable).contains("written by others"));
        assert_eq!(message(&path("mine"), Ownership::Owner), "");
        fs::set_permissions(path("mine"), fs::Permissions::from_mode(0o600)).expect("chmod");
        fs::hard_link(path("mine"), path("second")).expect("a second name");
        assert!(message(&path("mine"), Ownership::OwnerOnlyWritable).contains("second name"));
    }
}

//! Files that must be a person's own: read without following a link into somebody else's, without waiting for a FIFO,
//! without reading a device or ten gigabytes; written whole or not at all.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use tempfile::{Builder, NamedTempFile};
use zeroize::Zeroizing;

use crate::ledger::FileIdentity;

/// What was read, and which file it was.
pub struct Found {
    /// The bytes, overwritten in memory when dropped.
    pub content: Zeroizing<Vec<u8>>,
    /// Tells this content from any later one.
    pub identity: FileIdentity,
}

/// How strict a file's owner and mode have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A regular file of this user, whatever its mode: somebody else's program made it.
    Owned,
    /// Also: one name only, and nobody else may write it. What it says is passed on.
    Exclusive,
}

/// Reads a file of user `owner`, or nothing where there is none.
///
/// # Errors
/// [`Problem`] when it is not a regular file of that user, is larger than `limit` bytes, or cannot be read.
pub fn read(path: &Path, owner: u32, limit: u64, guard: Guard) -> Result<Option<Found>, Problem> {
    let problem = |reason: Reason| Problem { path: path.to_owned(), reason };
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Err(problem(Reason::NotRegular)),
        Err(error) => return Err(problem(Reason::Failed("read", error))),
    };
    let metadata = file.metadata().map_err(|error| problem(Reason::Failed("examine", error)))?;
    if !metadata.is_file() {
        return Err(problem(Reason::NotRegular));
    }
    if metadata.uid() != owner {
        return Err(problem(Reason::Foreign { owner: metadata.uid() }));
    }
    if guard == Guard::Exclusive && (metadata.mode() & 0o022 != 0 || metadata.nlink() != 1) {
        return Err(problem(Reason::Shared));
    }
    // Of full size from the start: a growing vector would leave pieces of a secret behind.
    let expected = usize::try_from(metadata.len().min(limit)).unwrap_or_default();
    let mut content = Zeroizing::new(Vec::with_capacity(expected + 1));
    file.take(limit + 1).read_to_end(&mut content).map_err(|error| problem(Reason::Failed("read", error)))?;
    if content.len() as u64 > limit {
        return Err(problem(Reason::TooLarge { limit }));
    }
    Ok(Some(Found { content, identity: identity(&metadata) }))
}

/// Makes `path` hold `content`, mode 0600: the old content or the new one, never a part, also after a crash. A file that
/// holds these bytes already is left alone; the answer tells whether anything was written.
///
/// # Errors
/// [`Problem`]; the old file is then still in place.
pub fn replace(path: &Path, content: &[u8]) -> Result<bool, Problem> {
    if holds(path, content) {
        return Ok(false);
    }
    stage(path, content)?.commit()?;
    settle(path).map(|()| true)
}

/// A new content, written and synced to the disk beside the file it is for. Removed again unless it is committed.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
    file: NamedTempFile,
}

/// The slow part of [`replace`]: all that can fail or take long, and changes nothing yet.
///
/// # Errors
/// [`Problem`], also when something else than a regular file stands at `path`: that is never replaced.
pub fn stage(path: &Path, content: &[u8]) -> Result<Staged, Problem> {
    let problem = |step: &'static str| {
        move |error| Problem { path: path.to_owned(), reason: Reason::Failed(step, error) }
    };
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Problem { path: path.to_owned(), reason: Reason::NotRegular });
    }
    let prefix = format!("{}.tmp.", path.file_name().unwrap_or_default().to_string_lossy());
    let mut file = Builder::new()
        .prefix(&prefix)
        .rand_bytes(8)
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(directory_of(path))
        .map_err(problem("create a file beside"))?;
    file.write_all(content).map_err(problem("write a file beside"))?;
    file.as_file().sync_all().map_err(problem("sync a file beside"))?;
    Ok(Staged { path: path.to_owned(), file })
}

impl Staged {
    /// The quick part of [`replace`]: one rename. [`settle`] makes it last.
    ///
    /// # Errors
    /// [`Problem`]; the old file is then still in place.
    pub fn commit(self) -> Result<(), Problem> {
        let Self { path, file } = self;
        match file.persist(&path) {
            Ok(_) => Ok(()),
            Err(error) => Err(Problem { path, reason: Reason::Failed("rename a file to", error.error) }),
        }
    }
}

/// Makes what happened to the name `path` survive a crash.
///
/// # Errors
/// [`Problem`] when the directory cannot be synced; the change is done, and may be lost with the power.
pub fn settle(path: &Path) -> Result<(), Problem> {
    let synced = File::open(directory_of(path)).and_then(|directory| directory.sync_all());
    synced.map_err(|error| Problem {
        path: path.to_owned(),
        reason: Reason::Failed("sync the directory of", error),
    })
}

/// Removes the file; one that is not there is no error.
///
/// # Errors
/// [`Problem`] when it stays.
pub fn remove(path: &Path) -> Result<(), Problem> {
    match fs::remove_file(path) {
        Ok(()) => settle(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Problem { path: path.to_owned(), reason: Reason::Failed("remove", error) }),
    }
}

/// Creates a directory that only its owner may enter, and its parents.
///
/// # Errors
/// [`Problem`] when it cannot be made, or something else stands in its place.
pub fn create_private_directory(path: &Path) -> Result<(), Problem> {
    use std::os::unix::fs::DirBuilderExt;
    let created = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|error| Problem {
        path: path.to_owned(),
        reason: Reason::Failed("create the directory", error),
    })
}

fn holds(path: &Path, content: &[u8]) -> bool {
    let Ok(mut file) =
        OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
    else {
        return false;
    };
    let same_length = file
        .metadata()
        .is_ok_and(|found| found.len() == content.len() as u64 && found.mode() & 0o777 == 0o600);
    let mut found = Zeroizing::new(Vec::with_capacity(content.len()));
    same_length && file.read_to_end(&mut found).is_ok() && *found == content
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

fn identity(metadata: &fs::Metadata) -> FileIdentity {
    FileIdentity {
        inode: metadata.ino(),
        modified_seconds: metadata.mtime(),
        modified_nanoseconds: metadata.mtime_nsec(),
    }
}

/// What is wrong with a file.
#[derive(Debug)]
pub struct Problem {
    path: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    NotRegular,
    Foreign { owner: u32 },
    Shared,
    TooLarge { limit: u64 },
    Failed(&'static str, io::Error),
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.reason {
            Reason::NotRegular => write!(formatter, "{path} is no regular file: move it out of the way"),
            Reason::Foreign { owner } => {
                write!(formatter, "{path} belongs to user id {owner}: give it to its user, or remove it")
            }
            Reason::Shared => {
                write!(
                    formatter,
                    "{path} can be written by others or has a second name: remove it, it is made anew"
                )
            }
            Reason::TooLarge { limit } => {
                write!(formatter, "{path} is larger than {limit} bytes: move it out of the way")
            }
            Reason::Failed(step, error) => write!(formatter, "cannot {step} {path}: {error}"),
        }
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;
    use nix::unistd::{Uid, mkfifo};

    use super::*;

    fn uid() -> u32 {
        Uid::effective().as_raw()
    }

    fn message(path: &Path, guard: Guard) -> String {
        read(path, uid(), 100, guard).err().map(|problem| problem.to_string()).unwrap_or_default()
    }

    #[test]
    fn only_a_regular_file_of_ones_own_is_read() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = |name: &str| directory.path().join(name);
        assert!(read(&path("absent"), uid(), 100, Guard::Owned).expect("absence is no error").is_none());

        mkfifo(&path("fifo"), Mode::S_IRWXU).expect("a FIFO");
        symlink("/etc/passwd", path("link")).expect("a link");
        fs::write(path("large"), [b'x'; 101]).expect("a file");
        for (name, expected) in
            [("fifo", "no regular file"), ("link", "no regular file"), (".", "no regular file")]
        {
            assert!(
                message(&path(name), Guard::Owned).contains(expected),
                "{name}: {}",
                message(&path(name), Guard::Owned)
            );
        }
        assert!(message(&path("large"), Guard::Owned).contains("larger than 100 bytes"));
        assert!(message(Path::new("/dev/null"), Guard::Owned).contains("no regular file"));

        fs::write(path("mine"), "text").expect("a file");
        let foreign =
            read(&path("mine"), uid() + 1, 100, Guard::Owned).err().expect("a foreign file is refused");
        assert!(foreign.to_string().contains(&format!("belongs to user id {}", uid())));
        fs::set_permissions(path("mine"), fs::Permissions::from_mode(0o620)).expect("chmod");
        assert!(message(&path("mine"), Guard::Exclusive).contains("written by others"));
        assert_eq!(message(&path("mine"), Guard::Owned), "");
        fs::set_permissions(path("mine"), fs::Permissions::from_mode(0o600)).expect("chmod");
        fs::hard_link(path("mine"), path("second")).expect("a second name");
        assert!(message(&path("mine"), Guard::Exclusive).contains("second name"));
    }

    #[test]
    fn a_file_is_replaced_whole_with_mode_0600_and_only_when_it_differs() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("file");
        assert!(replace(&path, b"one").expect("written"));
        let first = read(&path, uid(), 9, Guard::Exclusive).expect("readable").expect("there").identity;
        assert!(!replace(&path, b"one").expect("nothing to write"));
        assert_eq!(
            read(&path, uid(), 9, Guard::Exclusive).expect("readable").expect("there").identity,
            first
        );
        assert!(replace(&path, b"two").expect("written"));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_link_is_never_replaced() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let (path, target) = (directory.path().join("link"), directory.path().join("target"));
        fs::write(&target, "kept").expect("a file");
        symlink(&target, &path).expect("a link");
        assert!(replace(&path, b"new").is_err());
        assert_eq!(fs::read_to_string(&target).expect("there"), "kept");
    }

    /// I8: whoever looks while a file is written a thousand times sees the one content or the other, never a part.
    #[test]
    fn a_reader_never_sees_a_part() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("file");
        let contents = [vec![b'a'; 10_000], vec![b'b'; 20_000]];
        replace(&path, &contents[0]).expect("written");
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for count in 0..300 {
                    replace(&path, &contents[count % 2]).expect("written");
                }
            });
            while !writer.is_finished() {
                let found = fs::read(&path).expect("always there");
                assert!(contents.contains(&found), "a part of {} bytes", found.len());
            }
        });
    }
}

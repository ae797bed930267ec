//! Atomic writes: a temporary file beside the target is written, synced and renamed, then the
//! directory is synced.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::unistd::Uid;
use tempfile::{Builder, NamedTempFile, PersistError};
use zeroize::Zeroizing;

use crate::fs::file_id::FileId;
use crate::fs::owned_file::{FileError, Reason};
use crate::fs::regular_file::{RegularFile, Symlinks};

/// The age at which a temporary file is stale. No write takes that long.
const STALE_TEMP_FILE_AGE: Duration = Duration::from_secs(60 * 60);

/// How often an exchange is undone while another process keeps writing. Real writers need one or
/// two rounds.
const MAX_UNDO_EXCHANGES: usize = 32;

/// The mode of a file that only its owner can read.
const PRIVATE_MODE: u32 = 0o600;

/// Writes `content` to `path` with mode 0600. After a crash the file has the old content or the new
/// content, never a part. Returns false and writes nothing if the file has this content already.
///
/// # Errors
/// [`FileError`]; the old file is then still in place.
pub fn write_atomic(path: &Path, content: &[u8]) -> Result<bool, FileError> {
    write_atomic_with_mode(path, content, PRIVATE_MODE)
}

/// Does the same as [`write_atomic`] with another mode, whatever the umask is.
///
/// # Errors
/// As for [`write_atomic`].
pub fn write_atomic_with_mode(path: &Path, content: &[u8], mode: u32) -> Result<bool, FileError> {
    if holds(path, content, mode) {
        return Ok(false);
    }
    stage_with_mode(path, content, mode)?.commit()?;
    sync_parent_dir(path).map(|()| true)
}

/// New content that is written and synced in a temporary file beside its target. The file is
/// removed unless it is committed.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
    file: NamedTempFile,
}

/// Writes and syncs the temporary file for `path`: the slow part of [`write_atomic`]. The target is
/// unchanged.
///
/// # Errors
/// [`FileError`], also if something other than a regular file exists at `path`: that is never
/// replaced.
pub fn stage(path: &Path, content: &[u8]) -> Result<Staged, FileError> {
    stage_with_mode(path, content, PRIVATE_MODE)
}

fn stage_with_mode(path: &Path, content: &[u8], mode: u32) -> Result<Staged, FileError> {
    let problem = |step: &'static str| {
        move |error| FileError { path: path.to_owned(), reason: Reason::Failed(step, error) }
    };
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(FileError { path: path.to_owned(), reason: Reason::NotRegular });
    }
    let prefix = temp_file_prefix(path);
    remove_temp_files(path, STALE_TEMP_FILE_AGE);
    let mut file = Builder::new()
        .prefix(&prefix)
        .rand_bytes(8)
        .permissions(fs::Permissions::from_mode(PRIVATE_MODE))
        .tempfile_in(directory_of(path))
        .map_err(problem("create a file beside"))?;
    // The error of the crate would have no error number.
    file.as_file_mut().write_all(content).map_err(problem("write a file beside"))?;
    if mode != PRIVATE_MODE {
        let mode = fs::Permissions::from_mode(mode);
        file.as_file().set_permissions(mode).map_err(problem("set the mode of a file beside"))?;
    }
    file.as_file().sync_all().map_err(problem("sync a file beside"))?;
    Ok(Staged { path: path.to_owned(), file })
}

impl Staged {
    /// Renames the temporary file to its target. Call [`sync_parent_dir`] afterwards to make the
    /// rename survive a crash.
    ///
    /// # Errors
    /// [`FileError`]; the old file is then still in place.
    pub fn commit(self) -> Result<(), FileError> {
        let Self { path, file } = self;
        file.persist(&path).map(drop).map_err(|error| failed(path, error.error))
    }

    /// Commits only if the target still is `expected` (`None`: does not exist). Returns false and
    /// changes nothing if another process has written or removed the target. The check and the
    /// rename are one operation (`RENAME_EXCHANGE`), so no write in between is lost.
    ///
    /// # Errors
    /// [`FileError`]; the old file is then still in place. If the exchange cannot be undone, the
    /// other process's version stays beside it with the extension `conflict`.
    pub fn commit_if_unchanged(self, expected: Option<FileId>) -> Result<bool, FileError> {
        let Self { path, file } = self;
        let Some(expected) = expected else { return commit_to_nothing(path, file) };
        match exchange(file.path(), &path) {
            Ok(()) if identity_at(file.path()) == Some(expected) => Ok(true),
            Ok(()) => undo_exchange(&path, file),
            Err(Errno::ENOENT) => Ok(false),
            // This file system has no exchange: compare, then rename at once.
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
                let is_expected = identity_at(&path) == Some(expected);
                if is_expected { Self { path, file }.commit().map(|()| true) } else { Ok(false) }
            }
            Err(errno) => Err(failed(path, errno.into())),
        }
    }
}

fn commit_to_nothing(path: PathBuf, file: NamedTempFile) -> Result<bool, FileError> {
    match file.persist_noclobber(&path) {
        Ok(_) => Ok(true),
        Err(PersistError { error, .. }) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(PersistError { error, .. }) => Err(failed(path, error)),
    }
}

/// Undoes an exchange. The file that came out was written by another process after the decision, so
/// it goes back to `path`. Each exchange must return the file that the previous one placed there;
/// another one is newer and goes back in turn.
fn undo_exchange(path: &Path, file: NamedTempFile) -> Result<bool, FileError> {
    let mut placed = file.as_file().metadata().ok().map(|ours| FileId::from_metadata(&ours));
    let mut error = io::Error::from(Errno::EAGAIN);
    for _ in 0..MAX_UNDO_EXCHANGES {
        let placing = identity_at(file.path());
        match exchange(file.path(), path) {
            Ok(()) if identity_at(file.path()) == placed => return Ok(false),
            Ok(()) => placed = placing,
            // The target was removed after it was written, so nothing has to be restored.
            Err(Errno::ENOENT) => return Ok(false),
            Err(errno) => {
                error = errno.into();
                break;
            }
        }
    }
    // It may be the only copy of what another process has just written, so it is kept beside the
    // file.
    let beside = path.with_extension("conflict");
    drop(file.persist(&beside));
    Err(FileError {
        path: path.to_owned(),
        reason: Reason::Failed("restore the version that another process wrote to", error),
    })
}

fn exchange(one: &Path, other: &Path) -> nix::Result<()> {
    renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE)
}

fn identity_at(path: &Path) -> Option<FileId> {
    fs::symlink_metadata(path).ok().map(|metadata| FileId::from_metadata(&metadata))
}

fn failed(path: PathBuf, error: io::Error) -> FileError {
    FileError { path, reason: Reason::Failed("rename a file to", error) }
}

/// Syncs the directory of `path`, so that a rename or removal survives a crash.
///
/// # Errors
/// [`FileError`] if the directory cannot be synced. The change is done, but a power failure may
/// undo it.
pub fn sync_parent_dir(path: &Path) -> Result<(), FileError> {
    let synced = File::open(directory_of(path)).and_then(|directory| directory.sync_all());
    synced.map_err(|error| FileError {
        path: path.to_owned(),
        reason: Reason::Failed("sync the directory of", error),
    })
}

/// Removes the file. A missing file is not an error.
///
/// # Errors
/// [`FileError`] if the file cannot be removed.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent_dir(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError { path: path.to_owned(), reason: Reason::Failed("remove", error) }),
    }
}

fn holds(path: &Path, content: &[u8], mode: u32) -> bool {
    let Ok(Some(file)) = RegularFile::open(path, Symlinks::Reject) else { return false };
    let found = file.metadata();
    let is_alike = found.uid() == Uid::effective().as_raw()
        && found.len() == content.len() as u64
        && found.mode() & 0o777 == mode;
    let mut found = Zeroizing::new(Vec::new());
    is_alike && file.read(content.len(), &mut found).is_ok() && *found == content
}

/// Removes temporary files for `path` of this age that killed runs left. They may contain secrets.
/// With an age of zero the caller holds the lock of the writers.
pub fn remove_temp_files(path: &Path, min_age: Duration) {
    let prefix = temp_file_prefix(path);
    let is_stale = |entry: &fs::DirEntry| {
        let age = entry.metadata().ok().and_then(|metadata| metadata.modified().ok()?.elapsed().ok());
        entry.file_name().to_string_lossy().starts_with(&prefix)
            && (min_age.is_zero() || age.is_some_and(|age| age >= min_age))
    };
    for entry in fs::read_dir(directory_of(path)).into_iter().flatten().flatten().filter(is_stale) {
        // A file that cannot be removed now is tried again at the next write.
        drop(fs::remove_file(entry.path()));
    }
}

fn temp_file_prefix(path: &Path) -> String {
    format!(".{}.cas-", path.file_name().unwrap_or_default().to_string_lossy())
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    use super::*;
    use crate::fs::owned_file::{Ownership, read};

    fn uid() -> u32 {
        Uid::effective().as_raw()
    }

    #[test]
    fn atomic_write_of_equal_content_leaves_the_file() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("file");
        assert!(write_atomic(&path, b"one").expect("written"));
        let first =
            read(&path, uid(), 9, Ownership::OwnerOnlyWritable).expect("readable").expect("there").identity;
        assert!(!write_atomic(&path, b"one").expect("nothing to write"));
        assert_eq!(
            read(&path, uid(), 9, Ownership::OwnerOnlyWritable).expect("readable").expect("there").identity,
            first
        );
        assert!(write_atomic(&path, b"two").expect("written"));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1, "no temporary file is left");
    }

    #[test]
    fn atomic_write_sets_the_given_mode() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("file");
        assert!(write_atomic_with_mode(&path, b"one", 0o644).expect("written"));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o644);
        assert!(!write_atomic_with_mode(&path, b"one", 0o644).expect("nothing to write"));
        assert!(write_atomic(&path, b"one").expect("written"), "another mode");
    }

    #[test]
    fn atomic_write_over_a_symlink_is_rejected() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let (path, target) = (directory.path().join("link"), directory.path().join("target"));
        fs::write(&target, "kept").expect("a file");
        symlink(&target, &path).expect("a link");
        assert!(write_atomic(&path, b"new").is_err());
        assert_eq!(fs::read_to_string(&target).expect("there"), "kept");
    }

    fn staged(path: &Path) -> Staged {
        stage(path, b"ours").expect("staged")
    }

    fn commit_during(path: &Path, expected: Option<FileId>, meanwhile: impl FnOnce()) -> bool {
        let staged = staged(path);
        meanwhile();
        let is_committed = staged.commit_if_unchanged(expected).expect("no error");
        let names = fs::read_dir(directory_of(path)).expect("listed").count();
        assert_eq!(names, usize::from(path.exists()), "no temporary file is left");
        is_committed
    }

    #[test]
    fn commit_over_an_unexpected_file_is_refused() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("file");
        let content = || fs::read_to_string(&path).ok();
        let write = |content: &[u8]| assert!(write_atomic(&path, content).expect("written"));

        assert!(!commit_during(&path, None, || write(b"theirs")));
        assert_eq!(content().as_deref(), Some("theirs"));
        let expected = identity_at(&path);
        assert!(!commit_during(&path, expected, || write(b"newer")));
        assert_eq!(content().as_deref(), Some("newer"));
        assert!(commit_during(&path, identity_at(&path), || ()));
        assert_eq!(content().as_deref(), Some("ours"));
        let expected = identity_at(&path);
        assert!(!commit_during(&path, expected, || fs::remove_file(&path).expect("removed")));
        assert_eq!(content(), None, "a file that was removed meanwhile stays removed");
        assert!(commit_during(&path, None, || ()));
        assert_eq!(content().as_deref(), Some("ours"));
    }

    /// The exchange cannot be undone: a directory cannot be exchanged with a file inside it.
    #[test]
    fn exchange_that_cannot_be_undone_leaves_a_conflict_file() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("folder");
        fs::create_dir(&path).expect("a folder");
        let Staged { file, .. } = stage(&path.join("file"), b"theirs").expect("staged");
        let problem = undo_exchange(&path, file).expect_err("the exchange fails");
        assert!(problem.to_string().contains("restore the version that another process wrote"), "{problem}");
        let beside = directory.path().join("folder.conflict");
        assert_eq!(fs::read_to_string(beside).expect("the only copy"), "theirs");
        assert_eq!(fs::read_dir(&path).expect("listed").count(), 0, "and no other is left");
    }

    /// A concurrent writer never loses its write: its newest version is in the file at the end.
    #[test]
    fn commit_beside_a_concurrent_writer_never_overwrites_it() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("file");
        write_atomic(&path, b"theirs 0").expect("written");
        let expected = identity_at(&path);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for count in 1..=500 {
                    write_atomic(&path, format!("theirs {count}").as_bytes()).expect("written");
                }
            });
            while !writer.is_finished() {
                // At most the first version is the expected one.
                staged(&path).commit_if_unchanged(expected).expect("no error");
            }
        });
        assert_eq!(fs::read_to_string(&path).expect("there"), "theirs 500");
    }

    /// I8: a concurrent reader sees the old content or the new content, never a part.
    #[test]
    fn reader_of_an_atomic_write_never_sees_a_part() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("file");
        let contents = [vec![b'a'; 10_000], vec![b'b'; 20_000]];
        write_atomic(&path, &contents[0]).expect("written");
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for count in 0..300 {
                    write_atomic(&path, &contents[count % 2]).expect("written");
                }
            });
            while !writer.is_finished() {
                let found = fs::read(&path).expect("always there");
                assert!(contents.contains(&found), "a part of {} bytes", found.len());
            }
        });
    }

    #[test]
    fn stale_temporary_file_is_removed_by_the_next_write() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("file");
        let old = directory.path().join(".file.cas-abcdefgh");
        let (recent, foreign) =
            (directory.path().join(".file.cas-ijklmnop"), directory.path().join("file.tmp.1"));
        for name in [&old, &recent, &foreign] {
            fs::write(name, "secret").expect("written");
        }
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for name in [&old, &foreign] {
            File::options()
                .write(true)
                .open(name)
                .and_then(|file| file.set_modified(long_ago))
                .expect("aged");
        }
        write_atomic(&path, b"new").expect("written");
        assert!(!old.exists() && recent.exists() && foreign.exists());
    }
}

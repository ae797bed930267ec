//! Files written whole or not at all: beside their target, synced, renamed, and the directory synced.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use tempfile::{Builder, NamedTempFile, PersistError};
use zeroize::Zeroizing;

use crate::fs::file_id::FileId;
use crate::fs::owned_file::{FileError, Reason};
use crate::fs::regular_file::{RegularFile, Symlinks};

/// How old a temporary file has to be to be nobody's any more.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(60 * 60);

/// How often a file that was taken out is put back where others keep writing: far more than any writer manages.
const TRIES: usize = 32;

/// Makes `path` hold `content`, mode 0600: the old content or the new one, never a part, also after a crash. A file that
/// holds these bytes already is left alone; the answer tells whether anything was written.
///
/// # Errors
/// [`Problem`]; the old file is then still in place.
pub fn write_atomic(path: &Path, content: &[u8]) -> Result<bool, FileError> {
    if holds(path, content) {
        return Ok(false);
    }
    stage(path, content)?.commit()?;
    sync_parent_dir(path).map(|()| true)
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
pub fn stage(path: &Path, content: &[u8]) -> Result<Staged, FileError> {
    let problem = |step: &'static str| {
        move |error| FileError { path: path.to_owned(), reason: Reason::Failed(step, error) }
    };
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(FileError { path: path.to_owned(), reason: Reason::NotRegular });
    }
    let prefix = format!(".{}.cas-", path.file_name().unwrap_or_default().to_string_lossy());
    remove_stale_temp_files(directory_of(path), &prefix);
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
    pub fn commit(self) -> Result<(), FileError> {
        let Self { path, file } = self;
        file.persist(&path).map(drop).map_err(|error| failed(path, error.error))
    }

    /// The same, provided that `expected` is what lies at the path, or nothing does: false, and all stays as it is, when
    /// somebody else has written or removed it. There is no moment between the look and the rename.
    ///
    /// # Errors
    /// [`Problem`]; the old file is then still in place, or, where a file system breaks in the middle, beside it under the
    /// extension `displaced`.
    pub fn commit_if_unchanged(self, expected: Option<FileId>) -> Result<bool, FileError> {
        let Self { path, file } = self;
        let Some(expected) = expected else { return commit_to_nothing(path, file) };
        match exchange(file.path(), &path) {
            Ok(()) if identity_at(file.path()) == Some(expected) => Ok(true),
            Ok(()) => put_back(&path, file),
            Err(Errno::ENOENT) => Ok(false),
            // A file system that cannot exchange: a look, and a rename at once.
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

/// What came out is somebody else's, and newer than what was decided about: back it goes. What comes out at that has to be
/// what was put there before, or is newer still.
fn put_back(path: &Path, file: NamedTempFile) -> Result<bool, FileError> {
    let mut placed = file.as_file().metadata().ok().map(|ours| FileId::from_metadata(&ours));
    let mut error = io::Error::from(Errno::EBUSY);
    for _ in 0..TRIES {
        let placing = identity_at(file.path());
        match exchange(file.path(), path) {
            Ok(()) if identity_at(file.path()) == placed => return Ok(false),
            Ok(()) => placed = placing,
            // Removed after it was written: then nothing is what is to be there.
            Err(Errno::ENOENT) => return Ok(false),
            Err(errno) => {
                error = errno.into();
                break;
            }
        }
    }
    // It may be the only copy of what somebody has just written: it stays beside the file, where they can find it.
    let beside = path.with_extension("displaced");
    drop(file.persist(&beside));
    Err(FileError {
        path: path.to_owned(),
        reason: Reason::Failed("put back what was written meanwhile to", error),
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

/// Makes what happened to the name `path` survive a crash.
///
/// # Errors
/// [`Problem`] when the directory cannot be synced; the change is done, and may be lost with the power.
pub fn sync_parent_dir(path: &Path) -> Result<(), FileError> {
    let synced = File::open(directory_of(path)).and_then(|directory| directory.sync_all());
    synced.map_err(|error| FileError {
        path: path.to_owned(),
        reason: Reason::Failed("sync the directory of", error),
    })
}

/// Removes the file; one that is not there is no error.
///
/// # Errors
/// [`Problem`] when it stays.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent_dir(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError { path: path.to_owned(), reason: Reason::Failed("remove", error) }),
    }
}

/// Creates a directory that only its owner may enter, and its parents.
///
/// # Errors
/// [`Problem`] when it cannot be made, or something else stands in its place.
pub fn create_private_directory(path: &Path) -> Result<(), FileError> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|error| FileError {
        path: path.to_owned(),
        reason: Reason::Failed("create the directory", error),
    })
}

fn holds(path: &Path, content: &[u8]) -> bool {
    let Ok(Some(file)) = RegularFile::open(path, Symlinks::Reject) else { return false };
    let is_alike = file.metadata().len() == content.len() as u64 && file.metadata().mode() & 0o777 == 0o600;
    let mut found = Zeroizing::new(Vec::new());
    is_alike && file.read(content.len(), &mut found).is_ok() && *found == content
}

/// Removes what a killed run left behind an hour ago or earlier: it may hold a secret.
fn remove_stale_temp_files(directory: &Path, prefix: &str) {
    let is_left_behind = |entry: &fs::DirEntry| {
        let age = entry.metadata().ok().and_then(|metadata| metadata.modified().ok()?.elapsed().ok());
        entry.file_name().to_string_lossy().starts_with(prefix)
            && age.is_some_and(|age| age >= LEFT_BEHIND_AFTER)
    };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten().filter(is_left_behind) {
        // What cannot be removed is tried again at the next write.
        drop(fs::remove_file(entry.path()));
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    use nix::unistd::Uid;

    use super::*;
    use crate::fs::owned_file::{Ownership, read};

    fn uid() -> u32 {
        Uid::effective().as_raw()
    }

    #[test]
    fn a_file_is_replaced_whole_with_mode_0600_and_only_when_it_differs() {
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
    fn a_link_is_never_replaced() {
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

    fn is_committed_over(path: &Path, expected: Option<FileId>, meanwhile: impl FnOnce()) -> bool {
        let staged = staged(path);
        meanwhile();
        let is_committed = staged.commit_if_unchanged(expected).expect("no error");
        let names = fs::read_dir(directory_of(path)).expect("listed").count();
        assert_eq!(names, usize::from(path.exists()), "no temporary file is left");
        is_committed
    }

    #[test]
    fn only_what_was_expected_is_replaced() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("file");
        let content = || fs::read_to_string(&path).ok();
        let write = |content: &[u8]| assert!(write_atomic(&path, content).expect("written"));

        assert!(!is_committed_over(&path, None, || write(b"theirs")));
        assert_eq!(content().as_deref(), Some("theirs"));
        let expected = identity_at(&path);
        assert!(!is_committed_over(&path, expected, || write(b"newer")));
        assert_eq!(content().as_deref(), Some("newer"));
        assert!(is_committed_over(&path, identity_at(&path), || ()));
        assert_eq!(content().as_deref(), Some("ours"));
        let expected = identity_at(&path);
        assert!(!is_committed_over(&path, expected, || fs::remove_file(&path).expect("removed")));
        assert_eq!(content(), None, "what somebody removed stays removed");
        assert!(is_committed_over(&path, None, || ()));
        assert_eq!(content().as_deref(), Some("ours"));
    }

    /// What came out is somebody else's, and the file system refuses to exchange a second time: here because a folder and
    /// what is in it cannot be.
    #[test]
    fn what_came_out_and_cannot_go_back_stays_beside_the_file() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("folder");
        fs::create_dir(&path).expect("a folder");
        let Staged { file, .. } = stage(&path.join("file"), b"theirs").expect("staged");
        let problem = put_back(&path, file).expect_err("it cannot go back");
        assert!(problem.to_string().contains("put back what was written meanwhile"), "{problem}");
        let beside = directory.path().join("folder.displaced");
        assert_eq!(fs::read_to_string(beside).expect("the only copy"), "theirs");
        assert_eq!(fs::read_dir(&path).expect("listed").count(), 0, "and no other is left");
    }

    /// Nobody's write is lost to ours, however close they come: the newest of theirs is what is left.
    #[test]
    fn whoever_writes_at_the_same_moment_is_not_overwritten() {
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
                // At most the very first one is what was expected.
                staged(&path).commit_if_unchanged(expected).expect("no error");
            }
        });
        assert_eq!(fs::read_to_string(&path).expect("there"), "theirs 500");
    }

    /// I8: whoever looks while a file is written a thousand times sees the one content or the other, never a part.
    #[test]
    fn a_reader_never_sees_a_part() {
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
    fn what_a_killed_run_left_behind_is_swept_up_later() {
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

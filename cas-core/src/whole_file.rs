//! Files written whole or not at all: beside their target, synced, renamed, and the directory synced.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::{Builder, NamedTempFile};
use zeroize::Zeroizing;

use crate::owned_file::{Problem, Reason};
use crate::regular_file::{Links, RegularFile};

/// How old a temporary file has to be to be nobody's any more.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(60 * 60);

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
    let prefix = format!(".{}.cas-", path.file_name().unwrap_or_default().to_string_lossy());
    sweep(directory_of(path), &prefix);
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
    let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
    created.map_err(|error| Problem {
        path: path.to_owned(),
        reason: Reason::Failed("create the directory", error),
    })
}

fn holds(path: &Path, content: &[u8]) -> bool {
    let Ok(Some(file)) = RegularFile::open(path, Links::Refused) else { return false };
    let is_alike = file.metadata().len() == content.len() as u64 && file.metadata().mode() & 0o777 == 0o600;
    let mut found = Zeroizing::new(Vec::new());
    is_alike && file.read(content.len(), &mut found).is_ok() && *found == content
}

/// Removes what a killed run left behind an hour ago or earlier: it may hold a secret.
fn sweep(directory: &Path, prefix: &str) {
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
    use crate::owned_file::{Guard, read};

    fn uid() -> u32 {
        Uid::effective().as_raw()
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
        replace(&path, b"new").expect("written");
        assert!(!old.exists() && recent.exists() && foreign.exists());
    }
}

//! The request files: one FIFO for each enrolled user, named after the user id, in a directory of
//! root.
//!
//! The FIFO belongs to its user, who requests a sync by setting its modification time. So the
//! kernel authenticates the request, it outlasts a restart of the dispatcher, and any number of
//! requests is one. No process opens the FIFO: a connection could carry descriptors of the client,
//! and closing one of those can take as long as the client likes (`SO_LINGER`, or a file on FUSE
//! with unwritten pages). A user can store nothing in it beyond the pipe buffer while the user
//! holds it open, and cannot replace or rename it.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};

use cas_protocol::paths::REQUEST_DIR;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::mkfifo;

/// The modification time of a file without a request.
const NO_REQUEST: TimeSpec = TimeSpec::new(0, 0);

/// The request files of the enrolled users.
#[derive(Debug)]
pub(super) struct RequestFiles {
    directory: PathBuf,
    uids: BTreeSet<u32>,
}

impl RequestFiles {
    /// Creates the files of this machine.
    pub(super) fn open() -> Self {
        Self::in_directory(Path::new(REQUEST_DIR))
    }

    fn in_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), uids: BTreeSet::new() }
    }

    /// Returns the directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Creates the files of these users and removes all others.
    ///
    /// # Errors
    /// The first file that cannot be created or removed. All others are.
    pub(super) fn update(&mut self, uids: BTreeSet<u32>) -> io::Result<()> {
        let mut result = Ok(());
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let uid = name.to_str().and_then(|name| name.parse().ok());
            if uid.is_none_or(|uid| !uids.contains(&uid)) {
                result = result.and(fs::remove_file(self.directory.join(name)));
            }
        }
        for uid in &uids {
            result = result.and(self.ensure(*uid));
        }
        self.uids = uids;
        result
    }

    /// Returns the users with a request.
    pub(super) fn requested(&self) -> Vec<u32> {
        let is_requested = |uid: &u32| {
            let found = self.metadata(*uid).filter(|found| is_request_file(found, *uid));
            found.is_some_and(|found| (found.mtime(), found.mtime_nsec()) != (0, 0))
        };
        self.uids.iter().copied().filter(is_requested).collect()
    }

    /// Removes the request of the user.
    ///
    /// # Errors
    /// If the time cannot be set.
    pub(super) fn clear(&self, uid: u32) -> io::Result<()> {
        self.set_time(uid, &NO_REQUEST)
    }

    /// Records a request of the user, for the next dispatcher.
    ///
    /// # Errors
    /// If the time cannot be set.
    pub(super) fn mark(&self, uid: u32) -> io::Result<()> {
        self.set_time(uid, &TimeSpec::UTIME_NOW)
    }

    /// Creates the file if it is missing. An owner with subordinate user ids can give the file to
    /// one of them: it is taken back, not replaced, because an open descriptor would keep each
    /// replaced file.
    fn ensure(&self, uid: u32) -> io::Result<()> {
        match self.metadata(uid) {
            Some(found) if is_request_file(&found, uid) => Ok(()),
            Some(found) if found.file_type().is_fifo() => lchown(self.path(uid), Some(uid), Some(0)),
            _ => self.create(uid),
        }
    }

    fn create(&self, uid: u32) -> io::Result<()> {
        let path = self.path(uid);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => mkfifo(&path, Mode::empty())?,
        }
        self.clear(uid)?;
        lchown(&path, Some(uid), Some(0))
    }

    fn set_time(&self, uid: u32, time: &TimeSpec) -> io::Result<()> {
        Ok(utimensat(AT_FDCWD, &self.path(uid), time, time, UtimensatFlags::NoFollowSymlink)?)
    }

    fn metadata(&self, uid: u32) -> Option<Metadata> {
        self.path(uid).symlink_metadata().ok()
    }

    fn path(&self, uid: u32) -> PathBuf {
        self.directory.join(uid.to_string())
    }
}

fn is_request_file(found: &Metadata, uid: u32) -> bool {
    found.file_type().is_fifo() && found.uid() == uid
}

#[cfg(test)]
mod tests {
    use nix::unistd::Uid;

    use super::*;

    #[test]
    fn request_file_time_survives_a_new_dispatcher() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let uid = Uid::effective().as_raw();
        let users = || BTreeSet::from([uid]);
        let mut files = RequestFiles::in_directory(scratch.path());
        files.update(users()).expect("created");
        let found = files.metadata(uid).expect("a file");
        assert!(is_request_file(&found, uid) && found.mode() & 0o777 == 0);
        assert!(files.requested().is_empty());
        files.mark(uid).expect("requested");
        let mut next = RequestFiles::in_directory(scratch.path());
        next.update(users()).expect("kept");
        assert_eq!(next.requested(), [uid]);
        next.clear(uid).expect("answered");
        assert!(next.requested().is_empty());
    }

    #[test]
    fn file_given_to_another_user_is_taken_back_in_place() {
        if !Uid::effective().is_root() {
            return eprintln!("SKIPPED: only root can give a file to another user");
        }
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let mut files = RequestFiles::in_directory(scratch.path());
        files.update(BTreeSet::from([1000])).expect("created");
        let before = files.metadata(1000).expect("a file").ino();
        lchown(files.path(1000), Some(100_000), Some(100_000)).expect("given away");
        files.update(BTreeSet::from([1000])).expect("updated");
        let after = files.metadata(1000).expect("a file");
        assert_eq!((after.ino(), after.uid(), after.gid()), (before, 1000, 0));
    }

    #[test]
    fn files_of_unenrolled_users_and_other_kinds_are_removed() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let uid = Uid::effective().as_raw();
        let path = |name: &str| scratch.path().join(name);
        fs::write(path(&uid.to_string()), "content").expect("a regular file");
        fs::write(path("4000000001"), "").expect("the file of an unenrolled user");
        fs::write(path("name"), "").expect("another file");
        let mut files = RequestFiles::in_directory(scratch.path());
        files.update(BTreeSet::from([uid])).expect("updated");
        assert!(files.metadata(uid).is_some_and(|found| is_request_file(&found, uid)));
        assert!(files.requested().is_empty());
        assert!(!path("4000000001").exists() && !path("name").exists());
        files.update(BTreeSet::new()).expect("updated");
        assert_eq!(fs::read_dir(scratch.path()).expect("listed").count(), 0);
    }
}

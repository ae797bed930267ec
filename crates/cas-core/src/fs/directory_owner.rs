//! Whose a directory is, where a user may have mounted something over it that never answers.

use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryOwner {
    /// A directory of this user and group.
    Owned {
        /// The user id.
        uid: u32,
        /// The group id.
        gid: u32,
    },
    /// Something is mounted over it.
    Mounted,
    /// It is not a directory.
    NotDirectory,
}

/// Looks at the directory at `path`, all of whose parents belong to root. Follows no link, and asks
/// no file system that is mounted over it. `None` if it does not exist.
///
/// # Errors
/// Those of statx(2).
pub fn look_at(path: &Path) -> io::Result<Option<DirectoryOwner>> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    match statx(CWD, path, flags, StatxFlags::BASIC_STATS) {
        Ok(found) if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) => {
            Ok(Some(DirectoryOwner::Mounted))
        }
        Ok(found) if FileType::from_raw_mode(found.stx_mode.into()) == FileType::Directory => {
            Ok(Some(DirectoryOwner::Owned { uid: found.stx_uid, gid: found.stx_gid }))
        }
        Ok(_) => Ok(Some(DirectoryOwner::NotDirectory)),
        // What a user has mounted for themselves alone (fuse(4)).
        Err(Errno::ACCESS) => Ok(Some(DirectoryOwner::Mounted)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn only_a_directory_itself_has_an_owner() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let own = fs::metadata(scratch.path()).expect("there");
        let owned = DirectoryOwner::Owned { uid: own.uid(), gid: own.gid() };
        assert_eq!(look_at(scratch.path()).expect("seen"), Some(owned));
        symlink(scratch.path(), scratch.path().join("link")).expect("a link");
        fs::write(scratch.path().join("file"), "").expect("a file");
        for name in ["link", "file"] {
            let found = look_at(&scratch.path().join(name)).expect("seen");
            assert_eq!(found, Some(DirectoryOwner::NotDirectory), "{name}");
        }
        assert_eq!(look_at(&scratch.path().join("absent")).expect("seen"), None);
        assert_eq!(look_at(Path::new("/proc")).expect("seen"), Some(DirectoryOwner::Mounted));
    }
}

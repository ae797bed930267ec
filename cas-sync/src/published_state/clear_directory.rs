//! Empties a directory of the user that this process has become.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, ResolveFlags, chmodat, openat, openat2, renameat, unlinkat,
};
use rustix::io::{Errno, Result};

/// Removes everything in the directory `name` of `parent`, as far as this process may. Follows no
/// symlink and enters no mounted file system. A tree of any depth takes four descriptors, because a
/// directory below the first level is moved up to it. Another process can add entries all the time:
/// the caller needs a time limit.
///
/// # Errors
/// If the directory cannot be opened or read. An entry that cannot be removed is not an error.
pub(super) fn clear_directory(parent: &Path, name: &str) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = openat(CWD, parent, flags, Mode::empty())?;
    let mut top = Top { directory: open_directory(&parent, name)?, moved: 0 };
    while top.clear_once()? {}
    Ok(())
}

/// The directory to empty.
struct Top {
    directory: OwnedFd,
    /// The number of directories that were moved up to it.
    moved: u64,
}

impl Top {
    /// Removes the files, and the directories without the directories in them, which are moved up.
    /// Returns true if anything was removed or moved.
    fn clear_once(&mut self) -> Result<bool> {
        let mut is_changed = false;
        for entry in Dir::read_from(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if !is_dots(name) && !remove(&self.directory, name) {
                is_changed |= self.clear_child(name).unwrap_or(false);
                is_changed |= remove(&self.directory, name);
            } else {
                is_changed |= !is_dots(name);
            }
        }
        Ok(is_changed)
    }

    /// Removes what is in this directory, or moves it up. Returns true if anything was.
    fn clear_child(&mut self, name: &CStr) -> Result<bool> {
        let child = open_directory(&self.directory, name)?;
        let mut is_changed = false;
        for entry in Dir::read_from(&child)? {
            let entry = entry?;
            let name = entry.file_name();
            is_changed |= !is_dots(name) && (remove(&child, name) || self.move_up(&child, name));
        }
        Ok(is_changed)
    }

    fn move_up(&mut self, child: &OwnedFd, name: &CStr) -> bool {
        self.moved += 1;
        // A directory without the permission to write it cannot get another parent.
        let _not_own = chmodat(child, name, Mode::RWXU, AtFlags::empty());
        renameat(child, name, &self.directory, format!(".moved-{}", self.moved)).is_ok()
    }
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// Removes a file or an empty directory. Returns true if it was removed.
fn remove(parent: &OwnedFd, name: &CStr) -> bool {
    let removed = unlinkat(parent, name, AtFlags::empty());
    removed.or_else(|_| unlinkat(parent, name, AtFlags::REMOVEDIR)).is_ok()
}

/// Opens a directory that is neither a symlink nor mounted. Makes it accessible to its owner first,
/// if it is not.
fn open_directory(parent: impl AsFd, name: impl rustix::path::Arg + Copy) -> Result<OwnedFd> {
    let open = || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        openat2(&parent, name, flags, Mode::empty(), resolve)
    };
    let is_complete = |directory: &OwnedFd| {
        rustix::fs::fstat(directory)
            .is_ok_and(|found| Mode::from_raw_mode(found.st_mode).contains(Mode::RWXU))
    };
    match open() {
        Ok(directory) if is_complete(&directory) => Ok(directory),
        Ok(_) | Err(Errno::ACCESS) => {
            let _not_own = chmodat(&parent, name, Mode::RWXU, AtFlags::empty());
            open()
        }
        failed => failed,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn links_fifos_and_closed_directories_are_removed() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = |name: &str| scratch.path().join(name);
        for directory in ["users/ada/a/b/closed/d", "other", "users/ada/read-only"] {
            fs::create_dir_all(path(directory)).expect("a directory");
        }
        fs::write(path("other/kept"), "").expect("a file");
        symlink(path("other"), path("users/ada/link")).expect("a link");
        symlink(path("other"), path("users/ada/a/b/link")).expect("a link");
        mkfifo(&path("users/ada/a/fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
        fs::write(path("users/ada/read-only/file"), "").expect("a file");
        for (directory, mode) in
            [("users/ada/a/b/closed", 0), ("users/ada/read-only", 0o500), ("users/ada", 0)]
        {
            fs::set_permissions(path(directory), Permissions::from_mode(mode)).expect("a mode");
        }
        clear_directory(&path("users"), "ada").expect("it can be read");
        fs::remove_dir(path("users/ada")).expect("it is empty");
        assert!(path("other/kept").exists());
        symlink(path("other"), path("users/ada")).expect("a link");
        assert!(clear_directory(&path("users"), "ada").is_err(), "a link is not followed");
        assert!(path("other/kept").exists());
    }

    #[test]
    fn deep_tree_is_removed() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        fs::create_dir(scratch.path().join("ada")).expect("a directory");
        let mut parent =
            openat(CWD, scratch.path().join("ada"), OFlags::DIRECTORY, Mode::empty()).expect("top");
        for _ in 0..3000 {
            rustix::fs::mkdirat(&parent, "d", Mode::RWXU).expect("a directory");
            parent = openat(&parent, "d", OFlags::DIRECTORY, Mode::empty()).expect("a directory");
        }
        clear_directory(scratch.path(), "ada").expect("it can be read");
        fs::remove_dir(scratch.path().join("ada")).expect("it is empty");
    }
}

//! Removing a folder that somebody else could fill with whatever they like, and may be filling just now: in so many steps at
//! most, and never anything outside of it. What was moved or mounted into it and is not its owner's is left alone, and no mounted
//! file system is asked anything: it may be one that never answers.

use std::ffi::{CStr, CString};
use std::fs::{self, File, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::NixPath;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{Uid, UnlinkatFlags, unlinkat};
use rustix::fs::{AtFlags, FileType, StatxAttributes, StatxFlags, statx};

use crate::os::shell_quote::shell_quote;

/// How many files and folders of one person's are removed at most: a few are there where nobody means ill, and this many take
/// a second.
pub(crate) const MAX_ENTRIES: u64 = 20_000;

/// How the name of a folder begins that was moved aside to be emptied, beside what it was: nobody but root gets there.
const ASIDE: &str = ".removed-";

/// Removes the folder and all that is in it, of which at most `most` files and folders; false when there was none. No new process
/// of its owner's gets there any more, whatever becomes of what is in it. Takes no room, for there may be none left.
///
/// # Errors
/// When it cannot be moved aside or emptied, or holds more, or something that is not its owner's: where the rest is, and what
/// removes it.
pub(crate) fn remove(path: &Path, most: u64) -> Result<bool> {
    let context = || format!("cannot remove {}", path.display());
    let aside = match rename_aside(path) {
        Ok(aside) => aside,
        Err(Errno::ENOENT) => return Ok(false),
        Err(Errno::EBUSY) => {
            let command = command("umount --lazy", path);
            bail!("{}: something is mounted over it; {command} takes that away, then try again", context())
        }
        Err(errno) => return Err(errno).with_context(context),
    };
    let rest = || {
        let command = command("rm -rf --one-file-system", &aside);
        format!(
            "what is left of it lies where only root gets, and who stands in it already; {command} removes that"
        )
    };
    match empty_dir(&aside, most) {
        Ok(true) => (),
        Ok(false) => bail!("{} held more than {most} files and folders; {}", path.display(), rest()),
        Err(error) => bail!("{}: {error:#}; {}", context(), rest()),
    }
    fs::remove_dir(&aside).with_context(rest)?;
    Ok(true)
}

/// A command to be pasted.
fn command(command: &str, path: &Path) -> String {
    shell_quote(&path.to_string_lossy()).map_or_else(String::new, |path| format!("`{command} {path}`"))
}

/// Gives the folder another name.
fn rename_aside(path: &Path) -> Result<PathBuf, Errno> {
    match seen(AT_FDCWD, path)? {
        EntryKind::Folder(_) => (),
        EntryKind::Mount => return Err(Errno::EBUSY),
        EntryKind::Other => return Err(Errno::ENOTDIR),
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Whatever is there of earlier ones stays.
    for number in 1..=u32::MAX {
        let aside = path.with_file_name(format!("{ASIDE}{name}-{number}"));
        match renamed(AT_FDCWD, path, AT_FDCWD, &aside) {
            Ok(()) => return Ok(aside),
            Err(Errno::EEXIST) => (),
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EEXIST)
}

/// Renames, and replaces nothing. Where a file system cannot rule that out, a look does: in the folders of the new names nobody
/// but the caller makes any.
fn renamed<From: ?Sized + NixPath, To: ?Sized + NixPath>(
    from_folder: impl AsFd,
    from: &From,
    to_folder: impl AsFd,
    to: &To,
) -> Result<(), Errno> {
    match renameat2(&from_folder, from, &to_folder, to, RenameFlags::RENAME_NOREPLACE) {
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
            match fstatat(&to_folder, to, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW) {
                Err(Errno::ENOENT) => renameat(from_folder, from, to_folder, to),
                Ok(_) => Err(Errno::EEXIST),
                Err(errno) => Err(errno),
            }
        }
        done => done,
    }
}

/// Empties a folder; false when there is more in it than `most`.
fn empty_dir(path: &Path, most: u64) -> Result<bool> {
    let (top, owner) = taken(AT_FDCWD, path, None)?;
    let mut work = TreeRemover { top, owner, left: most, waiting: Vec::new(), number: 0 };
    loop {
        let before = work.left;
        if !work.sweep_the_top()? {
            return Ok(false);
        }
        while let Some(name) = work.waiting.pop() {
            if !work.remove_entry(&name)? {
                return Ok(false);
            }
        }
        // A look into a folder that changes may miss something.
        if work.left == before {
            return Ok(true);
        }
    }
}

/// What is still to be done. A folder in a folder is moved to the top, so that no tree is too deep.
struct TreeRemover {
    top: File,
    /// Whose all of it has to be, or root's.
    owner: Uid,
    /// So many files and folders may still be removed.
    left: u64,
    /// The folders in the top that are to be emptied.
    waiting: Vec<CString>,
    /// The number in the last name that was given to one.
    number: u64,
}

impl TreeRemover {
    /// Removes the files in the top, and lists its folders; false when it may not remove so many.
    fn sweep_the_top(&mut self) -> Result<bool> {
        for entry in Dir::from_fd(self.top.try_clone()?.into())?.iter() {
            let entry = entry?;
            match self.remove(&self.top.try_clone()?, entry.file_name())? {
                Removed::Yes => (),
                Removed::IsFolder => self.waiting.push(entry.file_name().to_owned()),
                Removed::NoMore => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Empties one folder in the top, and removes it; false when it may not remove so many.
    fn remove_entry(&mut self, name: &CStr) -> Result<bool> {
        let (folder, _) = taken(&self.top, name, Some(self.owner))?;
        for entry in Dir::from_fd(folder.try_clone()?.into())?.iter() {
            let entry = entry?;
            match self.remove(&folder, entry.file_name())? {
                Removed::Yes => (),
                Removed::IsFolder => self.move_to_the_top(&folder, entry.file_name())?,
                Removed::NoMore => return Ok(false),
            }
        }
        match unlinkat(&self.top, name, UnlinkatFlags::RemoveDir) {
            // The next sweep of the top finds it.
            Ok(()) | Err(Errno::ENOTEMPTY) => Ok(true),
            Err(errno) => Err(errno.into()),
        }
    }

    fn remove(&mut self, folder: &File, name: &CStr) -> Result<Removed, Errno> {
        if matches!(name.to_bytes(), b"." | b"..") {
            return Ok(Removed::Yes);
        }
        if self.left == 0 {
            return Ok(Removed::NoMore);
        }
        self.left -= 1;
        match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(Removed::Yes),
            Err(Errno::EISDIR) => Ok(Removed::IsFolder),
            Err(errno) => Err(errno),
        }
    }

    /// Under a name that nothing else has there.
    fn move_to_the_top(&mut self, folder: &File, name: &CStr) -> Result<()> {
        loop {
            self.number += 1;
            let new = CString::new(self.number.to_string())?;
            match renamed(folder, name, &self.top, new.as_c_str()) {
                Ok(()) => {
                    self.waiting.push(new);
                    return Ok(());
                }
                Err(Errno::EEXIST) => (),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// What lies somewhere.
enum EntryKind {
    /// A folder, and whose it is.
    Folder(Uid),
    /// Something is mounted over it.
    Mount,
    Other,
}

/// Looks without asking a mounted file system anything; `path` may be empty for `at` itself.
fn seen<Path: ?Sized + NixPath>(at: impl AsFd, path: &Path) -> Result<EntryKind, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    let found = path.with_nix_path(|path| statx(at, path, flags, StatxFlags::BASIC_STATS))?;
    match found.map_err(|errno| Errno::from_raw(errno.raw_os_error())) {
        Ok(found) if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) => Ok(EntryKind::Mount),
        Ok(found) if FileType::from_raw_mode(found.stx_mode.into()) == FileType::Directory => {
            Ok(EntryKind::Folder(Uid::from_raw(found.stx_uid)))
        }
        Ok(_) => Ok(EntryKind::Other),
        // What somebody has mounted for themselves alone (fuse(4)).
        Err(Errno::EACCES) => Ok(EntryKind::Mount),
        Err(errno) => Err(errno),
    }
}

/// Opens a folder, and nothing else.
const FOLDER: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// What became of a name.
enum Removed {
    Yes,
    IsFolder,
    NoMore,
}

/// The folder of this name and whose it was. From here on it is the caller's: its owner can put nothing more into it, though they
/// may still hold it. It is looked at before it is opened, and neither asks a file system that is mounted there.
fn taken<Path: ?Sized + NixPath>(at: impl AsFd, name: &Path, owner: Option<Uid>) -> Result<(File, Uid)> {
    let place = File::from(openat(at, name, OFlag::O_PATH | FOLDER, Mode::empty())?);
    let shown = || name.with_nix_path(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let belongs_to = match seen(&place, c"")? {
        EntryKind::Folder(owner) => owner,
        EntryKind::Mount => bail!("something is mounted over {:?} in it", shown()),
        EntryKind::Other => bail!("{:?} in it is no folder any more", shown()),
    };
    if owner.is_some_and(|owner| belongs_to != owner && belongs_to != Uid::effective()) {
        bail!("{:?} in it belongs to user id {belongs_to}: give it back first", shown());
    }
    let folder = File::from(openat(&place, ".", OFlag::O_RDONLY | FOLDER, Mode::empty())?);
    fchown(&folder, Some(Uid::effective().as_raw()), None)?;
    folder.set_permissions(Permissions::from_mode(0o700))?;
    Ok((folder, belongs_to))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::stat::mkdirat;

    use super::*;

    /// A folder in a place of its own, beside something that is nobody's business.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let place = tempfile::tempdir().expect("a scratch directory");
        let folder = place.path().join("alice");
        fs::create_dir(&folder).expect("a folder");
        fs::create_dir(place.path().join("bob")).expect("a folder");
        fs::write(place.path().join("bob/kept"), "kept").expect("a file");
        (place, folder)
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("listed").flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn all_that_is_in_it_goes_and_nothing_else() {
        let (place, folder) = place();
        fs::create_dir_all(folder.join("0/1/2")).expect("folders");
        fs::create_dir_all(folder.join("1/1/1")).expect("folders with names that are given here");
        fs::create_dir(folder.join("shut")).expect("a folder");
        for name in ["0/1/2/file", "0/file", "1/1/1/2", "2", "shut/file", ".hidden"] {
            fs::write(folder.join(name), "x").expect("a file");
        }
        fs::set_permissions(folder.join("shut"), Permissions::from_mode(0o000)).expect("shut");
        symlink(place.path().join("bob"), folder.join("link")).expect("a link");
        symlink(place.path().join("bob/kept"), folder.join("0/link")).expect("a link");
        assert!(remove(&folder, MAX_ENTRIES).expect("removed"));
        assert!(!remove(&folder, MAX_ENTRIES).expect("nothing there"));
        assert_eq!(names(place.path()), ["bob"]);
        assert_eq!(names(&place.path().join("bob")), ["kept"]);
    }

    #[test]
    fn no_tree_is_too_deep() {
        let (place, folder) = place();
        let mut deepest = File::open(&folder).expect("opened");
        for _ in 0..5000 {
            mkdirat(&deepest, "d", Mode::S_IRWXU).expect("a folder");
            deepest = openat(&deepest, "d", OFlag::O_DIRECTORY, Mode::empty()).expect("opened").into();
        }
        assert!(remove(&folder, MAX_ENTRIES).expect("removed"));
        assert_eq!(names(place.path()), ["bob"]);
    }

    #[test]
    fn of_more_than_that_the_rest_is_put_where_only_root_gets_and_is_named() {
        let (place, folder) = place();
        for count in 0..250 {
            fs::write(folder.join(count.to_string()), "x").expect("a file");
        }
        let said = remove(&folder, 100).expect_err("too many").to_string();
        let aside = said
            .split("`rm -rf --one-file-system ")
            .nth(1)
            .and_then(|rest| rest.split('`').next())
            .expect("a command");
        assert!(said.starts_with(&format!("{} held more than 100 ", folder.display())), "{said}");
        assert!(!folder.exists());
        let aside = Path::new(aside);
        assert_eq!(names(aside).len(), 150, "so many were removed, and no more");
        assert_eq!(aside, place.path().join(".removed-alice-1"));
        assert_eq!(fs::metadata(aside).expect("there").permissions().mode() & 0o7777, 0o700);
        // The next time is nothing like it, and takes nothing from it.
        fs::create_dir(&folder).expect("a folder");
        assert!(remove(&folder, 100).expect("removed"));
        assert_eq!(names(aside).len(), 150);
    }

    #[test]
    fn what_is_no_folder_stays() {
        let (place, folder) = place();
        symlink("bob", place.path().join("link")).expect("a link");
        assert!(remove(&place.path().join("link"), MAX_ENTRIES).is_err());
        assert!(remove(&place.path().join("bob/kept"), MAX_ENTRIES).is_err());
        assert!(folder.exists());
        assert_eq!(names(place.path()), ["alice", "bob", "link"]);
    }
}

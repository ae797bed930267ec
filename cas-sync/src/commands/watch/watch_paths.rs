//! Finds the directories to watch for all changes of one file.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

/// A name in a watched directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WatchPath {
    pub(super) directory: PathBuf,
    pub(super) name: OsString,
    pub(super) role: Role,
}

/// The role of a name in a watched directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The file, or a symlink in its place, or the target of that.
    File,
    /// An ancestor of the file: a change of it requires new watches.
    Ancestor,
}

/// Returns the paths to watch for `file`, which need not exist: its directory or the nearest
/// existing ancestor, and the same for its target if it is a symlink.
pub(super) fn watch_paths_for(file: &Path) -> Vec<WatchPath> {
    let mut places = Vec::new();
    add(file, &mut places);
    if let Ok(target) = fs::read_link(file) {
        let directory = file.parent().unwrap_or(Path::new("/"));
        let resolved = fs::canonicalize(file).unwrap_or_else(|_| directory.join(target));
        add(&resolved, &mut places);
    }
    places
}

fn add(file: &Path, places: &mut Vec<WatchPath>) {
    let mut role = Role::File;
    let mut path = file;
    // Adds the nearest directory that can be watched, with the awaited name in it.
    while let (Some(directory), Some(name)) = (path.parent(), path.file_name()) {
        if can_be_watched(directory) {
            push(WatchPath { directory: directory.to_owned(), name: name.to_owned(), role }, places);
            if !directory.is_symlink() {
                return;
            }
            // The watch is on the target of the symlink; the symlink itself is one level up.
        }
        role = Role::Ancestor;
        path = directory;
    }
}

fn can_be_watched(directory: &Path) -> bool {
    directory.is_dir() && access(directory, AccessFlags::R_OK | AccessFlags::X_OK).is_ok()
}

fn push(place: WatchPath, places: &mut Vec<WatchPath>) {
    if !places.contains(&place) {
        places.push(place);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn place(directory: &Path, name: &str, role: Role) -> WatchPath {
        WatchPath { directory: directory.to_owned(), name: name.into(), role }
    }

    #[test]
    fn nearest_existing_directory_is_watched() {
        let home = tempfile::tempdir().expect("a scratch home");
        let claude = home.path().join(".claude");
        let file = claude.join("credentials");
        assert_eq!(watch_paths_for(&claude.join("a/b")), [place(home.path(), ".claude", Role::Ancestor)]);
        assert_eq!(watch_paths_for(&file), [place(home.path(), ".claude", Role::Ancestor)]);
        fs::create_dir(&claude).expect("made");
        assert_eq!(watch_paths_for(&file), [place(&claude, "credentials", Role::File)]);
    }

    #[test]
    fn symlink_and_its_target_are_watched() {
        let home = tempfile::tempdir().expect("a scratch home");
        let (claude, elsewhere) = (home.path().join(".claude"), home.path().join("elsewhere"));
        fs::create_dir(&elsewhere).expect("made");
        symlink("elsewhere", &claude).expect("a directory that is a link");
        let link = place(home.path(), ".claude", Role::Ancestor);
        let file = claude.join("credentials");
        assert_eq!(watch_paths_for(&file), [place(&claude, "credentials", Role::File), link.clone()]);

        symlink("../vault/login", elsewhere.join("credentials")).expect("a link that leads nowhere yet");
        let found = watch_paths_for(&file);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(
            found.last().map(|place| (place.name.to_str(), place.role)),
            Some((Some("vault"), Role::Ancestor))
        );
        fs::create_dir(home.path().join("vault")).expect("made");
        fs::write(home.path().join("vault/login"), "").expect("written");
        let vault = fs::canonicalize(home.path().join("vault")).expect("there");
        assert!(
            watch_paths_for(&file).contains(&place(&vault, "login", Role::File)),
            "{:?}",
            watch_paths_for(&file)
        );
    }
}

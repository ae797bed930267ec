//! Finds the program `claude`.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, Uid, access};

const NAME: &str = "claude";

/// Installation directories below a home: the `PATH` of a service has none of them. `*` is any
/// directory, of which the one with the newest version comes first. The directories of volta, mise
/// and asdf come before those of their shims, which find a program only with the settings in the
/// home of the user.
const HOME_DIRS: [&str; 11] = [
    ".local/bin",
    ".claude/local",
    ".npm-global/bin",
    ".bun/bin",
    ".nvm/versions/node/*/bin",
    ".volta/tools/image/packages/@anthropic-ai/claude-code/bin",
    ".volta/bin",
    ".local/share/mise/installs/*/*/bin",
    ".local/share/mise/shims",
    ".asdf/installs/*/*/bin",
    ".asdf/shims",
];

/// Installation directories of the system.
const SYSTEM_DIRS: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/bin", "/opt/claude/bin"];

/// The largest number of directories that a `*` stands for.
const MAX_DIRECTORIES: usize = 256;

/// Returns the configured program. Without one, returns the first of `search_path`, then of the
/// default directories. A program that is found must belong to `owner` or root, because it is given
/// the credential of the user.
pub(super) fn find(
    configured: Option<&Path>,
    search_path: Option<&OsStr>,
    home: &Path,
    owner: Uid,
) -> Result<PathBuf, NotFound> {
    if let Some(program) = configured {
        return is_program(program).then(|| program.to_owned()).ok_or(NotFound::Configured);
    }
    let on_path = search_path.map(std::env::split_paths).into_iter().flatten();
    // A relative entry would depend on the working directory.
    let on_path = on_path.filter(|directory| directory.is_absolute());
    let in_home = HOME_DIRS.iter().flat_map(|pattern| expand(home, pattern));
    let places = on_path.chain(in_home).chain(SYSTEM_DIRS.iter().map(PathBuf::from));
    let is_found = |path: &PathBuf| is_program(path) && is_trusted(path, owner);
    places.map(|directory| directory.join(NAME)).find(is_found).ok_or(NotFound::Anywhere)
}

/// Returns the directories below `home` that match `pattern`.
fn expand(home: &Path, pattern: &str) -> Vec<PathBuf> {
    pattern.split('/').fold(vec![home.to_owned()], |directories, part| {
        let below = |directory: PathBuf| match part {
            "*" => newest_first(&directory),
            name => vec![directory.join(name)],
        };
        directories.into_iter().flat_map(below).collect()
    })
}

/// Returns the entries of a directory, those with the highest numbers in their names first.
fn newest_first(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut found: Vec<_> = entries.flatten().take(MAX_DIRECTORIES).map(|entry| entry.path()).collect();
    let numbers = |path: &PathBuf| -> Vec<u64> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parts = name.split(|character: char| !character.is_ascii_digit());
        parts.filter_map(|part| part.parse().ok()).collect()
    };
    found.sort_by_cached_key(|path| std::cmp::Reverse((numbers(path), path.clone())));
    found
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
}

/// Returns true if the file, and the symlink that leads to it, belong to this user or root.
fn is_trusted(path: &Path, owner: Uid) -> bool {
    let is_own = |found: Metadata| found.uid() == owner.as_raw() || found.uid() == 0;
    fs::symlink_metadata(path).is_ok_and(is_own) && fs::metadata(path).is_ok_and(is_own)
}

/// No runnable `claude` was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotFound {
    /// The configured file is missing or not executable.
    Configured,
    /// The default directories do not have it.
    Anywhere,
}

impl NotFound {
    /// Returns the reason and the remedy.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Configured => {
                "the program in claude.program is missing or not executable; correct that setting"
            }
            Self::Anywhere => {
                "claude was not found; install it, or set claude.program to its path, or verify = false"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn install(directory: &Path, mode: u32) -> PathBuf {
        fs::create_dir_all(directory).expect("a directory");
        let path = directory.join(NAME);
        fs::write(&path, "#!/bin/sh\n").expect("a program");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        path
    }

    #[test]
    fn configured_program_is_used_exclusively() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (mine, other) = (install(&scratch.path().join("a"), 0o755), scratch.path().join(".local/bin"));
        install(&other, 0o755);
        assert_eq!(
            find(Some(&mine), Some(other.as_os_str()), scratch.path(), Uid::effective()),
            Ok(mine.clone())
        );
        fs::set_permissions(&mine, fs::Permissions::from_mode(0o644)).expect("a mode");
        for bad in [mine.as_path(), scratch.path(), Path::new("/nonexistent/claude")] {
            assert_eq!(
                find(Some(bad), Some(other.as_os_str()), scratch.path(), Uid::effective()),
                Err(NotFound::Configured)
            );
        }
    }

    #[test]
    fn program_in_home_is_found_without_search_path() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let in_home = install(&scratch.path().join(".local/bin"), 0o755);
        assert_eq!(
            find(None, Some(OsStr::new("/nonexistent")), scratch.path(), Uid::effective()),
            Ok(in_home.clone())
        );
        assert_eq!(find(None, None, scratch.path(), Uid::effective()), Ok(in_home));
        let (first, second) = (scratch.path().join("first"), scratch.path().join("second"));
        install(&first, 0o644);
        let runnable = install(&second, 0o755);
        let path =
            std::env::join_paths(["", "bin", first.to_str().expect("text"), second.to_str().expect("text")]);
        assert_eq!(find(None, Some(&path.expect("a path")), scratch.path(), Uid::effective()), Ok(runnable));
    }

    #[test]
    fn missing_program_reason_has_a_remedy() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let has_one = SYSTEM_DIRS.iter().any(|place| Path::new(place).join(NAME).exists());
        let found = find(None, None, scratch.path(), Uid::effective());
        assert!(has_one || found == Err(NotFound::Anywhere), "{found:?}");
        assert!(NotFound::Anywhere.text().contains("install it"));
    }

    #[test]
    fn program_of_a_version_manager_is_found_newest_first() {
        let managers: [&[&str]; 6] = [
            &[
                ".nvm/versions/node/v22.11.0/bin",
                ".nvm/versions/node/v22.9.1/bin",
                ".nvm/versions/node/v8.0.0/bin",
            ],
            &[".volta/tools/image/packages/@anthropic-ai/claude-code/bin", ".volta/bin"],
            &[".bun/bin"],
            &[".npm-global/bin"],
            &[".local/share/mise/installs/node/22.1/bin", ".local/share/mise/shims"],
            &[".asdf/installs/nodejs/22.1.0/bin", ".asdf/installs/nodejs/20.9.0/bin", ".asdf/shims"],
        ];
        for directories in managers {
            let scratch = tempfile::tempdir().expect("a scratch directory");
            // The oldest is installed last, so that the time of the installation decides nothing.
            let programs: Vec<_> =
                directories.iter().map(|place| install(&scratch.path().join(place), 0o755)).collect();
            for program in programs {
                let found = find(None, None, scratch.path(), Uid::effective());
                assert_eq!(found, Ok(program.clone()), "{directories:?}");
                fs::remove_file(program).expect("removed");
            }
        }
    }

    /// This test runs as root, so any other user is a third one.
    #[test]
    fn program_of_another_user_is_not_found() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (foreign, own) = (scratch.path().join("foreign"), scratch.path().join(".bun/bin"));
        let (foreign, own) = (install(&foreign, 0o755), install(&own, 0o755));
        let owner = Uid::from_raw(4242);
        chown(&own, Some(4242), None).expect("the user's");
        chown(&foreign, Some(4243), None).expect("another user's");
        let path = foreign.parent().map(Path::as_os_str);
        assert_eq!(find(None, path, scratch.path(), owner), Ok(own.clone()));
        chown(&foreign, Some(0), None).expect("root's");
        assert_eq!(find(None, path, scratch.path(), owner), Ok(foreign.clone()));
        // A symlink can lead to another program at any time.
        fs::rename(&foreign, scratch.path().join("real")).expect("moved");
        symlink(scratch.path().join("real"), &foreign).expect("a link");
        std::os::unix::fs::lchown(&foreign, Some(4243), None).expect("another user's link");
        assert_eq!(find(None, path, scratch.path(), owner), Ok(own));
    }
}

//! Finds the program `claude`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

const NAME: &str = "claude";

/// Installation directories below a home. The `PATH` of a service has none of them.
const HOME_DIRS: [&str; 3] = [".local/bin", ".claude/local", ".npm-global/bin"];

/// Installation directories of the system.
const SYSTEM_DIRS: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/bin", "/opt/claude/bin"];

/// Returns the configured program. Without one, returns the first of `search_path`, then of the
/// default directories.
pub(super) fn find(
    configured: Option<&Path>,
    search_path: Option<&OsStr>,
    home: &Path,
) -> Result<PathBuf, NotFound> {
    if let Some(program) = configured {
        return is_program(program).then(|| program.to_owned()).ok_or(NotFound::Configured);
    }
    let on_path = search_path.map(std::env::split_paths).into_iter().flatten();
    // A relative entry would depend on the working directory.
    let on_path = on_path.filter(|directory| directory.is_absolute());
    let in_home = HOME_DIRS.iter().map(|place| home.join(place));
    let places = on_path.chain(in_home).chain(SYSTEM_DIRS.iter().map(PathBuf::from));
    places.map(|directory| directory.join(NAME)).find(|path| is_program(path)).ok_or(NotFound::Anywhere)
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, AccessFlags::X_OK).is_ok()
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
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

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
        assert_eq!(find(Some(&mine), Some(other.as_os_str()), scratch.path()), Ok(mine.clone()));
        fs::set_permissions(&mine, fs::Permissions::from_mode(0o644)).expect("a mode");
        for bad in [mine.as_path(), scratch.path(), Path::new("/nonexistent/claude")] {
            assert_eq!(find(Some(bad), Some(other.as_os_str()), scratch.path()), Err(NotFound::Configured));
        }
    }

    #[test]
    fn program_in_home_is_found_without_search_path() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let in_home = install(&scratch.path().join(".local/bin"), 0o755);
        assert_eq!(find(None, Some(OsStr::new("/nonexistent")), scratch.path()), Ok(in_home.clone()));
        assert_eq!(find(None, None, scratch.path()), Ok(in_home));
        let (first, second) = (scratch.path().join("first"), scratch.path().join("second"));
        install(&first, 0o644);
        let runnable = install(&second, 0o755);
        let path =
            std::env::join_paths(["", "bin", first.to_str().expect("text"), second.to_str().expect("text")]);
        assert_eq!(find(None, Some(&path.expect("a path")), scratch.path()), Ok(runnable));
    }

    #[test]
    fn missing_program_reason_has_a_remedy() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let has_one = SYSTEM_DIRS.iter().any(|place| Path::new(place).join(NAME).exists());
        let found = find(None, None, scratch.path());
        assert!(has_one || found == Err(NotFound::Anywhere), "{found:?}");
        assert!(NotFound::Anywhere.text().contains("install it"));
    }
}

//! The files of a user's namespaces. The user is enrolled.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use super::{NAME, UID};
use crate::programs::release;

/// The parts of this machine's `/etc` that programs need.
const SHARED: [&str; 4] = ["ld.so.cache", "nsswitch.conf", "ssl", "alternatives"];

/// The directories of a home.
const DIRECTORIES: [&str; 7] = [
    "",
    ".claude",
    ".config",
    ".config/claude-auth-sync",
    ".local",
    ".local/state",
    ".local/state/claude-auth-sync",
];

/// Makes `etc`, `home`, `tmp`, `run`, `var-lib` and `bin` in `folder`.
pub(super) fn furnish(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    let (etc, home) = (folder.join("etc"), folder.join("home"));
    fs::create_dir_all(etc.join("claude-auth-sync/conf.d"))?;
    for (name, mode) in [("tmp", 0o1777), ("run", 0o755), ("var-lib", 0o755), ("bin", 0o755)] {
        fs::create_dir(folder.join(name))?;
        fs::set_permissions(folder.join(name), Permissions::from_mode(mode))?;
    }
    for program in ["cas-sync", "cas-session"] {
        let copy = folder.join("bin").join(program);
        fs::copy(release(program), &copy)?;
        fs::set_permissions(copy, Permissions::from_mode(0o755))?;
    }
    fs::create_dir_all(folder.join("var-lib/claude-auth-sync/enrolled"))?;
    fs::write(folder.join("var-lib/claude-auth-sync/enrolled").join(NAME), "")?;
    for name in SHARED.iter().filter(|name| Path::new("/etc").join(name).exists()) {
        copy_tree(&Path::new("/etc").join(name), &etc.join(name))?;
    }
    let users = format!("root:x:0:0:root:/root:/bin/sh\n{NAME}:x:{UID}:{UID}::{}:/bin/sh\n", home.display());
    fs::write(etc.join("passwd"), users)?;
    fs::write(etc.join("group"), format!("root:x:0:\n{NAME}:x:{UID}:\n"))?;
    fs::write(etc.join("hosts"), "127.0.0.1 localhost\n")?;
    fs::write(etc.join("machine-id"), "0badc0de0badc0de0badc0de0badc0de\n")?;
    for directory in DIRECTORIES {
        let path = home.join(directory);
        DirBuilder::new().mode(0o700).create(&path)?;
        chown(&path, Some(UID), Some(UID))?;
    }
    Ok(())
}

/// Replaces a file of the user.
pub(super) fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    let new_login = path.with_extension("put");
    fs::write(&new_login, content)?;
    fs::set_permissions(&new_login, Permissions::from_mode(0o600))?;
    chown(&new_login, Some(UID), Some(UID))?;
    fs::rename(&new_login, path)
}

/// Makes `to` an exact copy of `from`.
pub(super) fn replace_tree(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    copy_tree(from, to)
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let status = Command::new("cp").args(["--archive", "--no-target-directory"]).args([from, to]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("cp failed")) }
}

//! A temporary directory for one run of `claude`: the client's files and its output.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use tempfile::TempDir;

/// Temporary directories are here: the path must be short enough for sockets of the client, and a
/// service has its own `/tmp`.
const PLACE: &str = "/tmp";

/// Limits what is read of either output, in bytes: an answer has a few thousand.
pub(super) const LIMIT: u64 = 1 << 20;

/// A private directory (0700), removed with everything in it when dropped.
pub(super) struct Scratch(TempDir);

impl Scratch {
    /// Creates the directory.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn new() -> io::Result<Self> {
        let private = fs::Permissions::from_mode(0o700);
        let made =
            tempfile::Builder::new().prefix("claude-auth-sync.").permissions(private).tempdir_in(PLACE);
        let scratch = Self(made?);
        fs::create_dir(scratch.temporary())?;
        Ok(scratch)
    }

    /// The directory itself.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns its directory for temporary files.
    pub(super) fn temporary(&self) -> PathBuf {
        self.path().join("tmp")
    }

    /// Returns the config directory of the client, which the client creates.
    pub(super) fn config_directory(&self) -> PathBuf {
        self.path().join("config")
    }

    /// Returns the path of a directory that does not exist.
    pub(super) fn empty(&self) -> PathBuf {
        self.path().join("none")
    }

    pub(super) fn create_stdout(&self) -> io::Result<File> {
        self.create(STDOUT)
    }

    pub(super) fn create_stderr(&self) -> io::Result<File> {
        self.create(STDERR)
    }

    /// Returns the standard output so far, up to [`LIMIT`].
    pub(super) fn stdout(&self) -> Vec<u8> {
        self.read(STDOUT)
    }

    /// Returns the standard error so far, up to [`LIMIT`].
    pub(super) fn stderr(&self) -> Vec<u8> {
        self.read(STDERR)
    }

    /// Returns true if either output is larger than what is read.
    pub(super) fn is_oversized(&self) -> bool {
        OUTPUTS.into_iter().any(|name| self.length(name) > LIMIT)
    }

    /// Truncates each output that is oversized; returns true if one was. The writer continues at
    /// the new end.
    pub(super) fn truncate_oversized(&self) -> bool {
        let oversized: Vec<_> = OUTPUTS.into_iter().filter(|name| self.length(name) > LIMIT).collect();
        for name in &oversized {
            // Does not block if it is not a regular file. An error has no remedy here.
            let file = File::options()
                .write(true)
                .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits())
                .open(self.path().join(name));
            drop(file.and_then(|file| file.set_len(0)));
        }
        !oversized.is_empty()
    }

    /// Keeps the directory for a process that still works in it.
    pub(super) fn close(self) {
        drop(self.0.keep());
    }

    /// Creates an output file in append mode.
    fn create(&self, name: &str) -> io::Result<File> {
        File::options().append(true).create_new(true).open(self.path().join(name))
    }

    fn length(&self, name: &str) -> u64 {
        fs::metadata(self.path().join(name)).map_or(0, |found| found.len())
    }

    fn read(&self, name: &str) -> Vec<u8> {
        let mut content = Vec::new();
        if let Ok(file) = File::open(self.path().join(name)) {
            // The part before an error is used.
            drop(file.take(LIMIT).read_to_end(&mut content));
        }
        content
    }
}

const STDOUT: &str = "stdout";
const STDERR: &str = "stderr";
const OUTPUTS: [&str; 2] = [STDOUT, STDERR];

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn scratch_is_private_bounded_and_removed() {
        let scratch = Scratch::new().expect("a scratch directory");
        let path = scratch.path().to_owned();
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);
        let mut stdout = scratch.create_stdout().expect("a file");
        stdout.write_all(b"abc").expect("written");
        assert_eq!((scratch.stdout().as_slice(), scratch.is_oversized()), (&b"abc"[..], false));
        stdout.set_len(LIMIT + 1).expect("grown");
        assert!(scratch.is_oversized() && scratch.stdout().len() as u64 == LIMIT);
        assert!(scratch.truncate_oversized() && !scratch.truncate_oversized());
        stdout.write_all(b"on").expect("written");
        assert_eq!((scratch.stdout().as_slice(), scratch.is_oversized()), (&b"on"[..], false));
        drop(scratch);
        assert!(!path.exists());
    }
}

//! A file without a name that is written to for one reason: the kernel tells what happened in its order, so whoever is told of
//! this has been told of everything before.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The file.
pub(super) struct Marker(File);

impl Marker {
    /// A new one, on the file system of this directory.
    ///
    /// # Errors
    /// When it cannot be made there.
    pub(super) fn beside(directory: &Path) -> io::Result<Self> {
        tempfile::tempfile_in(directory).map(Self)
    }

    /// Makes the kernel tell of it.
    ///
    /// # Errors
    /// When the disk is full.
    pub(super) fn set(&self) -> io::Result<()> {
        self.0.write_all_at(b".", 0)
    }

    /// Where this process finds it.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

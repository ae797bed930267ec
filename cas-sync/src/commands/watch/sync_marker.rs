//! A file without a name that is touched for one reason: the kernel tells what happened in its order, so whoever is told of
//! this has been told of everything before.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The file.
pub(super) struct SyncMarker(File);

impl SyncMarker {
    /// A new one, where temporary files lie: open in the home, it would keep that from being unmounted. In this directory,
    /// where that is not possible.
    ///
    /// # Errors
    /// When it can be made in neither.
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        tempfile::tempfile().or_else(|_| tempfile::tempfile_in(directory)).map(Self)
    }

    /// Makes the kernel tell of it.
    ///
    /// # Errors
    /// None that is to be expected: it takes no room on a disk.
    pub(super) fn touch(&self) -> io::Result<()> {
        self.0.set_permissions(Permissions::from_mode(0o600))
    }

    /// Where this process finds it.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

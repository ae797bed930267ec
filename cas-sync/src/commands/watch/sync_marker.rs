//! A file without a name that synchronizes the threads: events have the order of the changes, so
//! after an event of this file all earlier events have been read.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The file.
pub(super) struct SyncMarker(File);

impl SyncMarker {
    /// Creates the file in the directory for temporary files: an open file in the home would keep
    /// it from being unmounted. Falls back to `directory`.
    ///
    /// # Errors
    /// If it can be created in neither.
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        tempfile::tempfile().or_else(|_| tempfile::tempfile_in(directory)).map(Self)
    }

    /// Causes an event of the file.
    ///
    /// # Errors
    /// No expected errors: it needs no disk space.
    pub(super) fn touch(&self) -> io::Result<()> {
        self.0.set_permissions(Permissions::from_mode(0o600))
    }

    /// Returns the path of the file for this process.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

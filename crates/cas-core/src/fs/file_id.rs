//! Identifies one version of a file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use crate::time::timestamp::Timestamp;

/// Identifies one version of a file: each rename or write changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// The inode number.
    pub inode: u64,
    /// The modification time, in seconds since the epoch.
    pub modified_seconds: i64,
    /// The nanoseconds of the modification time.
    pub modified_nanoseconds: i64,
}

impl FileId {
    /// Returns the identity of the file with this metadata.
    pub fn from_metadata(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            modified_seconds: metadata.mtime(),
            modified_nanoseconds: metadata.mtime_nsec(),
        }
    }

    /// Returns the modification time, rounded down to the millisecond.
    pub fn modified_at(&self) -> Timestamp {
        let millis =
            self.modified_seconds.saturating_mul(1000).saturating_add(self.modified_nanoseconds / 1_000_000);
        Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

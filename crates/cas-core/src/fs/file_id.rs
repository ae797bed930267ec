//! What tells one content of a file from any later one.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use crate::time::timestamp::Timestamp;

/// Tells one content of a file from any later one: every rename or write changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    /// The inode number.
    pub inode: u64,
    /// The last modification, seconds since the epoch.
    pub modified_seconds: i64,
    /// The last modification, nanoseconds within the second.
    pub modified_nanoseconds: i64,
}

impl FileId {
    /// That of the file with this metadata.
    pub fn from_metadata(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            modified_seconds: metadata.mtime(),
            modified_nanoseconds: metadata.mtime_nsec(),
        }
    }

    /// The last modification, to the millisecond below.
    pub fn modified_at(&self) -> Timestamp {
        let millis =
            self.modified_seconds.saturating_mul(1000).saturating_add(self.modified_nanoseconds / 1_000_000);
        Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}

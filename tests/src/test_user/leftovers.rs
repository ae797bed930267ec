//! The files that are left in a home, and outside of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::TestUser;

/// Files by their paths: the inode, and the content.
pub type Files = BTreeMap<String, (u64, Vec<u8>)>;

impl TestUser {
    /// Returns every file of the home except locks, which are empty files that stay.
    ///
    /// # Panics
    /// If the home cannot be read.
    pub fn all_files(&self) -> Files {
        let mut found = BTreeMap::new();
        collect(&self.home(), &mut found);
        found.retain(|name, _| !name.ends_with("/lock") && !name.ends_with(".lock"));
        found
    }

    /// Returns the names of the scratch directories that are left where the client ran.
    ///
    /// # Panics
    /// If the directory of temporary files cannot be read.
    pub fn remaining_scratch_directories(&self) -> Vec<String> {
        fs::read_dir(self.folder().join("tmp"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("claude-auth-sync."))
            .collect()
    }
}

fn collect(directory: &Path, found: &mut Files) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let metadata = fs::symlink_metadata(&path).expect("its metadata");
        if metadata.is_dir() {
            collect(&path, found);
        } else {
            found.insert(path.display().to_string(), (metadata.ino(), fs::read(&path).unwrap_or_default()));
        }
    }
}

//! Records of provisioned users: one JSON file for each user, readable only by root. A user without
//! a record was enrolled manually, and no roster unenrolls them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cas_core::fs::atomic_file;
use cas_core::fs::directories;
use serde::{Deserialize, Serialize};

use crate::os::undo::remove_if_exists;

/// The record of one provisioned user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The accessor of the user's token, which is not a secret. Empty with the local store and
    /// before the first token.
    #[serde(default)]
    pub(super) accessor: String,
    /// The host for which the token was minted, if the token names one.
    #[serde(default)]
    pub(super) host: Option<String>,
    /// Accessors of tokens that were replaced, or that an interrupted run may have replaced. They
    /// are revoked unless the token file contains them.
    #[serde(default)]
    pub(super) former: Vec<String>,
    /// The time of the last successful policy check, in milliseconds since the epoch.
    #[serde(default)]
    pub(super) proved_at_ms: u64,
    /// The document location to which that check applies.
    #[serde(default)]
    pub(super) proved_at: String,
    /// True if the user's units must still be started. Enabled units are not necessarily
    /// running.
    #[serde(default)]
    pub(super) units_are_due: bool,
}

/// The directory of all records.
#[derive(Clone, Debug)]
pub(super) struct Records {
    directory: PathBuf,
}

impl Records {
    /// Returns the records in this directory.
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Returns the names of all provisioned users in order.
    ///
    /// # Errors
    /// Fails if the directory cannot be read.
    pub(super) fn list_names(&self) -> Result<Vec<String>> {
        let context = || format!("cannot list {}", self.directory.display());
        let names = directories::list_names(&self.directory).with_context(context)?.unwrap_or_default();
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }

    /// Returns the record of one user. Returns None if the user was not provisioned, and an empty
    /// record if the file is damaged.
    pub(super) fn load(&self, user: &str) -> Option<Record> {
        let text = fs::read(self.directory.join(user)).ok()?;
        Some(serde_json::from_slice(&text).unwrap_or_default())
    }

    /// Writes the record of one user.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub(super) fn save(&self, user: &str, record: &Record) -> Result<()> {
        directories::create_private_directory(&self.directory)?;
        let text = serde_json::to_vec(record).context("cannot serialize a record")?;
        atomic_file::write_atomic(&self.directory.join(user), &text)?;
        Ok(())
    }

    /// Records that the units of these users were started.
    ///
    /// # Errors
    /// Fails if a record cannot be written. The next run then starts the units again.
    pub(super) fn mark_started(&self, users: &[&str]) -> Result<()> {
        for user in users {
            if let Some(record) = self.load(user).filter(|record| record.units_are_due) {
                self.save(user, &Record { units_are_due: false, ..record })?;
            }
        }
        Ok(())
    }

    /// Deletes the record of one user.
    ///
    /// # Errors
    /// Fails if the file cannot be deleted.
    pub(super) fn delete(&self, user: &str) -> Result<()> {
        remove_if_exists(&self.directory.join(user)).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_record_is_listed_until_deleted() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let records = Records::new(&scratch.path().join("provisioned"));
        assert_eq!(records.list_names().expect("none is not an error"), Vec::<String>::new());
        let record = Record { accessor: "a".into(), proved_at_ms: 7, ..Record::default() };
        records.save("bob", &record).expect("kept");
        records.save("ada", &Record::default()).expect("kept");
        assert_eq!(records.list_names().expect("listed"), ["ada", "bob"]);
        assert_eq!(records.load("bob"), Some(record));
        assert_eq!(records.load("cy"), None);
        fs::write(scratch.path().join("provisioned/ada"), "{").expect("damaged");
        assert_eq!(records.load("ada"), Some(Record::default()), "the user stays a provisioned user");
        records.delete("ada").expect("forgotten");
        records.delete("ada").expect("twice is not an error");
        assert_eq!(records.list_names().expect("listed"), ["bob"]);
    }
}

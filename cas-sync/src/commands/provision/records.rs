//! What this machine remembers of those whom the roster brought: one small file for each, root's own. Whoever has none was
//! enrolled by hand, and no roster lets them go.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cas_core::fs::atomic_file;
use serde::{Deserialize, Serialize};

use crate::os::undo::remove_if_exists;

/// One person, as provisioned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Names their token, and cannot be used as one; empty with a store on this machine, and before there is one.
    #[serde(default)]
    pub(super) accessor: String,
    /// The machine it was made for, as far as the token says.
    #[serde(default)]
    pub(super) host: Option<String>,
    /// Tokens that another one has replaced, or may have: to be revoked, but for the one that lies there after all.
    #[serde(default)]
    pub(super) former: Vec<String>,
    /// When the token was last shown to be no wider than it should be, in milliseconds since the epoch.
    #[serde(default)]
    pub(super) proved_at_ms: u64,
    /// The place of the documents to which that proof applies.
    #[serde(default)]
    pub(super) proved_at: String,
    /// Whether their units are still to be started: what is enabled on the disk need not run.
    #[serde(default)]
    pub(super) units_are_due: bool,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Records {
    directory: PathBuf,
}

impl Records {
    /// Those kept in this directory.
    pub(super) fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The names of all.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let context = || format!("cannot list {}", self.directory.display());
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(context),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.with_context(context)?.file_name();
            names.extend(name.into_string().ok().filter(|name| !name.starts_with('.')));
        }
        names.sort();
        Ok(names)
    }

    /// One person's; none for somebody who was not provisioned, and an empty one where it is damaged.
    pub(super) fn of(&self, user: &str) -> Option<Record> {
        let text = fs::read(self.directory.join(user)).ok()?;
        Some(serde_json::from_slice(&text).unwrap_or_default())
    }

    /// Remembers this.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep(&self, user: &str, record: &Record) -> Result<()> {
        atomic_file::create_private_directory(&self.directory)?;
        let text = serde_json::to_vec(record).context("putting a record into words")?;
        atomic_file::write_atomic(&self.directory.join(user), &text)?;
        Ok(())
    }

    /// Remembers that these people's units were started.
    ///
    /// # Errors
    /// When it cannot be written; then they are started again.
    pub(super) fn mark_started(&self, people: &[&str]) -> Result<()> {
        for user in people {
            if let Some(due) = self.of(user).filter(|record| record.units_are_due) {
                self.keep(user, &Record { units_are_due: false, ..due })?;
            }
        }
        Ok(())
    }

    /// Forgets somebody.
    ///
    /// # Errors
    /// When the file stays.
    pub(super) fn forget(&self, user: &str) -> Result<()> {
        remove_if_exists(&self.directory.join(user)).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_remembered_until_it_is_forgotten() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let records = Records::at(&scratch.path().join("provisioned"));
        assert_eq!(records.names().expect("none is no error"), Vec::<String>::new());
        let record = Record { accessor: "a".into(), proved_at_ms: 7, ..Record::default() };
        records.keep("bob", &record).expect("kept");
        records.keep("ada", &Record::default()).expect("kept");
        assert_eq!(records.names().expect("listed"), ["ada", "bob"]);
        assert_eq!(records.of("bob"), Some(record));
        assert_eq!(records.of("cy"), None);
        fs::write(scratch.path().join("provisioned/ada"), "{").expect("damaged");
        assert_eq!(records.of("ada"), Some(Record::default()), "still one whom the roster brought");
        records.forget("ada").expect("forgotten");
        records.forget("ada").expect("twice is no error");
        assert_eq!(records.names().expect("listed"), ["bob"]);
    }
}

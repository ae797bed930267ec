//! The default store: a file in the state directory that keeps the newest versions of the document.
//! With Vault as the store, the same file is the local history, from which a login is restored
//! without the network.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::credential::login::{Login, LoginSummary};
use crate::fs::atomic_file;
use crate::state::directory::{StateDirectory, StateError, StateLock};
use crate::store::backup_fields::is_backup_field;
use crate::store::user_document::{SETUP_TOKEN, SETUP_TOKEN_FIELDS, UserDocument};
use crate::store::{Document, Fields, Store, StoreError, merge};
use crate::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

/// The number of versions that are kept, and thus of generations.
pub const VERSIONS: usize = 8;

const FILE: &str = "history.json";

/// The store in a user's state directory.
#[derive(Clone, Debug)]
pub struct LocalStore {
    state: StateDirectory,
    now: Timestamp,
}

#[derive(Default, Serialize, Deserialize)]
struct History {
    /// Oldest first.
    versions: Vec<Version>,
}

#[derive(Serialize, Deserialize)]
struct Version {
    version: u64,
    written_at: Timestamp,
    fields: Fields,
}

impl LocalStore {
    /// Creates the store in this state directory. `now` is recorded with each write.
    pub fn new(state: StateDirectory, now: Timestamp) -> Self {
        Self { state, now }
    }

    /// Returns the complete logins of all versions, newest first, each generation once.
    ///
    /// # Errors
    /// [`StateError`]
    pub fn logins(&self) -> Result<Vec<Login>, StateError> {
        let mut logins: Vec<Login> = Vec::new();
        for version in self.state.load::<History>(FILE)?.versions.into_iter().rev() {
            let document = Document { fields: version.fields, version: version.version };
            if let Some(login) = UserDocument::parse(&document).into_login()
                && logins.iter().all(|known| known.summary.generation != login.summary.generation)
            {
                logins.push(login);
            }
        }
        Ok(logins)
    }

    /// Returns all versions as documents, newest first.
    ///
    /// # Errors
    /// [`StateError`]
    pub fn documents(&self) -> Result<Vec<UserDocument>, StateError> {
        let parsed = |version: Version| {
            UserDocument::parse(&Document { fields: version.fields, version: version.version })
        };
        Ok(self.state.load::<History>(FILE)?.versions.into_iter().rev().map(parsed).collect())
    }

    /// Returns the newest version, or an empty document of version 0.
    ///
    /// # Errors
    /// [`StateError`]
    pub fn newest(&self) -> Result<Document, StateError> {
        let newest = self.state.load::<History>(FILE)?.versions.pop();
        Ok(newest.map_or_else(Document::default, |newest| Document {
            fields: newest.fields,
            version: newest.version,
        }))
    }

    /// Returns the newest complete login and the time when it was first written.
    ///
    /// # Errors
    /// [`StateError`]
    pub fn newest_login(&self) -> Result<Option<(LoginSummary, Timestamp)>, StateError> {
        let mut newest: Option<(LoginSummary, Timestamp)> = None;
        for version in self.state.load::<History>(FILE)?.versions.into_iter().rev() {
            let document = Document { fields: version.fields, version: version.version };
            let Some(login) = UserDocument::parse(&document).into_login() else { continue };
            match &mut newest {
                None => newest = Some((login.summary, version.written_at)),
                Some((found, at)) if found.generation == login.summary.generation => *at = version.written_at,
                Some(_) => break,
            }
        }
        Ok(newest)
    }

    /// Removes the logins from all versions and keeps the other fields of the newest one. Returns
    /// true if there was one.
    ///
    /// # Errors
    /// [`StateError`]; the file is not changed.
    pub fn remove_logins(&self, deadline: &Deadline) -> Result<bool, StateError> {
        let _locked = self.state.lock(StateLock::State, deadline)?;
        atomic_file::remove_temp_files(&self.path(), Duration::ZERO);
        let mut history: History = self.state.load(FILE)?;
        let Some(newest) = history.versions.pop() else { return Ok(false) };
        let has_login = |version: &Version| version.fields.keys().any(|name| is_backup_field(name));
        if !has_login(&newest) && !history.versions.iter().any(has_login) {
            return Ok(false);
        }
        let mut fields = newest.fields;
        fields.retain(|name, _| !is_backup_field(name));
        // A new version, so that a write that was decided before is refused.
        let version = newest.version.saturating_add(1);
        history.versions = vec![Version { version, written_at: self.now, fields }];
        self.state.save(FILE, &history)?;
        Ok(true)
    }

    /// Removes the setup token and its dates from all versions, and keeps their other fields.
    ///
    /// # Errors
    /// [`StateError`]; the file is not changed.
    pub fn remove_setup_token(&self, deadline: &Deadline) -> Result<(), StateError> {
        let _locked = self.state.lock(StateLock::State, deadline)?;
        let mut history: History = self.state.load(FILE)?;
        let is_token_field = |name: &String| SETUP_TOKEN_FIELDS.contains(&name.as_str());
        if !history.versions.iter().any(|version| version.fields.keys().any(is_token_field)) {
            return Ok(());
        }
        history
            .versions
            .iter_mut()
            .for_each(|version| version.fields.retain(|name, _| !is_token_field(name)));
        if let Some(newest) = history.versions.last_mut() {
            // A new version, so that a write that was decided before is refused.
            newest.version = newest.version.saturating_add(1);
        }
        self.state.save(FILE, &history)
    }

    /// Returns the path of the file.
    pub fn path(&self) -> PathBuf {
        self.state.path(FILE)
    }

    fn change(
        &self,
        changes: &Fields,
        expected: u64,
        deadline: &Deadline,
    ) -> Result<Option<u64>, StateError> {
        let _locked = self.state.lock(StateLock::State, deadline)?;
        let mut history: History = self.state.load(FILE)?;
        let newest = history.versions.last();
        let version = newest.map_or(0, |newest| newest.version);
        if version != expected {
            return Ok(None);
        }
        let mut fields = newest.map(|newest| newest.fields.clone()).unwrap_or_default();
        if merge::is_unchanged(&fields, changes) {
            return Ok(Some(version));
        }
        fields.extend(changes.clone());
        if changes.contains_key(SETUP_TOKEN) {
            // Older versions are kept for their logins only. A token that was replaced or removed
            // must not remain in them.
            history.versions.iter_mut().for_each(|older| drop(older.fields.remove(SETUP_TOKEN)));
        }
        let version = version.saturating_add(1);
        history.versions.push(Version { version, written_at: self.now, fields });
        let excess = history.versions.len().saturating_sub(VERSIONS);
        history.versions.drain(..excess);
        self.state.save(FILE, &history)?;
        Ok(Some(version))
    }
}

impl Store for LocalStore {
    fn read(&mut self, _deadline: &Deadline) -> Result<Document, StoreError> {
        self.newest().map_err(failure)
    }

    fn merge(&mut self, changes: &Fields, expected: u64, deadline: &Deadline) -> Result<u64, StoreError> {
        merge::reject_null_or_object(changes)?;
        self.change(changes, expected, deadline).map_err(failure)?.ok_or(StoreError::Conflict)
    }
}

fn failure(error: StateError) -> StoreError {
    match error {
        StateError::Busy(_) => StoreError::Busy { reason: error.to_string(), retry_after: None },
        _ => StoreError::Refused { reason: error.to_string(), remedy: "then run `cas-sync run`".into() },
    }
}

#[cfg(test)]
mod tests {
    use nix::unistd::Uid;
    use proptest::prelude::*;
    use serde_json::value::{RawValue, to_raw_value};

    use super::*;
    use crate::credential::login::{self, ParsedLogin};
    use crate::store::user_document;

    fn store(scratch: &tempfile::TempDir) -> LocalStore {
        let state = StateDirectory::new(scratch.path().to_owned(), Uid::effective().as_raw());
        LocalStore::new(state, Timestamp::from_millis(0))
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(10))
    }

    fn fields(values: &[(String, String)]) -> Fields {
        values
            .iter()
            .map(|(name, value)| (name.clone(), to_raw_value(value).expect("a string is JSON")))
            .collect()
    }

    fn login(name: &str) -> Login {
        let json = format!(
            r#"{{"accessToken":"a","refreshToken":"{name}","expiresAt":9,"scopes":["user:inference"]}}"#
        );
        match login::parse(serde_json::from_str::<&RawValue>(&json).expect("it is JSON")) {
            ParsedLogin::Complete(login) => login,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn local_store_keeps_the_newest_generations() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let mut store = store(&scratch);
        for count in 0..20_u64 {
            let backup =
                user_document::backup_fields(&login(&count.to_string()), Timestamp::from_millis(0), "desk");
            let version = store.merge(&backup.expect("strings are JSON"), count, &soon()).expect("merged");
            assert_eq!(version, count + 1);
        }
        let kept: Vec<_> =
            store.logins().expect("readable").iter().map(|login| login.summary.generation).collect();
        let expected: Vec<_> =
            (12..20).rev().map(|count: u32| login(&count.to_string()).summary.generation).collect();
        assert_eq!(kept, expected);
    }

    #[test]
    fn newest_login_has_the_time_of_its_first_version() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let at = |millis| LocalStore { now: Timestamp::from_millis(millis), ..store(&scratch) };
        assert_eq!(at(0).newest_login().expect("readable"), None);
        for (millis, version, name) in [(1, 0, "one"), (2, 1, "two"), (3, 2, "two")] {
            let backup = user_document::backup_fields(&login(name), Timestamp::from_millis(millis), "desk")
                .expect("JSON");
            at(millis).merge(&backup, version, &soon()).expect("merged");
        }
        let (newest, written_at) = at(9).newest_login().expect("readable").expect("a login");
        assert_eq!(
            (newest.generation, written_at),
            (login("two").summary.generation, Timestamp::from_millis(2))
        );
    }

    #[test]
    fn removed_logins_leave_the_setup_token_and_the_version() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let mut store = store(&scratch);
        assert!(!store.remove_logins(&soon()).expect("there is no file"));
        let token = [(SETUP_TOKEN.to_owned(), "token".to_owned())];
        store.merge(&fields(&token), 0, &soon()).expect("merged");
        assert!(!store.remove_logins(&soon()).expect("there is no login"));
        for (version, name) in [(1, "one"), (2, "two")] {
            let backup = user_document::backup_fields(&login(name), Timestamp::from_millis(0), "desk");
            store.merge(&backup.expect("JSON"), version, &soon()).expect("merged");
        }
        assert!(store.remove_logins(&soon()).expect("removed"));
        let read = store.read(&soon()).expect("read");
        assert_eq!((read.version, read.fields.len()), (4, 1));
        assert!(store.logins().expect("readable").is_empty());
        let late = user_document::backup_fields(&login("two"), Timestamp::from_millis(0), "desk");
        let refused = store.merge(&late.expect("JSON"), 3, &soon());
        assert_eq!(refused, Err(StoreError::Conflict), "a backup that was decided before");
    }

    #[test]
    fn removed_setup_token_leaves_the_logins_and_the_version() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let mut store = store(&scratch);
        store.remove_setup_token(&soon()).expect("there is no file");
        let token = [(SETUP_TOKEN.to_owned(), "token".to_owned())];
        store.merge(&fields(&token), 0, &soon()).expect("merged");
        for (version, name) in [(1, "one"), (2, "two")] {
            let backup = user_document::backup_fields(&login(name), Timestamp::from_millis(0), "desk");
            store.merge(&backup.expect("JSON"), version, &soon()).expect("merged");
        }
        store.remove_setup_token(&soon()).expect("removed");
        assert!(!std::fs::read_to_string(store.path()).expect("there").contains("token\":\"token"));
        assert_eq!(store.logins().expect("readable").len(), 2);
        let read = store.read(&soon()).expect("read");
        assert_eq!((read.version, read.fields.contains_key(SETUP_TOKEN)), (4, false));
        let late = store.merge(&fields(&token), 3, &soon());
        assert_eq!(late, Err(StoreError::Conflict), "a token that was set before");
    }

    #[test]
    fn replaced_setup_token_is_removed_from_all_versions() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let mut store = store(&scratch);
        let backup = user_document::backup_fields(&login("kept"), Timestamp::from_millis(0), "desk");
        let mut version = store.merge(&backup.expect("JSON"), 0, &soon()).expect("merged");
        let token = |text: &str| [(SETUP_TOKEN.to_owned(), text.to_owned())];
        for (next, gone) in [("one", None), ("two", Some("one")), ("", Some("two"))] {
            version = store.merge(&fields(&token(next)), version, &soon()).expect("merged");
            let content = std::fs::read_to_string(store.path()).expect("there");
            assert!(next.is_empty() || content.contains(&format!(r#""{next}""#)), "{content}");
            assert!(gone.is_none_or(|gone| !content.contains(&format!(r#""{gone}""#))), "{content}");
        }
        assert_eq!(store.logins().expect("readable").len(), 1);
    }

    proptest! {
        /// I5: after any merges in any order, a field that was not named is unchanged.
        #[test]
        fn merge_keeps_every_other_field(
            merges in prop::collection::vec(prop::collection::vec(("[a-e]", ".{0,8}"), 0..4), 1..10)
        ) {
            let scratch = tempfile::tempdir().expect("a scratch directory");
            let mut store = store(&scratch);
            let mut expected = std::collections::BTreeMap::new();
            let mut version = 0;
            for merge in merges {
                version = store.merge(&fields(&merge), version, &soon()).expect("merged");
                expected.extend(merge);
            }
            let read = store.read(&soon()).expect("read");
            let found: std::collections::BTreeMap<String, String> =
                read.fields.iter().map(|(name, raw)| (name.clone(), serde_json::from_str(raw.get()).expect("a string"))).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(read.version, version);
        }
    }
}

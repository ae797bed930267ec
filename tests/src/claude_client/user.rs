//! A user of the client: name, user id, home and login.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{ClaudeFixture, Invocation, now_in_milliseconds};
use crate::anthropic::Login;

/// A user of a [`ClaudeFixture`].
pub struct ClaudeUser<'fixture> {
    pub(super) fixture: &'fixture ClaudeFixture,
    pub(super) name: String,
    pub(super) uid: u32,
    /// As the test accesses it.
    pub(super) home: PathBuf,
    /// The home as the user sees it. The path differs if the home is a disk that is mounted only in
    /// the fixture.
    pub(super) own_view: PathBuf,
}

impl<'fixture> ClaudeUser<'fixture> {
    pub(super) fn new(fixture: &'fixture ClaudeFixture, name: &str, uid: u32, home: PathBuf) -> Self {
        Self { fixture, name: name.to_owned(), uid, own_view: home.clone(), home }
    }

    /// Returns the user id, which is also the group id.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Returns the home directory, as a test accesses it.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Returns the path of `~/.claude/.credentials.json`.
    pub fn credentials_file(&self) -> PathBuf {
        self.home.join(".claude/.credentials.json")
    }

    /// Signs in: writes a new family of tokens, valid for eight hours, as the only content of the
    /// login file.
    ///
    /// # Errors
    /// Errors of writing the file.
    pub fn sign_in(&self) -> io::Result<Login> {
        let login = self.fixture.anthropic().sign_in(&self.name, Duration::from_secs(8 * 3600));
        let object = login.oauth_object(in_hours(8));
        self.write_credentials(&json!({"claudeAiOauth": object}))?;
        Ok(login)
    }

    /// Replaces the credential file by rename, as this project and Claude Code do, with mode 0600.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn write_credentials(&self, document: &Value) -> io::Result<()> {
        self.write_credentials_text(&document.to_string())
    }

    /// Writes a text that need not be JSON.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn write_credentials_text(&self, text: &str) -> io::Result<()> {
        self.write_credentials_bytes(text.as_bytes())
    }

    /// Writes bytes that need not be text.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn write_credentials_bytes(&self, content: &[u8]) -> io::Result<()> {
        let temporary = self.home.join(".claude/.credentials.json.new");
        let mut file = File::create(&temporary)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(content)?;
        file.sync_all()?;
        chown(&temporary, Some(self.uid), Some(self.uid))?;
        fs::rename(temporary, self.credentials_file())
    }

    /// Returns the credential file.
    ///
    /// # Errors
    /// If it does not exist or is not JSON.
    pub fn credentials(&self) -> io::Result<Value> {
        Ok(serde_json::from_str(&self.credentials_text()?)?)
    }

    /// Returns the bytes of the credential file.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn credentials_text(&self) -> io::Result<String> {
        fs::read_to_string(self.credentials_file())
    }

    /// Creates a directory of the user, such as a lock.
    ///
    /// # Errors
    /// Errors of mkdir(2).
    pub fn make_directory(&self, below_home: &str) -> io::Result<PathBuf> {
        let path = self.home.join(below_home);
        fs::create_dir(&path)?;
        chown(&path, Some(self.uid), Some(self.uid))?;
        Ok(path)
    }

    /// Returns the sorted names in a directory of the user.
    ///
    /// # Errors
    /// Errors of readdir(3).
    pub fn list_directory(&self, below_home: &str) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(self.home.join(below_home))?;
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        let mut names = entries.map(name).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    /// Prepares the client to be run by this user.
    pub fn claude(&self) -> Invocation<'fixture> {
        Invocation::new(self)
    }

    /// Prepares the client of version [`super::OLDER`], which must be installed, to be run by this
    /// user.
    pub fn older_claude(&self) -> Invocation<'fixture> {
        Invocation::new(self).program("claude-older")
    }
}

/// Returns a value for `expiresAt`, this many hours from now; negative hours are in the past.
pub fn in_hours(hours: i64) -> i64 {
    now_in_milliseconds() + hours * 3_600_000
}

//! The env file of the user's setup token: exactly one line `CLAUDE_CODE_OAUTH_TOKEN=<token>`.
//! Launchers, units and login shells read it too. It is parsed and never run as shell code.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::credential::fingerprint::Fingerprint;
use crate::fs::atomic_file::{self, Staged};
use crate::fs::directories;
use crate::fs::owned_file::{self, FileError, Ownership};
use cas_protocol::setup_token::{SetupToken, VARIABLE};

const LIMIT: usize = 4096;

/// The env file of one user.
#[derive(Clone, Debug)]
pub struct EnvFile {
    path: PathBuf,
    owner: u32,
}

/// The content of the file.
#[derive(Debug, PartialEq, Eq)]
pub enum EnvFileContent {
    /// There is no file.
    Absent,
    /// A well-formed token.
    Token(SetupToken),
    /// A file of the user with other content.
    Malformed(String),
    /// Not a regular file of the user, or not readable. It is neither used nor changed.
    Unreadable(String),
}

impl EnvFile {
    /// Creates the adapter of the file at `path`, which must belong to user id `owner`.
    pub fn new(path: PathBuf, owner: u32) -> Self {
        Self { path, owner }
    }

    /// Reads the file. Total: each content has a result.
    pub fn read(&self) -> EnvFileContent {
        match owned_file::read(&self.path, self.owner, LIMIT, Ownership::OwnerOnlyWritable) {
            Ok(None) => EnvFileContent::Absent,
            Ok(Some(found)) => match parse(&found.content) {
                Ok(token) => {
                    self.restrict_mode();
                    EnvFileContent::Token(token)
                }
                Err(why) => self.malformed(&why),
            },
            Err(problem) => EnvFileContent::Unreadable(problem.to_string()),
        }
    }

    /// Returns the fingerprint of the token in the file, if there is one. Unlike [`EnvFile::read`],
    /// this does not change the file's mode.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let found = owned_file::read(&self.path, self.owner, LIMIT, Ownership::OwnerOnlyWritable).ok()??;
        parse(&found.content).ok().map(|token| Fingerprint::from_bytes(token.expose()))
    }

    /// Sets mode 0600 if other users can access the file. On a read-only file system the mode
    /// stays.
    fn restrict_mode(&self) {
        let is_open = |metadata: fs::Metadata| metadata.permissions().mode() & 0o077 != 0;
        if fs::symlink_metadata(&self.path).is_ok_and(is_open) {
            drop(fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600)));
        }
    }

    fn malformed(&self, why: &str) -> EnvFileContent {
        let path = self.path.display();
        EnvFileContent::Malformed(format!("{path}: {why}; write that line alone, or remove the file"))
    }

    /// Writes this token, unless the file has it already. Returns true if the file changed.
    ///
    /// # Errors
    /// [`FileError`]; the previous file is then still in place.
    pub fn write(&self, token: &SetupToken) -> Result<bool, FileError> {
        self.prepare()?;
        atomic_file::write_atomic(&self.path, env_line(token).as_bytes())
    }

    /// Writes this token to a temporary file for [`StagedToken::commit`]. The env file is
    /// unchanged.
    ///
    /// # Errors
    /// [`FileError`]; the previous file is then still in place.
    pub fn stage(&self, token: &SetupToken) -> Result<StagedToken, FileError> {
        self.prepare()?;
        let staged = atomic_file::stage(&self.path, env_line(token).as_bytes())?;
        Ok(StagedToken { staged, path: self.path.clone() })
    }

    fn prepare(&self) -> Result<(), FileError> {
        directories::create_private_directory(self.path.parent().unwrap_or(Path::new("/")))?;
        self.keep_malformed_content()
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be removed.
    pub fn remove(&self) -> Result<(), FileError> {
        self.keep_malformed_content()?;
        atomic_file::remove(&self.path)
    }

    /// Saves content that was written by hand beside the file, as `claude-oauth.env.replaced`.
    fn keep_malformed_content(&self) -> Result<(), FileError> {
        match owned_file::read(&self.path, self.owner, LIMIT, Ownership::OwnerOnlyWritable)? {
            Some(found) if parse(&found.content).is_err() => {
                atomic_file::write_atomic(&self.path.with_extension("env.replaced"), &found.content).map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// A token in a temporary file beside the env file. The temporary file is removed unless it is
/// committed.
#[derive(Debug)]
pub struct StagedToken {
    staged: Staged,
    path: PathBuf,
}

impl StagedToken {
    /// Replaces the env file with one rename.
    ///
    /// # Errors
    /// [`FileError`]; the previous file is then still in place, unless only the sync of the
    /// directory failed.
    pub fn commit(self) -> Result<(), FileError> {
        self.staged.commit()?;
        atomic_file::sync_parent_dir(&self.path)
    }
}

fn env_line(token: &SetupToken) -> Zeroizing<String> {
    Zeroizing::new(format!("{VARIABLE}={}\n", token.expose()))
}

/// Parses the one line, with or without a final newline.
///
/// # Errors
/// What is wrong. The message never contains the content.
pub fn parse(content: &[u8]) -> Result<SetupToken, String> {
    let text = std::str::from_utf8(content).map_err(|_| String::from("it is not text"))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let value = line.strip_prefix(VARIABLE).and_then(|rest| rest.strip_prefix('='));
    let token = value.ok_or_else(|| format!("it is not the one line {VARIABLE}=<token>"))?;
    SetupToken::parse(token).map_err(|malformed| format!("its token is malformed: {malformed}"))
}

#[cfg(test)]
mod tests {
    use nix::unistd::Uid;

    use super::*;

    #[test]
    fn env_file_that_is_not_one_token_line_is_malformed() {
        assert!(parse(b"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\n").is_ok());
        assert!(parse(b"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc").is_ok());
        for content in [
            &b""[..],
            b"\n",
            b"CLAUDE_CODE_OAUTH_TOKEN=\n",
            b"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\n\n",
            b"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\r\n",
            b"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\nLD_PRELOAD=/x\n",
            b"LD_PRELOAD=/x\nCLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\n",
            b"export CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\n",
            b"CLAUDE_CODE_OAUTH_TOKEN='sk-ant-oat01-abc'\n",
            b"CLAUDE_CODE_OAUTH_TOKEN=\"sk-ant-oat01-abc\"\n",
            b"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-api03-abc\n",
            b"\xef\xbb\xbfCLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\n",
            b"CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-a\0bc\n",
            b"PATH=sk-ant-oat01-abc\n",
            b"\xff\xfe",
        ] {
            assert!(parse(content).is_err(), "{:?}", String::from_utf8_lossy(content));
        }
    }

    #[test]
    fn written_token_is_read_and_removed() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("sub/claude-oauth.env");
        let file = EnvFile::new(path.clone(), Uid::effective().as_raw());
        assert_eq!(file.read(), EnvFileContent::Absent);
        let token = SetupToken::parse("sk-ant-oat01-abc").expect("well-formed");
        assert!(file.write(&token).expect("written"));
        assert!(!file.write(&token).expect("the same again writes nothing"));
        assert_eq!(fs::read_to_string(&path).expect("there"), "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\n");
        assert_eq!(file.read(), EnvFileContent::Token(token));
        file.remove().expect("removed");
        file.remove().expect("and again");
        assert_eq!(file.read(), EnvFileContent::Absent);
    }

    #[test]
    fn staged_token_is_active_only_after_its_commit() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let file = EnvFile::new(directory.path().join("claude-oauth.env"), Uid::effective().as_raw());
        let token = |text| SetupToken::parse(text).expect("well-formed");
        file.write(&token("sk-ant-oat01-old")).expect("written");
        drop(file.stage(&token("sk-ant-oat01-never")).expect("staged"));
        assert_eq!(file.read(), EnvFileContent::Token(token("sk-ant-oat01-old")));
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1, "no temporary file is left");
        let staged = file.stage(&token("sk-ant-oat01-new")).expect("staged");
        assert_eq!(file.read(), EnvFileContent::Token(token("sk-ant-oat01-old")));
        staged.commit().expect("committed");
        assert_eq!(file.read(), EnvFileContent::Token(token("sk-ant-oat01-new")));
    }

    #[test]
    fn content_written_by_hand_is_kept_beside_the_env_file() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("claude-oauth.env");
        let file = EnvFile::new(path.clone(), Uid::effective().as_raw());
        let by_hand = "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\nHTTPS_PROXY=http://proxy:3128\n";
        let kept = || fs::read_to_string(directory.path().join("claude-oauth.env.replaced")).expect("kept");
        fs::write(&path, by_hand).expect("written");
        file.write(&SetupToken::parse("sk-ant-oat01-new").expect("well-formed")).expect("replaced");
        assert_eq!(kept(), by_hand);
        fs::write(&path, "something else\n").expect("written");
        file.remove().expect("removed");
        assert_eq!(kept(), "something else\n");
        assert!(!path.exists());
    }

    #[test]
    fn env_file_that_others_can_read_gets_mode_0600() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("claude-oauth.env");
        fs::write(&path, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\n").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        assert!(matches!(
            EnvFile::new(path.clone(), Uid::effective().as_raw()).read(),
            EnvFileContent::Token(_)
        ));
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }
}

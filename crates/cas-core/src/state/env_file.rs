//! The file that holds the user's setup-token: exactly one line `CLAUDE_CODE_OAUTH_TOKEN=<token>`. Launchers, units and
//! login shells read it too; it is parsed, never run as shell code.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::credential::fingerprint::Fingerprint;
use crate::fs::atomic_file::{self, Staged};
use crate::fs::owned_file::{self, FileError, Ownership};
use cas_protocol::setup_token::{SetupToken, VARIABLE};

const LIMIT: usize = 4096;

/// One user's env file.
#[derive(Clone, Debug)]
pub struct EnvFile {
    path: PathBuf,
    owner: u32,
}

/// What the file holds.
#[derive(Debug, PartialEq, Eq)]
pub enum EnvFileContent {
    /// There is no file.
    Absent,
    /// A well-formed token.
    Token(SetupToken),
    /// The user's own file, with something else in it.
    Malformed(String),
    /// Not the user's own regular file, or not to be read: neither used nor touched.
    Unreadable(String),
}

impl EnvFile {
    /// The file at `path`, which must belong to user id `owner`.
    pub fn new(path: PathBuf, owner: u32) -> Self {
        Self { path, owner }
    }

    /// Reads it. Total: every content has an answer.
    pub fn read(&self) -> EnvFileContent {
        match owned_file::read(&self.path, self.owner, LIMIT, Ownership::OwnerOnlyWritable) {
            Ok(None) => EnvFileContent::Absent,
            Ok(Some(found)) => match parse(&found.content) {
                Ok(token) => {
                    self.tighten();
                    EnvFileContent::Token(token)
                }
                Err(why) => self.malformed(&why),
            },
            Err(problem) => EnvFileContent::Unreadable(problem.to_string()),
        }
    }

    /// Which token is in it, if there is one. Unlike [`EnvFile::read`] this leaves the file's mode as it is.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let found = owned_file::read(&self.path, self.owner, LIMIT, Ownership::OwnerOnlyWritable).ok()??;
        parse(&found.content).ok().map(|token| Fingerprint::from_bytes(token.expose()))
    }

    /// A token that others may read is theirs too: that ends now. Where the file system is read-only it stays as it is.
    fn tighten(&self) {
        let is_open = |metadata: fs::Metadata| metadata.permissions().mode() & 0o077 != 0;
        if fs::symlink_metadata(&self.path).is_ok_and(is_open) {
            drop(fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600)));
        }
    }

    fn malformed(&self, why: &str) -> EnvFileContent {
        let path = self.path.display();
        EnvFileContent::Malformed(format!("{path}: {why}; write that line alone, or remove the file"))
    }

    /// Writes this token, unless it is there already.
    ///
    /// # Errors
    /// [`Problem`]; what was there before is still in place.
    pub fn write(&self, token: &SetupToken) -> Result<bool, FileError> {
        self.prepare()?;
        atomic_file::write_atomic(&self.path, line_of(token).as_bytes())
    }

    /// Writes this token beside the file, for [`StagedToken::commit`]: all that can fail or take long, and changes nothing
    /// yet.
    ///
    /// # Errors
    /// [`Problem`]; what was there before is still in place.
    pub fn stage(&self, token: &SetupToken) -> Result<StagedToken, FileError> {
        self.prepare()?;
        let staged = atomic_file::stage(&self.path, line_of(token).as_bytes())?;
        Ok(StagedToken { staged, path: self.path.clone() })
    }

    fn prepare(&self) -> Result<(), FileError> {
        atomic_file::create_private_directory(self.path.parent().unwrap_or(Path::new("/")))?;
        self.put_aside_if_malformed()
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it.
    ///
    /// # Errors
    /// [`Problem`] when it stays.
    pub fn remove(&self) -> Result<(), FileError> {
        self.put_aside_if_malformed()?;
        atomic_file::remove(&self.path)
    }

    /// What somebody wrote into the file by hand is kept beside it, as `claude-oauth.env.replaced`.
    fn put_aside_if_malformed(&self) -> Result<(), FileError> {
        match owned_file::read(&self.path, self.owner, LIMIT, Ownership::OwnerOnlyWritable)? {
            Some(found) if parse(&found.content).is_err() => {
                atomic_file::write_atomic(&self.path.with_extension("env.replaced"), &found.content).map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// A token that is written beside the file it is for; removed again unless it is committed.
#[derive(Debug)]
pub struct StagedToken {
    staged: Staged,
    path: PathBuf,
}

impl StagedToken {
    /// Puts it in the place of what lies there: one rename.
    ///
    /// # Errors
    /// [`Problem`]; what was there before is still in place, unless only the sync of the directory failed.
    pub fn commit(self) -> Result<(), FileError> {
        self.staged.commit()?;
        atomic_file::sync_parent_dir(&self.path)
    }
}

fn line_of(token: &SetupToken) -> Zeroizing<String> {
    Zeroizing::new(format!("{VARIABLE}={}\n", token.expose()))
}

/// Reads the one line; its line end may be missing.
///
/// # Errors
/// What is wrong, and what to do; never the content.
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
    fn only_exactly_one_line_with_a_well_formed_token_counts() {
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
    fn a_token_written_is_the_token_read() {
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
    fn a_staged_token_is_in_force_once_it_is_committed_and_leaves_no_trace_otherwise() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let file = EnvFile::new(directory.path().join("claude-oauth.env"), Uid::effective().as_raw());
        let token = |text| SetupToken::parse(text).expect("well-formed");
        file.write(&token("sk-ant-oat01-old")).expect("written");
        drop(file.stage(&token("sk-ant-oat01-never")).expect("staged"));
        assert_eq!(file.read(), EnvFileContent::Token(token("sk-ant-oat01-old")));
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1, "nothing is left of it");
        let staged = file.stage(&token("sk-ant-oat01-new")).expect("staged");
        assert_eq!(file.read(), EnvFileContent::Token(token("sk-ant-oat01-old")));
        staged.commit().expect("committed");
        assert_eq!(file.read(), EnvFileContent::Token(token("sk-ant-oat01-new")));
    }

    #[test]
    fn what_was_written_by_hand_is_kept_beside_it() {
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
    fn a_token_that_others_could_read_is_tightened() {
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

//! Reads the user's Vault token from its file, which must be private, owned by the user, and not a
//! symlink. Errors never contain the content.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use zeroize::Zeroizing;

use cas_core::fs::regular_file::{OpenError, RegularFile, Symlinks};
use cas_core::store::StoreError;
use cas_protocol::secret::Secret;

/// The largest token file, in bytes. Real tokens have about a hundred.
const MAX_LEN: usize = 4096;

/// A Vault token: visible ASCII characters only, so that it can be a header value.
#[derive(Debug, PartialEq, Eq)]
pub struct Token(Secret<String>);

impl Token {
    /// Returns the token. Only requests to the server and the token file may receive it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// Reads the token of `owner` from the file at `path`.
///
/// # Errors
/// [`TokenFileError`] if the file is missing, is not private, or is not one line of its owner.
pub fn read(path: &Path, owner: Uid) -> Result<Token, TokenFileError> {
    let failed = |problem: Problem| TokenFileError { path: path.to_owned(), problem };
    let opened =
        RegularFile::open(path, Symlinks::Reject).map_err(|error| failed(Problem::from_open_error(error)))?;
    let file = opened.ok_or_else(|| failed(Problem::Missing))?;
    let metadata = file.metadata();
    if metadata.uid() != owner.as_raw() {
        return Err(failed(Problem::OwnedBy(metadata.uid())));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(failed(Problem::OpenToOthers(metadata.mode() & 0o7777)));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.read(MAX_LEN, &mut bytes).map_err(|error| failed(Problem::from_open_error(error)))?;
    parse(&bytes).ok_or_else(|| failed(Problem::NotOneToken))
}

/// Parses one line with one token. The line may end with LF, CRLF or nothing.
pub fn parse(bytes: &[u8]) -> Option<Token> {
    let line = std::str::from_utf8(bytes).ok()?;
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let is_token = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_graphic());
    is_token.then(|| Token(Secret::new(line.to_owned())))
}

/// A token file that cannot be used. Its `Display` ends in the remedy.
#[derive(Debug, thiserror::Error)]
#[error("{}; {}", self.reason(), self.remedy())]
pub struct TokenFileError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Missing,
    Link,
    NotAFile,
    OwnedBy(u32),
    OpenToOthers(u32),
    NotOneToken,
    Unreadable(io::Error),
}

impl Problem {
    fn from_open_error(error: OpenError) -> Self {
        match error {
            OpenError::NotRegular => Self::NotAFile,
            OpenError::Link => Self::Link,
            OpenError::TooLarge => Self::NotOneToken,
            OpenError::Failed(error) if error.kind() == io::ErrorKind::NotADirectory => Self::Missing,
            OpenError::Failed(error) => Self::Unreadable(error),
        }
    }
}

impl TokenFileError {
    /// Returns true if the file does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self.problem, Problem::Missing)
    }

    /// Returns true if the file belongs to the user and has no usable token, so that a new one may
    /// replace it.
    pub fn is_replaceable(&self) -> bool {
        matches!(self.problem, Problem::NotOneToken | Problem::OpenToOthers(_))
    }

    /// Returns true if the file belongs to the user and other users can read or write it.
    pub fn is_open_to_others(&self) -> bool {
        matches!(self.problem, Problem::OpenToOthers(_))
    }

    /// Returns what is wrong, without the remedy.
    pub fn reason(&self) -> String {
        let path = self.path.display();
        match &self.problem {
            Problem::Missing => format!("there is no Vault token file {path}"),
            Problem::Link => format!("the Vault token file {path} is a symbolic link"),
            Problem::NotAFile => format!("the Vault token file {path} is not a regular file"),
            Problem::OwnedBy(uid) => format!("the Vault token file {path} belongs to uid {uid}"),
            Problem::OpenToOthers(mode) => format!("the Vault token file {path} has mode {mode:04o}"),
            Problem::NotOneToken => {
                format!("the Vault token file {path} is not one line with one token")
            }
            Problem::Unreadable(error) => format!("the Vault token file {path} cannot be read: {error}"),
        }
    }

    fn remedy(&self) -> &'static str {
        match &self.problem {
            Problem::Missing | Problem::NotOneToken => "an administrator must provision this user's token",
            Problem::Link | Problem::NotAFile => "replace it with a regular file of the user, mode 0600",
            Problem::OwnedBy(_) => "change its owner to the user, mode 0600, or provision a new token",
            Problem::OpenToOthers(_) => {
                "set mode 0600, and consider the token known to others: revoke it and create a new one"
            }
            Problem::Unreadable(_) => "make it readable for the user, mode 0600",
        }
    }
}

impl From<TokenFileError> for StoreError {
    fn from(error: TokenFileError) -> Self {
        Self::Refused { reason: error.reason(), remedy: error.remedy().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use nix::sys::stat::Mode;
    use nix::unistd::{Uid, mkfifo};

    use super::*;

    fn written(contents: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault-token");
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    fn problem(path: &Path) -> String {
        let error = read(path, Uid::effective()).unwrap_err().to_string();
        assert!(!error.contains("canary"), "{error}");
        error
    }

    #[test]
    fn private_file_with_one_line_is_a_token() {
        for contents in ["hvs.canary", "hvs.canary\n", "hvs.canary\r\n"] {
            for mode in [0o600, 0o400] {
                let (_folder, path) = written(contents.as_bytes(), mode);
                assert_eq!(read(&path, Uid::effective()).unwrap().expose(), "hvs.canary");
            }
        }
    }

    #[test]
    fn token_file_that_is_not_one_token_is_rejected() {
        let long = vec![b'a'; MAX_LEN + 1];
        for contents in
            [&b""[..], b"\n", b"hvs.canary\nhvs.canary2\n", b"hvs canary", b"hvs.\xe4", b"a\0b", &long]
        {
            let (_folder, path) = written(contents, 0o600);
            assert!(problem(&path).contains("one line with one token"));
        }
        let (_folder, path) = written(&long[..MAX_LEN], 0o600);
        assert!(read(&path, Uid::effective()).is_ok());
    }

    #[test]
    fn token_file_that_others_can_read_or_own_is_rejected() {
        for mode in [0o640, 0o604, 0o620, 0o610, 0o666] {
            let (_folder, path) = written(b"hvs.canary", mode);
            assert!(problem(&path).contains("consider the token known to others"));
        }
        let (_folder, path) = written(b"hvs.canary", 0o600);
        let other_user = Uid::from_raw(Uid::effective().as_raw() + 1);
        assert!(read(&path, other_user).unwrap_err().to_string().contains("belongs to uid"));
    }

    #[test]
    fn token_file_that_is_not_regular_is_rejected_at_once() {
        let (folder, path) = written(b"hvs.canary", 0o600);
        let other = folder.path().join("other");
        assert!(problem(&other).contains("there is no"));
        symlink(&path, &other).unwrap();
        assert!(problem(&other).contains("symbolic link"));
        assert!(problem(folder.path()).contains("not a regular file"));
        let fifo = folder.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        assert!(problem(&fifo).contains("not a regular file"));
    }
}

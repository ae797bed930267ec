//! Files that may become the credential file are held open from their creation: so the login of a
//! file that was renamed to its name is known, even if another file is renamed over it at once.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use cas_core::claude_files::credentials_file::LIMIT;
use cas_core::credential::login::Login;
use cas_core::credential::login_file::LoginFileState;
use cas_core::fs::owned_file::{OwnedFile, Ownership};
use cas_core::time::timestamp::Timestamp;

/// Limits the open files; the oldest is closed first.
const MAX_FILES: usize = 8;

/// The open files, oldest first.
pub(super) struct OpenCandidates {
    owner: u32,
    files: VecDeque<Candidate>,
}

struct Candidate {
    path: PathBuf,
    /// `None` after its writer has closed it: an open file would keep the file system busy.
    file: Option<OwnedFile>,
    login: Option<Login>,
    /// The cookie of the rename from this name.
    moved: Option<u32>,
    /// True if the rename was reported in an earlier batch.
    is_gone: bool,
}

impl OpenCandidates {
    /// Creates an empty list; only files of `owner` are opened.
    pub(super) fn new(owner: u32) -> Self {
        Self { owner, files: VecDeque::new() }
    }

    /// Opens a new file.
    pub(super) fn open(&mut self, path: &Path) {
        let is_candidate = path.file_name().is_some_and(|name| is_temporary_name(&name.to_string_lossy()));
        if !is_candidate {
            return;
        }
        // A removed file or one of another user is not a candidate.
        if let Ok(Some(file)) = OwnedFile::open(path, self.owner, Ownership::Owner) {
            self.files.retain(|known| known.path != path);
            let path = path.to_owned();
            self.files.push_back(Candidate {
                path,
                file: Some(file),
                login: None,
                moved: None,
                is_gone: false,
            });
            if self.files.len() > MAX_FILES {
                self.files.pop_front();
            }
        }
    }

    /// Reads a file after a write, while its writer waits for the disk. After its rename another
    /// process may truncate it.
    pub(super) fn on_modify(&mut self, path: &Path, now: Timestamp) {
        if let Some(candidate) = self.files.iter_mut().find(|known| known.path == path) {
            candidate.read(now);
        }
    }

    /// Reads a file after its writer has closed it, and closes it.
    pub(super) fn on_close(&mut self, path: &Path, now: Timestamp) {
        if let Some(candidate) = self.files.iter_mut().find(|known| known.path == path) {
            candidate.read(now);
            candidate.file = None;
        }
        self.files.retain(|known| known.file.is_some() || known.login.is_some());
    }

    /// Records that rename `cookie` has removed this name.
    pub(super) fn on_move_from(&mut self, path: &Path, cookie: u32) {
        if let Some(candidate) = self.files.iter_mut().find(|known| known.path == path) {
            candidate.moved = Some(cookie);
        }
    }

    /// Returns the login of the file that rename `cookie` has made the credential file, if it was
    /// open and has one.
    pub(super) fn on_move_to(&mut self, cookie: u32, now: Timestamp) -> Option<Login> {
        let index = self.files.iter().position(|known| known.moved == Some(cookie))?;
        let mut candidate = self.files.remove(index)?;
        candidate.read(now);
        candidate.login
    }

    /// Drops files that were renamed to other names. Called after each batch; the two events of a
    /// rename may be in two batches.
    pub(super) fn prune(&mut self) {
        self.files.retain(|known| !known.is_gone);
        for candidate in &mut self.files {
            candidate.is_gone = candidate.moved.is_some();
        }
    }
}

impl Candidate {
    /// Reads the file. Content without a login may be incomplete, so the last complete login is
    /// kept.
    fn read(&mut self, now: Timestamp) {
        let found = self.file.as_ref().and_then(|file| file.read(LIMIT).ok());
        if let Some(login) = found.and_then(|found| LoginFileState::parse(&found.content, now).into_login()) {
            self.login = Some(login);
        }
    }
}

/// Returns true for a name of a temporary file. Those of Claude Code begin with the name of the
/// credential file; others contain it, or "tmp".
fn is_temporary_name(name: &str) -> bool {
    name.contains("credentials") || name.contains("tmp")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::unistd::Uid;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn login(name: &str) -> String {
        format!(
            r#"{{"claudeAiOauth":{{"accessToken":"a","refreshToken":"{name}","expiresAt":9,"scopes":["user:inference"]}}}}"#
        )
    }

    fn held() -> OpenCandidates {
        OpenCandidates::new(Uid::effective().as_raw())
    }

    #[test]
    fn renamed_login_is_known_after_next_rename() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = |name: &str| scratch.path().join(name);
        let (one, two) = (path(".credentials.json.tmp.1"), path(".credentials.json.tmp.2"));
        let mut held = held();
        for (file, name) in [(&one, "first"), (&two, "second")] {
            fs::write(file, "").expect("created");
            held.open(file);
            fs::write(file, login(name)).expect("written");
        }
        fs::rename(&one, path("login")).expect("renamed");
        fs::rename(&two, path("login")).expect("renamed over it");
        held.on_move_from(&one, 7);
        held.on_move_from(&two, 8);
        let seen: Vec<_> =
            [7, 8, 9].map(|cookie| held.on_move_to(cookie, now())).into_iter().flatten().collect();
        let refresh: Vec<_> = seen.iter().map(|login| login.json.expose().contains("first")).collect();
        assert_eq!(refresh, [true, false]);
    }

    #[test]
    fn closed_candidate_keeps_login_only() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (good, other) = (scratch.path().join("tmpgood"), scratch.path().join("tmpother"));
        let mut held = held();
        for (file, text) in [(&good, login("one")), (&other, "[1]".into())] {
            fs::write(file, text).expect("written");
            held.open(file);
            held.on_close(file, now());
        }
        assert_eq!(held.files.len(), 1, "a complete file without a login is dropped");
        fs::write(&good, "").expect("truncated after the rename");
        held.on_move_from(&good, 3);
        held.prune();
        assert!(held.on_move_to(3, now()).is_some(), "the second event of a rename may be in the next batch");
    }

    #[test]
    fn candidate_renamed_elsewhere_is_dropped() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = scratch.path().join(".credentials.json.backup");
        fs::write(&path, login("one")).expect("written");
        let mut held = held();
        held.open(&path);
        held.on_move_from(&path, 4);
        held.prune();
        held.prune();
        assert!(held.files.is_empty());
    }

    #[test]
    fn candidates_are_limited_regular_files() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let mut held = held();
        for count in 0..20 {
            let path = scratch.path().join(format!(".credentials.json.{count}"));
            fs::write(&path, "").expect("written");
            held.open(&path);
            held.open(&path);
        }
        assert_eq!(held.files.len(), MAX_FILES);
        let (link, foreign) = (scratch.path().join("tmplink"), scratch.path().join("settings.json"));
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("a link");
        fs::write(&foreign, "").expect("written");
        for path in [&link, &foreign, &scratch.path().join("tmpgone")] {
            held.open(path);
            assert!(held.files.iter().all(|known| known.path != *path));
        }
    }
}

//! Files that may become the credential file, held open from the moment they appear: what was renamed to its name is known
//! then, even if something else was renamed over it a moment later.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use cas_core::claude_files::credentials_file::LIMIT;
use cas_core::credential::login::Login;
use cas_core::credential::login_file::LoginFileState;
use cas_core::fs::owned_file::{OwnedFile, Ownership};
use cas_core::time::timestamp::Timestamp;

/// How many files are held at most; the oldest makes room.
const MOST: usize = 8;

/// The files held, oldest first.
pub(super) struct OpenCandidates {
    owner: u32,
    files: VecDeque<Candidate>,
}

struct Candidate {
    path: PathBuf,
    /// Nothing once its writer has closed it: holding it any longer would only keep its file system busy.
    file: Option<OwnedFile>,
    login: Option<Login>,
    /// The number of the rename that took its name away.
    moved: Option<u32>,
    /// Whether that was told some time ago.
    is_gone: bool,
}

impl OpenCandidates {
    /// None yet; files of anybody but `owner` are never held.
    pub(super) fn new(owner: u32) -> Self {
        Self { owner, files: VecDeque::new() }
    }

    /// Opens what has just appeared, before anything else can happen to it.
    pub(super) fn open(&mut self, path: &Path) {
        let may_become_it = path.file_name().is_some_and(|name| is_a_temporary_name(&name.to_string_lossy()));
        if !may_become_it {
            return;
        }
        // What is gone already, or nobody's own, is no candidate.
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
            if self.files.len() > MOST {
                self.files.pop_front();
            }
        }
    }

    /// It was written to: reads it, while its writer waits for the disk. Once it has its new name somebody else may truncate
    /// it at once.
    pub(super) fn on_modify(&mut self, path: &Path, now: Timestamp) {
        if let Some(candidate) = self.files.iter_mut().find(|known| known.path == path) {
            candidate.look(now);
        }
    }

    /// Its writer is done: reads it, and lets go of it.
    pub(super) fn on_close(&mut self, path: &Path, now: Timestamp) {
        if let Some(candidate) = self.files.iter_mut().find(|known| known.path == path) {
            candidate.look(now);
            candidate.file = None;
        }
        self.files.retain(|known| known.file.is_some() || known.login.is_some());
    }

    /// It lost its name in rename number `cookie`.
    pub(super) fn on_move_from(&mut self, path: &Path, cookie: u32) {
        if let Some(candidate) = self.files.iter_mut().find(|known| known.path == path) {
            candidate.moved = Some(cookie);
        }
    }

    /// Rename number `cookie` made it the credential file: the login in it, if it was held and holds one.
    pub(super) fn on_move_to(&mut self, cookie: u32, now: Timestamp) -> Option<Login> {
        let index = self.files.iter().position(|known| known.moved == Some(cookie))?;
        let mut candidate = self.files.remove(index)?;
        candidate.look(now);
        candidate.login
    }

    /// After each batch of events: what was renamed to some other name is none of our business. The two events of one rename
    /// may come in two batches.
    pub(super) fn prune(&mut self) {
        self.files.retain(|known| !known.is_gone);
        for candidate in &mut self.files {
            candidate.is_gone = candidate.moved.is_some();
        }
    }
}

impl Candidate {
    /// A content that is no login may be half of one: the last whole one counts.
    fn look(&mut self, now: Timestamp) {
        let found = self.file.as_ref().and_then(|file| file.read(LIMIT).ok());
        if let Some(login) = found.and_then(|found| LoginFileState::parse(&found.content, now).into_login()) {
            self.login = Some(login);
        }
    }
}

/// Claude Code's temporary files begin with the file's own name; those of others contain it, or say what they are.
fn is_a_temporary_name(name: &str) -> bool {
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
    fn what_was_renamed_here_is_known_whatever_happened_to_the_name_since() {
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
    fn what_its_writer_closed_is_kept_without_the_file() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (good, other) = (scratch.path().join("tmpgood"), scratch.path().join("tmpother"));
        let mut held = held();
        for (file, text) in [(&good, login("one")), (&other, "[1]".into())] {
            fs::write(file, text).expect("written");
            held.open(file);
            held.on_close(file, now());
        }
        assert_eq!(held.files.len(), 1, "what is no login when it is complete never becomes one");
        fs::write(&good, "").expect("truncated by somebody else after it was renamed");
        held.on_move_from(&good, 3);
        held.prune();
        assert!(held.on_move_to(3, now()).is_some(), "the other half of a rename may come later");
    }

    #[test]
    fn what_was_renamed_to_something_else_is_let_go() {
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
    fn no_more_than_a_few_are_held_and_nothing_that_is_not_a_file() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let mut held = held();
        for count in 0..20 {
            let path = scratch.path().join(format!(".credentials.json.{count}"));
            fs::write(&path, "").expect("written");
            held.open(&path);
            held.open(&path);
        }
        assert_eq!(held.files.len(), MOST);
        let (link, foreign) = (scratch.path().join("tmplink"), scratch.path().join("settings.json"));
        std::os::unix::fs::symlink("/etc/passwd", &link).expect("a link");
        fs::write(&foreign, "").expect("written");
        for path in [&link, &foreign, &scratch.path().join("tmpgone")] {
            held.open(path);
            assert!(held.files.iter().all(|known| known.path != *path));
        }
    }
}

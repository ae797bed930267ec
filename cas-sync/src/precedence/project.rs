//! Reads the settings of the project in the working directory. Other users can own that directory
//! and the ones above it, and can mount a file system there that never answers. So a child process
//! reads, with a time limit, and is left behind if it does not end.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cas_core::claude_files::json_settings::{ClaudeJson, ReadJsonError};
use cas_core::fs::regular_file::OpenError;
use cas_protocol::deadline::Deadline;
use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};

use super::Place;
use super::settings::Settings;
use crate::os::bounded_command::run_bounded;

/// A prompt must not wait longer. Reading takes a few milliseconds.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// The remedy for settings that the user does not control.
pub(crate) const ELSEWHERE: &str = "start `claude` in another directory";

/// The settings of the project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Project {
    /// The files that exist, the one that takes precedence last.
    pub(crate) files: Vec<ProjectFile>,
    /// Why the files were not read.
    pub(crate) unread: Option<String>,
}

/// One file with settings of the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProjectFile {
    pub(crate) place: Place,
    pub(crate) path: String,
    /// The other user who can change the file; `None` if only this user and root can.
    pub(crate) controller: Option<Controller>,
    /// The settings, or why they were not read.
    pub(crate) settings: Result<Settings, String>,
}

/// A file or directory with which another user can change the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Controller {
    path: String,
    /// The owner; `None` if every user can write to the directory.
    uid: Option<u32>,
}

impl Project {
    /// Reads the settings of the project in the working directory of this process. In the home one
    /// of the files is `user`, the user's own settings, and is left out.
    pub(crate) fn read_here(user: &Path) -> Self {
        // The running program, even if an upgrade has replaced its file.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("cas-sync").args(["internal", "project-settings"]).env_clear();
        let unread = |why: String| Self { files: Vec::new(), unread: Some(why) };
        match run_bounded(&mut command, &Deadline::after(READ_TIMEOUT)) {
            Ok(output) if output.success => {
                match serde_json::from_slice::<Vec<ProjectFile>>(&output.stdout) {
                    Ok(files) => Self { files, unread: None }.without(user),
                    Err(_) => unread("cannot be read".into()),
                }
            }
            Ok(_) => unread("cannot be read".into()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                unread(format!("were not read within {READ_TIMEOUT:?}"))
            }
            Err(error) => unread(format!("cannot be read: {error}")),
        }
    }

    fn without(mut self, user: &Path) -> Self {
        self.files.retain(|file| Path::new(&file.path) != user);
        self
    }

    /// Returns who controls the file that sets this name at this place.
    pub(crate) fn controller(&self, place: Place, name: &str) -> Option<&Controller> {
        let sets = |file: &&ProjectFile| {
            file.place == place && file.settings.as_ref().is_ok_and(|found| found.names().contains(&name))
        };
        self.files.iter().rev().find(sets)?.controller.as_ref()
    }

    /// Returns what is not known because the files were not read.
    pub(crate) fn unread_text(&self) -> Option<String> {
        let why = self.unread.as_ref()?;
        Some(format!(
            "the settings of this directory {why}, so the credential that Claude Code uses here is not known; {ELSEWHERE}"
        ))
    }
}

impl Controller {
    /// Returns the first file or directory on the way to `path` with which a user other than `own`
    /// and root can change what is read there. Symlinks are followed, and count themselves.
    fn find(path: &Path, own: u32) -> Option<Self> {
        let on_the_way = |path: &Path| {
            let mut ancestors: Vec<_> = path.ancestors().collect();
            ancestors.reverse();
            ancestors.into_iter().find_map(|path| Self::check(path, own))
        };
        on_the_way(path).or_else(|| on_the_way(&fs::canonicalize(path).ok()?))
    }

    /// In a sticky directory only the owner of a file can replace it.
    fn check(path: &Path, own: u32) -> Option<Self> {
        const WRITABLE_BY_OTHERS: u32 = 0o002;
        const STICKY: u32 = 0o1000;
        let found = fs::symlink_metadata(path).ok()?;
        let path = path.display().to_string();
        let is_open =
            !found.is_symlink() && found.mode() & (WRITABLE_BY_OTHERS | STICKY) == WRITABLE_BY_OTHERS;
        match found.uid() {
            uid if uid != own && uid != 0 => Some(Self { path, uid: Some(uid) }),
            _ if is_open => Some(Self { path, uid: None }),
            _ => None,
        }
    }

    /// Returns the reason why the user does not control the settings.
    pub(crate) fn text(&self) -> String {
        let Some(uid) = self.uid else { return format!("every user can write to {}", self.path) };
        let name = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
        format!("{} belongs to {}", self.path, name.unwrap_or_else(|| format!("user id {uid}")))
    }
}

/// Prints the settings of the project in the working directory, for [`Project::read_here`].
///
/// # Errors
/// If the output cannot be written.
pub(crate) fn serve() -> anyhow::Result<()> {
    let files = read(&env::current_dir().unwrap_or_default(), Uid::current().as_raw());
    println!("{}", serde_json::to_string(&files)?);
    Ok(())
}

/// Reads the files of the project in this directory that exist.
fn read(directory: &Path, own: u32) -> Vec<ProjectFile> {
    let found = paths(directory).into_iter().filter_map(|(place, path)| {
        let settings = read_settings(&path).transpose()?;
        let controller = Controller::find(&path, own);
        let settings = settings.map_err(|why| describe(&path, why, controller.as_ref()));
        Some(ProjectFile { place, path: path.display().to_string(), controller, settings })
    });
    found.collect()
}

/// Returns the paths at which a client that is started in this directory looks for settings of the
/// project.
fn paths(directory: &Path) -> Vec<(Place, PathBuf)> {
    let local = |directory: &Path| (Place::LocalSettings, directory.join(".claude/settings.local.json"));
    let project = (Place::ProjectSettings, directory.join(".claude/settings.json"));
    // Those at the top of the git repository take precedence.
    let repository = directory.ancestors().find(|ancestor| ancestor.join(".git").exists());
    let repository = repository.filter(|top| *top != directory).map(local);
    [project, local(directory)].into_iter().chain(repository).collect()
}

/// Why settings were not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnreadableSettings {
    NotJson,
    NotRegular,
    TooLarge,
    Failed,
}

impl UnreadableSettings {
    fn cause(self) -> &'static str {
        match self {
            Self::NotJson => "is not a JSON object, so Claude Code ignores it",
            Self::NotRegular => "is not a regular file",
            Self::TooLarge => "is too large and was not read",
            Self::Failed => "cannot be read",
        }
    }

    fn remedy(self) -> Option<&'static str> {
        match self {
            Self::NotJson => Some("correct it"),
            Self::NotRegular => Some("move it away"),
            Self::TooLarge => None,
            Self::Failed => Some("correct its mode"),
        }
    }
}

/// Returns the settings in this file, or `None` if it does not exist.
pub(super) fn read_settings(path: &Path) -> Result<Option<Settings>, UnreadableSettings> {
    match ClaudeJson::read(path) {
        Ok(found) => Ok(found.as_ref().map(Settings::from_file)),
        Err(ReadJsonError::NotJson | ReadJsonError::NotAnObject) => Err(UnreadableSettings::NotJson),
        Err(ReadJsonError::File(OpenError::NotRegular | OpenError::Link)) => {
            Err(UnreadableSettings::NotRegular)
        }
        Err(ReadJsonError::File(OpenError::TooLarge)) => Err(UnreadableSettings::TooLarge),
        Err(ReadJsonError::File(OpenError::Failed(_))) => Err(UnreadableSettings::Failed),
    }
}

/// Returns the cause with its remedy. The user does not repair what another user controls.
pub(super) fn describe(path: &Path, why: UnreadableSettings, controller: Option<&Controller>) -> String {
    let end = match controller {
        Some(controller) => format!("; {}", controller.text()),
        None => why.remedy().map(|remedy| format!("; {remedy}")).unwrap_or_default(),
    };
    format!("{} {}{end}", path.display(), why.cause())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn other_owner_or_open_directory_controls_a_file() {
        let own = Uid::current().as_raw();
        if own != 0 {
            return eprintln!("SKIPPED: only root can give a file to another user");
        }
        let (alice, bob) = (61_000, 61_001);
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let file = |name: &str, owner: u32| {
            let path = scratch.path().join(name);
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            fs::write(&path, "{}").expect("a file");
            chown(&path, Some(owner), None).expect("given");
            path
        };
        let found = |path: &Path| Controller::find(path, alice).map(|found| (found.path, found.uid));
        let text = |path: &Path| path.display().to_string();
        let (alices, bobs) = (file("a/own", alice), file("a/bobs", bob));
        assert_eq!((found(&alices), found(&bobs)), (None, Some((text(&bobs), Some(bob)))));
        let links = [("to-own", &alices, bob), ("to-bobs", &bobs, alice)].map(|(name, target, owner)| {
            let link = scratch.path().join(name);
            symlink(target, &link).expect("a link");
            std::os::unix::fs::lchown(&link, Some(owner), None).expect("given");
            link
        });
        assert_eq!(found(&links[0]), Some((text(&links[0]), Some(bob))));
        assert_eq!(found(&links[1]), Some((text(&bobs), Some(bob))));
        let directory = scratch.path().join("a");
        for (mode, expected) in [(0o1777, None), (0o777, Some((text(&directory), None)))] {
            fs::set_permissions(&directory, Permissions::from_mode(mode)).expect("a mode");
            assert_eq!(found(&alices), expected, "{mode:o}");
        }
        chown(&directory, Some(bob), None).expect("given");
        assert_eq!(found(&alices), Some((text(&directory), Some(bob))));
    }
}

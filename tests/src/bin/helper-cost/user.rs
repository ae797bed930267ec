//! A user of the measurement's namespace, and the states of the user's login.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use cas_tests::{claude_login, now_ms, programs::release};

const UID: u32 = 4242;

/// The state that the helper finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Situation {
    /// A valid login that is in the history.
    Healthy,
    /// The same, and a setup token.
    SetupToken,
    /// A cleared login, and a backup in the history.
    Repair,
}

impl Situation {
    pub(crate) const ALL: [Self; 3] = [Self::Healthy, Self::SetupToken, Self::Repair];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Healthy => "healthy login",
            Self::SetupToken => "setup-token in use",
            Self::Repair => "repair from the history",
        }
    }
}

/// The home, the two files that define the user, and the enrollment marker.
pub(crate) struct HelperUser {
    folder: PathBuf,
}

impl HelperUser {
    /// Creates a user with a home and a valid login that was backed up once.
    pub(crate) fn create(folder: &Path) -> Self {
        let user = Self { folder: folder.to_owned() };
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).expect("the folder can be entered");
        let home = user.home();
        let known = |file: &str, line: &str| {
            let system = fs::read_to_string(Path::new("/etc").join(file)).expect("the system's file");
            fs::write(folder.join(file), format!("{system}{line}\n")).expect("written");
        };
        known("passwd", &format!("cas-measured:x:{UID}:{UID}::{}:/bin/sh", home.display()));
        known("group", &format!("cas-measured:x:{UID}:"));
        for directory in ["", ".claude", ".config", ".config/claude-auth-sync", ".local", ".local/state"] {
            fs::create_dir(home.join(directory)).expect("a directory");
            chown(home.join(directory), Some(UID), Some(UID)).expect("owned by the user");
        }
        let enrolled = user.lib().join("claude-auth-sync/enrolled");
        fs::create_dir_all(&enrolled).expect("a directory");
        fs::write(enrolled.join("cas-measured"), "").expect("written");
        user
    }

    /// Returns the directory that is mounted over `/var/lib`.
    pub(crate) fn lib(&self) -> PathBuf {
        self.folder.join("lib")
    }

    pub(crate) fn passwd(&self) -> PathBuf {
        self.folder.join("passwd")
    }

    pub(crate) fn group(&self) -> PathBuf {
        self.folder.join("group")
    }

    fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    /// Returns the arguments with which the module starts the helper.
    pub(crate) fn arguments() -> [&'static str; 4] {
        ["login", "--reply=1", "--deadline-ms=2000", "--user=cas-measured"]
    }

    /// Prepares the home for the situation.
    pub(crate) fn prepare(&self, situation: Situation) {
        let history = self.home().join(".local/state/claude-auth-sync/history.json");
        if !history.exists() {
            self.write(".claude/.credentials.json", &claude_login::new_login("measured"));
            let sync = release("cas-sync");
            let ids = ["--reuid", "4242", "--regid", "4242", "--clear-groups"];
            let run = Command::new("setpriv").args(ids).arg(sync).arg("run").status();
            assert!(run.expect("setpriv runs").success(), "the first backup at {}", now_ms());
        }
        let file = match situation {
            Situation::Repair => claude_login::cleared_login(&claude_login::new_login("measured")),
            Situation::Healthy | Situation::SetupToken => claude_login::new_login("measured"),
        };
        self.write(".claude/.credentials.json", &file);
        // Each repair is the first one: at most eight are made within an hour.
        let ledger = self.home().join(".local/state/claude-auth-sync/ledger.json");
        drop(fs::remove_file(ledger));
        let env_file = ".config/claude-auth-sync/claude-oauth.env";
        match situation {
            Situation::SetupToken => self.write(env_file, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-measured\n"),
            Situation::Healthy | Situation::Repair => drop(fs::remove_file(self.home().join(env_file))),
        }
    }

    /// Returns true if the login is valid.
    pub(crate) fn is_whole(&self) -> bool {
        let content = fs::read_to_string(self.home().join(".claude/.credentials.json")).unwrap_or_default();
        content.contains("refresh-of-measured")
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.home().join(name);
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("0600");
        chown(&path, Some(UID), Some(UID)).expect("owned by the user");
    }
}

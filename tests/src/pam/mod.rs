//! A fixture for the built PAM module: the real libpam, a host program in any state, a replacement
//! of `cas-session`, and a log socket, in their own mount namespace, so that nothing of the machine
//! changes.
//!
//! It needs root (or a user namespace: `unshare --map-root-user`), and the packages of
//! `tests/setup/host-packages.sh`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::programs::release;

mod log;
mod login;
mod report;

pub use log::LogLine;
pub use login::Login;
pub use report::Report;

use log::LogSocket;

/// The token that the programs of the fixture answer with.
pub const TOKEN: &str = "sk-ant-oat01-the_token-of-the-bed";

/// The variable with that token, as in an environment.
pub const TOKEN_VARIABLE: &str = "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-the_token-of-the-bed";

/// Prepares the namespace and becomes the host.
const STAGE: &str = include_str!("stage.sh");

/// A scratch directory in place of the machine's directories: PAM configuration, enrollment
/// markers, programs, log.
pub struct PamFixture {
    scratch: TempDir,
    host: PathBuf,
    hostile: PathBuf,
    log: LogSocket,
}

impl PamFixture {
    /// Returns a fixture in which `alice` is enrolled. The two programs are those of this package,
    /// as `env!("CARGO_BIN_EXE_pam-host")` and `env!("CARGO_BIN_EXE_hostile-helper")` name them.
    #[must_use]
    pub fn new(host: &str, hostile: &str) -> Self {
        let scratch = tempfile::Builder::new().prefix("cas-pam-").tempdir().expect("a scratch directory");
        let at = |name: &str| scratch.path().join(name);
        // Hosts of other users must also have access.
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755))
            .expect("the mode of the scratch directory can be changed");
        for directory in ["pam.d", "state", "state/enrolled", "programs", "devices"] {
            fs::create_dir(at(directory)).expect("a directory in the scratch directory");
        }
        fs::copy(release("libpam_cas.so"), at("pam_cas_session.so")).expect("the built module");
        fs::write(at("stage.sh"), STAGE).expect("the stage");
        // For services without a file of their own, as every machine has one.
        fs::write(at("pam.d/other"), "session required pam_deny.so\n")
            .expect("the PAM configuration is written");
        let log = LogSocket::bind(&at("log"));
        let fixture = Self { host: host.into(), hostile: hostile.into(), log, scratch };
        fixture.enrol("alice");
        fixture
    }

    /// Returns a path in the scratch directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Returns the module of this fixture.
    #[must_use]
    pub fn module(&self) -> PathBuf {
        self.path("pam_cas_session.so")
    }

    /// Returns the path of the marker of a user.
    #[must_use]
    pub fn marker(&self, user: &[u8]) -> PathBuf {
        self.path("state/enrolled").join(OsStr::from_bytes(user))
    }

    /// Writes a marker as `cas-sync enroll` does.
    pub fn enrol(&self, user: &str) {
        let marker = self.marker(user.as_bytes());
        fs::write(&marker, "").expect("the marker is written");
        fs::set_permissions(&marker, fs::Permissions::from_mode(0o644))
            .expect("the mode of the marker can be changed");
    }

    /// Returns the program for a mode (`tests/src/bin/hostile-helper.rs`).
    #[must_use]
    pub fn program(&self, mode: &str) -> PathBuf {
        let link = self.path("programs").join(mode);
        if !link.exists() {
            symlink(&self.hostile, &link).expect("a link to the program");
        }
        link
    }

    /// Returns the number of started programs.
    #[must_use]
    pub fn programs_started(&self) -> usize {
        fs::read_to_string(self.path("programs/pids")).unwrap_or_default().lines().count()
    }

    /// Waits until none of the programs runs, at most two seconds: a killed process takes a moment
    /// to end.
    #[must_use]
    pub fn no_program_is_running(&self) -> bool {
        let pids = fs::read_to_string(self.path("programs/pids")).unwrap_or_default();
        // A process that has ended has no such file any longer.
        let runs =
            |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|file| file == self.hostile);
        (0..200).any(|_| {
            let gone = !pids.lines().any(runs);
            if !gone {
                std::thread::sleep(Duration::from_millis(10));
            }
            gone
        })
    }

    /// Returns the report of the program "tells-what-it-sees".
    #[must_use]
    pub fn helper_report(&self) -> Value {
        let seen = fs::read(self.path("programs/seen")).expect("the program ran");
        serde_json::from_slice(&seen).expect("the report is JSON")
    }

    /// Returns a command that runs the program given as its next argument in this fixture.
    #[must_use]
    pub fn stage(&self) -> Command {
        let mut stage = Command::new("unshare");
        stage.args(["--mount", "--propagation", "private", "sh", "-e"]);
        stage.args([&self.path("stage.sh"), self.scratch.path()]);
        stage
    }

    /// Returns a login of alice through sshd with the program named, to be changed and run.
    #[must_use]
    pub fn login(&self, mode: &str) -> Login<'_> {
        let helper = self.program(mode);
        Login {
            fixture: self,
            service: "sshd".into(),
            user: Some(b"alice".to_vec()),
            helper: Some(helper),
            arguments: Vec::new(),
            stack: None,
            modes: Vec::new(),
            calls: vec!["open".into(), "close".into()],
            silent: false,
            times: 1,
        }
    }
}

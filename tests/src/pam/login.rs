//! One run of the host: a login, described step by step.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;

use super::{PamFixture, Report};

/// One run of the host.
pub struct Login<'a> {
    pub(super) fixture: &'a PamFixture,
    pub(super) service: String,
    pub(super) user: Option<Vec<u8>>,
    pub(super) helper: Option<PathBuf>,
    pub(super) arguments: Vec<Vec<u8>>,
    pub(super) stack: Option<String>,
    pub(super) modes: Vec<String>,
    pub(super) calls: Vec<String>,
    pub(super) silent: bool,
    pub(super) times: u64,
}

impl Login<'_> {
    /// Selects another service than sshd.
    #[must_use]
    pub fn service(mut self, service: &str) -> Self {
        self.service = service.into();
        self
    }

    /// Selects another user than alice; any bytes except NUL.
    #[must_use]
    pub fn user(mut self, user: impl AsRef<[u8]>) -> Self {
        self.user = Some(user.as_ref().to_vec());
        self
    }

    /// Sets no user.
    #[must_use]
    pub fn without_user(mut self) -> Self {
        self.user = None;
        self
    }

    /// Selects the helper.
    #[must_use]
    pub fn helper(mut self, path: &Path) -> Self {
        self.helper = Some(path.to_owned());
        self
    }

    /// Adds an argument to the line of the module.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<[u8]>) -> Self {
        self.arguments.push(argument.as_ref().to_vec());
        self
    }

    /// Sets the PAM stack instead of one `session required` line; `MODULE` stands for the module
    /// and its arguments.
    #[must_use]
    pub fn stack(mut self, stack: &str) -> Self {
        self.stack = Some(stack.into());
        self
    }

    /// Sets the state of the host (`tests/src/bin/pam-host/modes.rs`).
    #[must_use]
    pub fn host(mut self, mode: &str) -> Self {
        self.modes.push(mode.into());
        self
    }

    /// Sets the calls instead of `open` and `close`.
    #[must_use]
    pub fn calls(mut self, calls: &[&str]) -> Self {
        self.calls = calls.iter().map(|&call| call.to_owned()).collect();
        self
    }

    /// Sets `PAM_SILENT`.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Sets the number of repetitions.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Runs the host and collects the results.
    #[must_use]
    pub fn run(self) -> Report {
        let fixture = self.fixture;
        self.write_stack();
        let report = fixture.path("report");
        let _ = fs::remove_file(&report);
        let scenario = json!({
            "confdir": fixture.path("pam.d"), "service": self.service, "user": self.user, "modes": self.modes,
            "calls": self.calls, "silent": self.silent, "times": self.times, "report": report,
            "module": fixture.module(), "arguments": self.line().iter().map(|text| String::from_utf8_lossy(text)).collect::<Vec<_>>(),
        });
        let (output, lines) = fixture.log.while_listening(|| {
            fixture
                .stage()
                .arg(&fixture.host)
                .arg(scenario.to_string())
                // If the module let the standard library print its panics, there would be much more
                // output.
                .env("RUST_BACKTRACE", "full")
                .stdin(Stdio::null())
                .output()
                .expect("unshare is installed (tests/setup/host-packages.sh)")
        });
        Report::new(output, fs::read(report).unwrap_or_default(), lines)
    }

    /// Returns the arguments on the line of the module.
    fn line(&self) -> Vec<Vec<u8>> {
        let helper = self.helper.as_ref().map(|path| [b"helper=", path.as_os_str().as_bytes()].concat());
        helper.into_iter().chain(self.arguments.iter().cloned()).collect()
    }

    fn write_stack(&self) {
        let mut module = self.fixture.module().into_os_string().into_encoded_bytes();
        for argument in self.line() {
            module.push(b' ');
            module.extend_from_slice(&argument);
        }
        let stack = self.stack.as_deref().unwrap_or("session required MODULE\n");
        let pieces: Vec<&[u8]> = stack.split("MODULE").map(str::as_bytes).collect();
        let file = self.fixture.path("pam.d").join(&self.service);
        fs::write(file, pieces.join(&module[..])).expect("the PAM configuration is written");
    }
}

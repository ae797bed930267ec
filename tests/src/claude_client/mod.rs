//! The real `claude` of npm, run by users that exist only here, in a network that contains only the
//! simulated Anthropic servers.
//!
//! Each user has a scratch home and a user id that is unused on this machine. The client sees this
//! fixture's `/etc/hosts`, `/etc/passwd`, `/etc/group`, `/etc/claude-code` and
//! `/etc/claude-auth-sync`, in which all users are enrolled, and nothing of the test's environment.
//! `cas-sync` runs there as well.

mod disk;
mod encrypted_home;
mod invocation;
mod result;
mod running;
mod sync;
mod user;

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cas_protocol::paths::ENROLLED_DIR;
use nix::unistd::{Uid, User};
use tempfile::TempDir;

pub use self::encrypted_home::EncryptedHome;
pub use self::invocation::{BackgroundRun, Invocation, QUESTION};
pub use self::result::{ClientError, ClientOutput};
pub use self::running::Conversation;
pub use self::user::{ClaudeUser, in_hours};
use crate::anthropic::{API_HOST, FakeAnthropic, PLATFORM_HOST};
use crate::namespaces::{Mount, Namespaces};
use crate::tls_authority::TlsAuthority;

/// The version the suites run; `tests/setup/claude` installs it.
pub const NEWEST: &str = "2.1.332";
/// An older one that is still in use: it reports fewer details of a failed request.
pub const OLDER: &str = "2.1.197";

/// Returns what the browser shows after the code, from the URL of a sign-in. The newest client
/// prints a short URL with a parameter without a name, and accepts any text there.
pub fn state_of_sign_in(url: &str) -> Option<&str> {
    let mut parameters = url.split(['?', '&']);
    parameters.find_map(|one| one.strip_prefix("state=").or_else(|| one.strip_prefix("z-")))
}

/// Above the user ids of Debian's accounts and below those of systemd.
const FIRST_UID: u32 = 61_000;

/// The administrator's settings for every client, below `/etc`.
const SETTINGS: &str = "claude-code";
/// The configuration of `cas-sync`, below `/etc`.
const CONFIGURATION: &str = "claude-auth-sync";

/// A scratch directory, its namespaces and the simulation that listens in them.
pub struct ClaudeFixture {
    anthropic: FakeAnthropic,
    namespaces: Namespaces,
    scratch: TempDir,
}

impl ClaudeFixture {
    /// Returns a fixture with the client of version [`NEWEST`].
    ///
    /// # Errors
    /// As [`Self::with_version`].
    pub fn start() -> io::Result<Self> {
        Self::with_version(NEWEST)
    }

    /// Returns a fixture with the client of `version`, which `tests/setup/claude VERSION` has
    /// installed.
    ///
    /// # Errors
    /// If the client is not installed (the error names the script), if this is not run by root, or
    /// if the kernel refuses a step.
    pub fn with_version(version: &str) -> io::Result<Self> {
        let binary = installed(version)?;
        let scratch = tempfile::Builder::new().prefix("claude-bed.").tempdir()?;
        let path = scratch.path();
        fs::set_permissions(path, Permissions::from_mode(0o755))?;

        fs::write(path.join("hosts"), hosts("127.0.0.1"))?;
        fs::write(path.join("passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
        fs::write(path.join("group"), "root:x:0:\n")?;
        fs::write(path.join("claude"), "")?;
        let authority = TlsAuthority::new("claude-auth-sync tests: Anthropic");
        authority.write_to(path)?;

        let bind = |source: PathBuf, target: PathBuf| Mount::Bind { source, target };
        let mut mounts = vec![bind(binary, path.join("claude"))];
        if let Ok(older) = installed(OLDER) {
            fs::write(path.join("claude-older"), "")?;
            mounts.push(bind(older, path.join("claude-older")));
        }
        // This machine may lack the directories below /etc.
        for directory in [SETTINGS, CONFIGURATION] {
            fs::create_dir(path.join(directory))?;
            fs::create_dir_all(path.join("etc").join(directory))?;
        }
        fs::write(path.join("etc/fscrypt.conf"), encrypted_home::CONFIGURATION)?;
        mounts.push(Mount::Over { source: path.join("etc"), target: "/etc".into() });
        fs::create_dir(path.join("markers"))?;
        fs::create_dir_all(path.join("lib/claude-auth-sync/enrolled"))?;
        mounts.push(Mount::Over { source: path.join("lib"), target: "/var/lib".into() });
        mounts.push(bind(path.join("markers"), ENROLLED_DIR.into()));
        for name in ["hosts", "passwd", "group", SETTINGS, CONFIGURATION] {
            mounts.push(bind(path.join(name), Path::new("/etc").join(name)));
        }
        // The client searches for this token file at every start. It would be that of this machine,
        // and so would the journal.
        let foreign = ["/home/claude", "/run/systemd/journal"].map(PathBuf::from);
        mounts.extend(foreign.into_iter().filter(|path| path.is_dir()).map(Mount::Empty));

        let namespaces = Namespaces::new(mounts)?;
        let listener = namespaces.run(|| TcpListener::bind("127.0.0.1:443"))?;
        let anthropic = FakeAnthropic::start(vec![listener], &authority);
        Ok(Self { anthropic, namespaces, scratch })
    }

    /// Returns the simulated Anthropic servers.
    pub fn anthropic(&self) -> &FakeAnthropic {
        &self.anthropic
    }

    /// Creates a user with an empty home.
    ///
    /// # Errors
    /// Errors of creating the home.
    pub fn create_user(&self, name: &str) -> io::Result<ClaudeUser<'_>> {
        let home = self.path(name);
        fs::create_dir(&home)?;
        let user = self.register_user(name, home)?;
        create_home_directories(&user.home, user.uid)?;
        Ok(user)
    }

    /// Creates a user whose home is this directory, without creating it.
    fn register_user(&self, name: &str, home: PathBuf) -> io::Result<ClaudeUser<'_>> {
        let taken = fs::read_to_string(self.path("passwd"))?.lines().count();
        let free = |uid: &u32| !matches!(User::from_uid(Uid::from_raw(*uid)), Ok(Some(_)));
        let uid = (FIRST_UID..).filter(free).nth(taken).unwrap_or(FIRST_UID);
        // Appended in place: a new file would not be the mounted one.
        let append = |file: &str, line: String| -> io::Result<()> {
            OpenOptions::new().append(true).open(self.path(file))?.write_all(line.as_bytes())
        };
        append("passwd", format!("{name}:x:{uid}:{uid}::{}:/bin/sh\n", home.display()))?;
        append("group", format!("{name}:x:{uid}:\n"))?;
        fs::write(self.path("markers").join(name), "")?;
        Ok(ClaudeUser::new(self, name, uid, home))
    }

    /// Resolves the names of the Anthropic servers to another loopback address, where no server
    /// listens.
    ///
    /// # Errors
    /// Errors of writing `/etc/hosts`.
    pub fn redirect_servers_to(&self, address: &str) -> io::Result<()> {
        fs::write(self.path("hosts"), hosts(address))
    }

    /// Writes `/etc/claude-code/managed-settings.json`, with which an administrator configures
    /// every client.
    ///
    /// # Errors
    /// Errors of writing it.
    pub fn write_managed_settings(&self, json: &str) -> io::Result<()> {
        fs::write(self.path(SETTINGS).join("managed-settings.json"), json)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }
}

/// Creates the directories of a home.
fn create_home_directories(home: &Path, uid: u32) -> io::Result<()> {
    for directory in [".claude", "tmp"] {
        fs::create_dir(home.join(directory))?;
    }
    for directory in ["", ".claude", "tmp"].map(|name| home.join(name)) {
        fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        chown(&directory, Some(uid), Some(uid))?;
    }
    Ok(())
}

fn hosts(address: &str) -> String {
    format!("127.0.0.1 localhost\n{address} {API_HOST} {PLATFORM_HOST}\n")
}

/// Returns where `tests/setup/claude` installs the binary of a version.
///
/// # Errors
/// If it does not exist; the error names the command that installs it.
pub fn installed(version: &str) -> io::Result<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the environment of the suites names the cache")]
    let (cache, home) = (std::env::var_os("CAS_CACHE"), std::env::var_os("HOME"));
    let cache = cache.filter(|path| !path.is_empty()).map(PathBuf::from);
    let cache =
        cache.unwrap_or_else(|| PathBuf::from(home.unwrap_or_default()).join(".cache/claude-auth-sync"));
    let binary = cache.join(format!("claude-{version}/claude"));
    if binary.is_file() {
        return Ok(binary);
    }
    let remedy = "run `make test-deps`, or";
    let message = format!("{} is missing: {remedy} tests/setup/claude {version}", binary.display());
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}

/// Returns milliseconds since the epoch, the unit of `expiresAt`.
pub fn now_in_milliseconds() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the client compares expiresAt with the wall clock")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

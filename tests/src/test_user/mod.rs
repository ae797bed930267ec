//! A user that exists in one test only: a name and a home in private mount and network namespaces,
//! with their own `/etc`, `/dev` and journal. The programs of the release build run there as on a
//! workstation, as an ordinary user, without booting a guest.

mod journal;
mod leftovers;
mod root_directory;

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use self::journal::Journal;
pub use self::leftovers::Files;
use crate::anthropic::{API_HOST, FakeAnthropic, PLATFORM_HOST};
use crate::claude_client::{NEWEST, in_hours, installed};
use crate::claude_login::{new_login, parsed};
use crate::counting_relay::CountingRelay;
use crate::namespaces::{Mount, Namespaces};
use crate::openbao::{Bao, Policy, VaultUser};
use crate::pseudo_terminal::PseudoTerminal;
use crate::tls_authority::TlsAuthority;

/// The login name.
pub const NAME: &str = "alice";

/// The user's user id and group id, above those of Debian's accounts and below those of systemd.
pub const UID: u32 = 61_000;

/// Claude Code's file, below the home.
pub const LOGIN: &str = ".claude/.credentials.json";
/// The env file, below the home.
pub const ENV_FILE: &str = ".config/claude-auth-sync/claude-oauth.env";
/// The store's token, below the home.
pub const VAULT_TOKEN: &str = ".config/claude-auth-sync/vault-token";
/// The state directory, below the home.
pub const STATE: &str = ".local/state/claude-auth-sync";

/// The timeout of one command.
const COMMAND_TIMEOUT_SECONDS: &str = "60";

/// One user with the namespaces, which end when this value is dropped.
pub struct TestUser {
    anthropic: Option<FakeAnthropic>,
    namespaces: Namespaces,
    journal: Journal,
    folder: TempDir,
}

impl TestUser {
    /// Creates a user with a home of empty directories, the programs of the product, and a
    /// configuration that disables verification.
    ///
    /// # Panics
    /// Without root or a release build, or if the kernel refuses a step.
    pub fn create() -> Self {
        let (folder, mounts) = create_root_directory();
        let test_user = Self::in_directory(folder, mounts);
        test_user.configure("verify = false\n");
        test_user
    }

    /// As above, with the real `claude`, the simulated Anthropic servers, and the default
    /// configuration of the product except for the path of that client and the trust in the
    /// simulation.
    ///
    /// # Panics
    /// As [`TestUser::create`], and without the client.
    pub fn create_with_claude() -> Self {
        Self::create_with_claude_version(NEWEST)
    }

    /// As above, with the client of another version.
    ///
    /// # Panics
    /// As [`TestUser::create_with_claude`].
    pub fn create_with_claude_version(version: &str) -> Self {
        let (folder, mut mounts) = create_root_directory();
        let (client, authority) = (folder.path().join("bin/claude"), TlsAuthority::new("Anthropic"));
        fs::write(&client, "").expect("a place for the client");
        let source = installed(version).unwrap_or_else(|error| panic!("{error}"));
        mounts.push(Mount::Bind { source, target: client.clone() });
        let ca = authority.write_to(folder.path()).expect("its certificate is written");
        let hosts = format!("127.0.0.1 localhost {API_HOST} {PLATFORM_HOST}\n");
        fs::write(folder.path().join("etc/hosts"), hosts).expect("the hosts are written");
        let mut test_user = Self::in_directory(folder, mounts);
        let listener = test_user.inside(|| TcpListener::bind("127.0.0.1:443")).expect("a new network");
        test_user.anthropic = Some(FakeAnthropic::start(vec![listener], &authority));
        test_user.configure(&format!(
            "[claude]\nprogram = {client:?}\nenvironment = {{ NODE_EXTRA_CA_CERTS = {ca:?} }}\n"
        ));
        test_user
    }

    fn in_directory(folder: TempDir, mounts: Vec<Mount>) -> Self {
        let namespaces = Namespaces::new(mounts).expect("namespaces of our own");
        let journal = namespaces.run(Journal::listen);
        Self { anthropic: None, namespaces, journal, folder }
    }

    /// Returns the simulated Anthropic servers.
    ///
    /// # Panics
    /// If the user was created without it.
    pub fn anthropic(&self) -> &FakeAnthropic {
        self.anthropic.as_ref().expect("settled with claude")
    }

    /// Signs in for eight hours, and keeps the keys of other programs. Returns the content of the
    /// file.
    pub fn sign_in(&self) -> String {
        self.sign_in_as(NAME, 8)
    }

    /// As above, with tokens of this name whose `expiresAt` is this many hours from now.
    ///
    /// # Panics
    /// If the user was created without the simulation, or the file cannot be written.
    pub fn sign_in_as(&self, name: &str, hours: i64) -> String {
        let login = self.anthropic().sign_in(name, Duration::from_secs(8 * 3600));
        let mut file = parsed(&new_login("somebody"));
        file["claudeAiOauth"] = login.oauth_object(in_hours(hours));
        self.put(LOGIN, &file.to_string());
        file.to_string()
    }

    /// Returns the home directory.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Returns a path below the home.
    pub fn path(&self, below_home: &str) -> PathBuf {
        self.home().join(below_home)
    }

    /// Returns a directory for the test's files, mounted at the same path inside and accessible to
    /// every user.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes `/etc/claude-auth-sync/config.toml`.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn configure(&self, toml: &str) {
        fs::write(self.folder.path().join("etc/claude-auth-sync/config.toml"), toml).expect("written");
    }

    /// Starts a server with TLS in the network of the user.
    pub fn bao(&self) -> Bao {
        Bao::tls_behind(&self.namespaces.network_prefix())
    }

    /// Makes this server the store of the user: a policy, a token in the user's file, and the
    /// configuration.
    ///
    /// # Panics
    /// If the server refuses, or a file cannot be written.
    pub fn use_store(&self, bao: &Bao, policy: Policy) -> VaultUser {
        let vault_user = bao.create_user(NAME, policy);
        let ca = bao.ca_cert().expect("it is behind TLS");
        fs::copy(ca, self.folder.path().join("etc/claude-auth-sync/ca.pem")).expect("the CA is copied");
        self.set_store_url(bao.address());
        self.put(VAULT_TOKEN, &format!("{}\n", vault_user.token()));
        vault_user
    }

    /// As [`TestUser::use_store`], through a relay that counts the connections.
    ///
    /// # Panics
    /// As [`TestUser::use_store`].
    pub fn use_store_through_relay(&self, bao: &Bao, policy: Policy) -> (VaultUser, CountingRelay) {
        let vault_user = self.use_store(bao, policy);
        let server = bao.address().trim_start_matches("https://").parse().expect("address and port");
        let relay = self.inside(move || CountingRelay::start(server)).expect("a relay of our own");
        self.set_store_url(&format!("https://{}", relay.address()));
        (vault_user, relay)
    }

    /// Points the product at this URL.
    ///
    /// # Panics
    /// If the configuration cannot be written.
    pub fn set_store_url(&self, address: &str) {
        let ca =
            if address.starts_with("https:") { "ca_cert = \"/etc/claude-auth-sync/ca.pem\"\n" } else { "" };
        let text = format!("store = \"vault\"\n[vault]\naddress = \"{address}\"\n{ca}");
        fs::write(self.folder.path().join("etc/claude-auth-sync/conf.d/store.toml"), text).expect("written");
    }

    /// Replaces a file of the user, mode 0600.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn put(&self, below_home: &str, content: &str) {
        root_directory::put(&self.path(below_home), content.as_bytes())
            .unwrap_or_else(|error| panic!("{below_home}: {error}"));
    }

    /// Returns the content of a file of the user, or `None` if it does not exist.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn read(&self, below_home: &str) -> Option<Vec<u8>> {
        match fs::read(self.path(below_home)) {
            Ok(content) => Some(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => panic!("{below_home}: {error}"),
        }
    }

    /// Removes a file of the user, if it exists.
    pub fn remove(&self, below_home: &str) {
        // The file may not exist.
        let _ = fs::remove_file(self.path(below_home));
    }

    /// Runs `cas-sync run` as the user.
    pub fn sync(&self) -> Output {
        self.output(self.command(&self.program("cas-sync"), &["run"]))
    }

    /// Returns the path of a program of the product, or of `claude`, that every user can run.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.path().join("bin").join(name)
    }

    /// Returns a command of the user, with only a path in its environment.
    pub fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command_of_root(program, arguments);
        // With a new user id the standard library drops the supplementary groups too.
        command.uid(UID).gid(UID);
        command
    }

    /// Returns a command of root.
    pub fn command_of_root(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", COMMAND_TIMEOUT_SECONDS]).arg(program).args(arguments);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
        command
    }

    /// Runs a command inside, to its end. After a signal the code is 128 plus the signal's number,
    /// or `None`.
    ///
    /// # Panics
    /// If it cannot be started, or took longer than a minute.
    pub fn output(&self, mut command: Command) -> Output {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let what = format!("{command:?}");
        let child = self.namespaces.run(move || command.spawn()).unwrap_or_else(|e| panic!("{what}: {e}"));
        let output = child.wait_with_output().unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_ne!(output.status.code(), Some(124), "{what} did not end: {output:?}");
        output
    }

    /// As above, with these bytes on its standard input.
    ///
    /// # Panics
    /// As [`TestUser::output`].
    pub fn output_with_input(&self, mut command: Command, input: &[u8]) -> Output {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let what = format!("{command:?}");
        let mut child =
            self.namespaces.run(move || command.spawn()).unwrap_or_else(|e| panic!("{what}: {e}"));
        // A program that does not read its input closes the pipe; the test decides about that.
        drop(child.stdin.take().map(|mut pipe| pipe.write_all(input)));
        let output = child.wait_with_output().unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_ne!(output.status.code(), Some(124), "{what} did not end: {output:?}");
        output
    }

    /// Starts a program of the product as the user, at a terminal of this many columns.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run_at_terminal(&self, program: &str, arguments: &[&str], columns: u16) -> PseudoTerminal {
        let mut command = Command::new(self.program(program));
        command.args(arguments).env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
        let spawn = |mut session: Command| {
            session.uid(UID).gid(UID);
            self.namespaces.run(move || session.spawn())
        };
        PseudoTerminal::start(&command, columns, spawn).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Returns everything that was written to the journal so far.
    pub fn journal(&self) -> String {
        self.namespaces.run(Journal::send_marker);
        self.journal.until_marker()
    }

    /// Creates the user's request file, in place of the dispatcher.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn request_file(&self) -> RequestFile {
        let path = self.folder.path().join("run/claude-auth-requests").join(UID.to_string());
        fs::create_dir(path.parent().expect("a directory")).expect("the directory of root");
        mkfifo(&path, Mode::empty()).expect("a FIFO");
        let file = RequestFile(path);
        file.clear();
        lchown(&file.0, Some(UID), Some(0)).expect("the owner of the file");
        file
    }

    /// Returns a listener on a free port of the user's network.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn listen(&self) -> TcpListener {
        self.namespaces.run(|| TcpListener::bind("127.0.0.1:0")).expect("a free port")
    }

    /// Runs `job` in the namespaces of the user. It starts processes and does not wait.
    pub fn inside<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        self.namespaces.run(job)
    }

    /// Replaces the home by a copy of `template`, with owners, modes and times.
    ///
    /// # Panics
    /// If it cannot be copied.
    pub fn restore_home(&self, template: &Path) {
        root_directory::replace_tree(template, &self.home())
            .unwrap_or_else(|error| panic!("a new home: {error}"));
    }

    /// Copies the home, for [`TestUser::restore_home`].
    ///
    /// # Panics
    /// If it cannot be copied.
    pub fn save_home(&self, name: &str) -> PathBuf {
        let template = self.folder.path().join(name);
        root_directory::replace_tree(&self.home(), &template)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        template
    }
}

/// Creates a directory with all files of the namespaces. Returns it and the mounts.
fn create_root_directory() -> (TempDir, Vec<Mount>) {
    // Not in /tmp, which is a different directory inside.
    let folder =
        tempfile::Builder::new().prefix("resident.").tempdir_in("/var/tmp").expect("a scratch folder");
    root_directory::furnish(folder.path())
        .unwrap_or_else(|error| panic!("{}: {error}", folder.path().display()));
    let inside = |name| folder.path().join(name);
    let etc = Mount::Bind { source: inside("etc"), target: "/etc".into() };
    let tmp = Mount::Share { source: inside("tmp"), target: "/tmp".into() };
    let run = Mount::Share { source: inside("run"), target: "/run".into() };
    let var_lib = Mount::Share { source: inside("var-lib"), target: "/var/lib".into() };
    (folder, vec![etc, tmp, run, var_lib, Mount::Devices])
}

/// Gives a file of the test to the user, with mode 0600.
///
/// # Panics
/// If that fails.
pub fn give_to_user(path: &Path) {
    let given = chown(path, Some(UID), Some(UID));
    given
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o600)))
        .expect("its owner can be changed");
}

/// The request file of a user.
pub struct RequestFile(PathBuf);

impl RequestFile {
    /// Returns true if the user has requested a sync since the last call.
    ///
    /// # Panics
    /// If the file is missing.
    pub fn take(&self) -> bool {
        let is_requested = fs::symlink_metadata(&self.0).expect("the request file").mtime() != 0;
        self.clear();
        is_requested
    }

    fn clear(&self) {
        let epoch = TimeSpec::new(0, 0);
        utimensat(AT_FDCWD, &self.0, &epoch, &epoch, UtimensatFlags::NoFollowSymlink).expect("its time");
    }
}

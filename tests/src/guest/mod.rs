//! A real Debian with systemd, sshd, login, su, sudo and cron, booted for one scenario and removed
//! after it.
//!
//! A [`Guest`] is an overlay over a cached root filesystem in its own namespaces, with an isolated
//! network. `tests/setup/guest.sh` boots it and watches a pipe that only this process holds.
//! However the scenario ends, including a SIGKILL by the test runner, the guest is halted and
//! removed completely.
//!
//! A scenario requires real components. A missing one is a panic that names the remedy, never a
//! skipped test.

mod bus;
mod claude_guest;
mod command_result;
mod files;
mod hostile;
mod login;
mod name_service;
mod package;
mod product;
mod requests;
mod terminal;
mod terminal_setting;
mod vault_guest;

use std::{
    ffi::OsStr,
    fs,
    io::{self, BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

pub use claude_guest::{ClaudeGuest, is_cleared};
pub use command_result::CommandResult;
pub use files::{VARIABLE, env_file_path, login_path};
pub use package::PACKAGE;
pub use product::IDENTIFIER;
pub use terminal::Terminal;
pub use vault_guest::{VaultGuest, document_with};

/// The limit of each command of a scenario; it is killed then, and its exit code is 124 or 137.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// The Debian releases a guest can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// One booted guest. Dropping it halts and removes it; while a test panics, the end of its journal
/// is printed first.
#[derive(Debug)]
pub struct Guest {
    supervisor: Child,
    lifeline: Option<ChildStdin>,
    leader: u32,
    folder: PathBuf,
    key: PathBuf,
}

impl Guest {
    /// Boots a guest and waits until systemd reports that it runs, about a second.
    ///
    /// # Panics
    /// If no guest can be started; the text names what is missing.
    pub fn boot(suite: Suite) -> Self {
        Self::start(suite).unwrap_or_else(|error| panic!("no {} guest: {error}", suite.name()))
    }

    /// As [`Guest::boot`], for a program that reports a failure itself.
    ///
    /// # Errors
    /// If not run by root, if the root filesystem does not exist, or if the guest does not boot.
    pub fn start(suite: Suite) -> io::Result<Self> {
        Self::start_with_files(suite, &[])
    }

    /// As [`Guest::start`], with files of this host mounted in the guest: read-only, under another
    /// path, never copied.
    ///
    /// # Errors
    /// As [`Guest::start`].
    pub fn start_with_files(suite: Suite, files: &[(&Path, &str)]) -> io::Result<Self> {
        Self::start_on_layers(suite, None, files)
    }

    /// As [`Guest::start_with_files`], over a root filesystem in which this package is installed.
    fn start_on_layers(suite: Suite, package: Option<&Path>, files: &[(&Path, &str)]) -> io::Result<Self> {
        if !is_root() {
            return Err(io::Error::other("booting one needs root: sudo --preserve-env=PATH,HOME make test"));
        }
        let layers = match package {
            Some(package) => product_layers(suite, package)?,
            None => vec![prepared_folder(suite)?],
        };
        let prepared = layers.last().ok_or_else(|| io::Error::other("no root filesystem"))?;
        let roots: Vec<_> = layers.iter().map(|layer| layer.join("root").into_os_string()).collect();
        let mut supervisor = Command::new(setup_script("guest.sh"))
            .arg(roots.join(OsStr::new(":")))
            .arg(unused_name())
            .args(files.iter().map(|(file, path)| format!("--bind-ro={}:{path}", file.display())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0) // the test runner's signals are for the test; the pipe is for the supervisor
            .spawn()?;
        let lifeline = supervisor.stdin.take();
        let output = BufReader::new(supervisor.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?);
        let (mut folder, mut leader) = (None, None);
        for line in output.lines().take(2) {
            match line?.split_once(' ') {
                Some(("folder", path)) => folder = Some(PathBuf::from(path)),
                Some(("leader", number)) => leader = number.parse().ok(),
                _ => {}
            }
        }
        let (Some(folder), Some(leader)) = (folder, leader) else {
            let _reaped = supervisor.wait();
            return Err(io::Error::other("it did not boot; what it said on its console is above"));
        };
        let guest = Self { supervisor, lifeline, leader, folder, key: prepared.join("key") };
        guest.wait_until_running()?;
        if !guest.bus_answers() {
            return Err(io::Error::other("systemd and logind do not answer on its bus"));
        }
        Ok(guest)
    }

    /// Runs a shell script as root in the guest, outside of any login and of any unit.
    pub fn run(&self, script: &str) -> CommandResult {
        self.run_with_input(script, b"")
    }

    /// As [`Guest::run`], with bytes on the standard input of the script.
    pub fn run_with_input(&self, script: &str, input: &[u8]) -> CommandResult {
        let mut command = self.inside();
        command.args(["sh", "-c", script]);
        CommandResult::run(command, input)
    }

    /// Runs a shell script as root in a transient service of the guest: its own cgroup, a service's
    /// environment.
    pub fn unit(&self, script: &str) -> CommandResult {
        let mut command = self.inside();
        command.args(["systemd-run", "--quiet", "--pipe", "--wait", "--collect", "sh", "-c"]);
        // systemd expands `${NAME}` itself; the variables belong to the script.
        command.arg(script.replace('$', "$$"));
        CommandResult::run(command, b"")
    }

    /// Returns the messages of one syslog identifier in the guest's journal, one per line, oldest
    /// first.
    pub fn journal(&self, identifier: &str) -> String {
        self.run(&format!(
            "journalctl --sync; journalctl --quiet --no-pager --output=cat --identifier='{identifier}'"
        ))
        .text()
    }

    /// Returns the bytes of a file in the guest, read as root, or `None` if it does not exist.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        if let Ok(bytes) = self.read_from_host(path) {
            return Some(bytes);
        }
        let read = self.run(&format!("cat '{path}'"));
        read.succeeded().then_some(read.stdout)
    }

    /// Reads a file without a process in the guest. /proc depends on the process that reads it.
    fn read_from_host(&self, path: &str) -> io::Result<Vec<u8>> {
        if path.starts_with("/proc") {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let root = fs::File::open(format!("/proc/{}/root", self.leader))?;
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT);
        let mut file = fs::File::from(openat2(&root, path, how)?);
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes a file in the guest with this owner (user and group of one name) and octal mode; its
    /// directory must exist.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, path: &str, owner: &str, mode: &str, bytes: &[u8]) {
        self.write_after("true", path, owner, mode, bytes);
    }

    /// As [`Guest::write`], after a shell command that creates the directory.
    #[track_caller]
    fn write_after(&self, preparation: &str, path: &str, owner: &str, mode: &str, bytes: &[u8]) {
        self.run_with_input(
            &format!(
                "{preparation} && install -m {mode} -o {owner} -g {owner} /dev/stdin '{path}.new' && exec mv '{path}.new' '{path}'"
            ),
            bytes,
        )
        .expect_success("writing a file in the guest");
    }

    /// Puts a program of this machine into the guest.
    ///
    /// # Panics
    /// If it cannot be copied.
    #[track_caller]
    pub fn install_program(&self, program: &Path, path: &str) {
        self.copy_in(program, path);
        self.run(&format!("chmod 755 '{path}'")).expect_success("making it a program");
    }

    #[track_caller]
    fn copy_in(&self, file: &Path, path: &str) {
        let inside = format!("/proc/{}/root{path}", self.leader);
        let mut install = Command::new("install");
        install.args(["-D", "-m", "644"]).arg(file).arg(inside);
        CommandResult::run(install, b"").expect_success("copying a file into the guest");
    }

    /// Returns the command prefix that gives a command of this host the network of the guest, such
    /// as for a server on the guest's loopback.
    pub fn network_prefix(&self) -> Vec<String> {
        ["nsenter", &format!("--target={}", self.leader), "--net", "--"].map(str::to_owned).to_vec()
    }

    /// Returns the process id, on this host, of the process that has the namespaces of the guest.
    pub fn leader(&self) -> u32 {
        self.leader
    }

    /// Clears a directory below /run as a reboot does, and applies tmpfiles.d. (A real reboot would
    /// end PID 1, and with it the guest.)
    pub fn apply_tmpfiles_as_after_reboot(&self, folder: &str) {
        self.run(&format!(
            "rm -rf '{folder}' && systemctl start local-fs.target && systemd-tmpfiles --create"
        ))
        .expect_success("applying tmpfiles.d");
    }

    fn wait_until_running(&self) -> io::Result<()> {
        let mut state = String::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        // The socket of systemctl appears a little after PID 1.
        let socket = format!("/proc/{}/root/run/systemd/private", self.leader);
        while Instant::now() < deadline {
            if !Path::new(&socket).exists() {
                thread::sleep(Duration::from_millis(10));
                continue;
            }
            let requests = self.run("exec systemctl is-system-running --wait");
            state = requests.text();
            match state.trim() {
                "running" => return Ok(()),
                "degraded" => {
                    let failed = self.run("systemctl --failed --no-legend").text();
                    return Err(io::Error::other(format!("units failed at boot: {failed}")));
                }
                _ => thread::sleep(Duration::from_millis(20)),
            }
        }
        Err(io::Error::other(format!("after a minute it is still {:?}", state.trim())))
    }

    /// Returns the beginning of a command that runs as root in all namespaces of the guest, with a
    /// minimal environment.
    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.leader))
            .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"])
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .envs([("HOME", "/root"), ("LANG", "C.UTF-8"), ("DEBIAN_FRONTEND", "noninteractive")]);
        command
    }

    fn print_diagnostics(&self) {
        let console = fs::read_to_string(self.folder.join("console.log")).unwrap_or_default();
        let journal =
            self.run("journalctl --sync; journalctl --no-pager --output=short-precise --lines=150").text();
        eprintln!("--- console of the guest\n{console}--- end of the guest's journal\n{journal}---");
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if thread::panicking() {
            self.print_diagnostics();
        }
        drop(self.lifeline.take());
        // Bounded by the supervisor's own limits: ten seconds to halt, five for each hierarchy of
        // control groups.
        let _reaped = self.supervisor.wait();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn prepared_folder(suite: Suite) -> io::Result<PathBuf> {
    let requests = Command::new(setup_script("rootfs.sh")).args(["--where", suite.name()]).output()?;
    if !requests.status.success() {
        return Err(io::Error::other("its root filesystem is missing or out of date: run `make test-deps`"));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&requests.stdout).trim_end()))
}

/// Returns the layer with the package and the root filesystem below it. Makes the layer when it is
/// missing, which takes some seconds.
fn product_layers(suite: Suite, package: &Path) -> io::Result<Vec<PathBuf>> {
    let requests = Command::new(setup_script("product-layer.sh"))
        .arg(suite.name())
        .arg(package)
        .stderr(Stdio::inherit())
        .output()?;
    if !requests.status.success() {
        return Err(io::Error::other("the package could not be installed in it; the reason is above"));
    }
    Ok(String::from_utf8_lossy(&requests.stdout).lines().map(PathBuf::from).collect())
}

fn unused_name() -> String {
    static BOOTED: AtomicU32 = AtomicU32::new(0);
    format!("cas-{}-{}", std::process::id(), BOOTED.fetch_add(1, Ordering::Relaxed))
}

fn setup_script(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("setup").join(script)
}

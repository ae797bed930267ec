//! Reads processes from `/proc`. They start and end during the scan, and can have any name: what
//! cannot be read is skipped.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cas_core::credential::fingerprint::Fingerprint;
use cas_protocol::setup_token::VARIABLE;
use zeroize::Zeroizing;

/// Limits an environment, in bytes. The kernel's default limit is smaller (a quarter of the stack).
const MAX_ENVIRONMENT: u64 = 8 << 20;

/// Limits what is read of a command line, a name or a cgroup, in bytes.
const MAX_TEXT: u64 = 4 << 10;

/// A process of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) id: u32,
    /// Its own name, unmodified: at most 15 bytes of any value.
    pub(super) name: String,
    /// The name of the program's file.
    pub(super) program: String,
    /// The fingerprint of the token in its initial environment; `None` if the variable is missing
    /// or empty.
    pub(super) token: Option<Fingerprint>,
    /// True if it belongs to the supervisor of background sessions (`claude --bg`).
    pub(super) is_background: bool,
    /// Its path in the cgroup hierarchy of systemd; may be empty.
    pub(super) group: String,
}

/// Returns all processes of this uid with a readable environment, ordered by id.
pub(super) fn processes_of(uid: u32) -> Vec<Process> {
    scan(Path::new("/proc"), uid)
}

fn scan(processes: &Path, uid: u32) -> Vec<Process> {
    let entries = fs::read_dir(processes).into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<Process> = ids.filter_map(|id| read_process(processes, id, uid)).collect();
    found.sort_by_key(|process| process.id);
    found
}

fn read_process(processes: &Path, id: u32, uid: u32) -> Option<Process> {
    let folder = processes.join(id.to_string());
    if fs::metadata(&folder).ok()?.uid() != uid {
        return None;
    }
    let environment = environment(&folder.join("environ"))?;
    let text = |name: &str| read_start(&folder.join(name));
    Some(Process {
        id,
        name: text("comm").trim_end_matches('\n').to_owned(),
        program: program(&folder),
        token: token_in(&environment),
        is_background: is_background(&text("cmdline")),
        group: group(&text("cgroup")),
    })
}

/// Returns the start of a file of the kernel. A process can give its command line any length, at no
/// cost of its own.
fn read_start(path: &Path) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_TEXT).read_to_end(&mut bytes));
    read.map(|_| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn environment(path: &PathBuf) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(1 << 14));
    File::open(path).ok()?.take(MAX_ENVIRONMENT).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Returns the token as Claude Code reads it: trimmed, and blank counts as unset.
fn token_in(environment: &[u8]) -> Option<Fingerprint> {
    let variables = environment.split(|byte| *byte == 0);
    let value =
        variables.filter_map(|line| line.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"=")).next()?;
    let value = std::str::from_utf8(value).ok()?.trim();
    (!value.is_empty()).then(|| Fingerprint::from_bytes(value))
}

/// Returns true for the command lines of the supervisor, of its terminal hosts and of its spare
/// sessions. Other background sessions have the environment of their terminal host.
fn is_background(command_line: &str) -> bool {
    let mut arguments = command_line.split('\0').skip(1);
    let first = arguments.next().unwrap_or_default();
    let is_own_option = |argument: &str| matches!(argument, "--bg-pty-host" | "--bg-spare");
    // The client replaces its title: the name and the role are then one argument.
    let title = command_line.split('\0').next().unwrap_or_default();
    is_own_option(first)
        || first == "daemon" && arguments.next() == Some("run")
        || ["claude bg-pty-host", "claude bg-spare", "claude daemon run"]
            .iter()
            .any(|role| title.starts_with(role))
}

fn program(folder: &Path) -> String {
    let path = fs::read_link(folder.join("exe")).unwrap_or_default();
    // The kernel adds this to a removed file, such as after an update.
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned()
}

/// Returns the path in systemd's hierarchy, which is the line without controllers (cgroups(7)).
fn group(membership: &str) -> String {
    let mut lines = membership.lines().filter_map(|line| line.split_once("::").map(|(_, path)| path));
    lines.next_back().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn token_is_read_from_its_variable_only() {
        let value = "sk-ant-oat01-abc";
        for (environment, expected) in [
            (format!("A=b\0{VARIABLE}={value}\0"), true),
            (format!("{VARIABLE}={value}\n\0"), true),
            (format!("{VARIABLE}={value}"), true),
            (format!("X{VARIABLE}={value}\0"), false),
            (format!("{VARIABLE}_FILE_DESCRIPTOR=3\0{VARIABLE}=\0"), false),
            (format!("{VARIABLE}= \0"), false),
            (String::new(), false),
        ] {
            let found = token_in(environment.as_bytes());
            assert_eq!(found, expected.then(|| Fingerprint::from_bytes(value)), "{environment:?}");
        }
        assert_eq!(token_in(b"\xff\xfe=\0CLAUDE_CODE_OAUTH_TOKEN=\xff\0"), None);
    }

    #[test]
    fn own_process_is_found_with_initial_environment() {
        let mut child = Command::new("sleep")
            .arg("60")
            .env_clear()
            .env(VARIABLE, "sk-ant-oat01-in_a_test")
            .stdout(Stdio::null())
            .spawn()
            .expect("a process");
        let uid = nix::unistd::Uid::effective().as_raw();
        // Between fork(2) and execve(2) the child is still a copy of this process.
        let seen = (0..200).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            processes_of(uid)
                .into_iter()
                .find(|process| process.id == child.id() && process.program == "sleep")
        });
        child.kill().expect("an own process");
        child.wait().expect("it has ended");
        let seen = seen.expect("it was there");
        assert_eq!(seen.token, Some(Fingerprint::from_bytes("sk-ant-oat01-in_a_test")));
        assert_eq!(seen.name, "sleep");
        assert!(processes_of(uid).iter().all(|process| process.id != child.id()), "it has ended");
    }

    #[test]
    fn ended_and_foreign_processes_are_skipped() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let uid = nix::unistd::Uid::effective().as_raw();
        let make = |id: &str| {
            let folder = scratch.path().join(id);
            fs::create_dir(&folder).expect("a folder");
            folder
        };
        make("1"); // no environment any more
        let complete = make("2");
        fs::write(complete.join("environ"), format!("{VARIABLE}=x\0")).expect("a file");
        fs::write(complete.join("comm"), "a\u{1b}[31m\n").expect("a file");
        symlink("/opt/claude (deleted)", complete.join("exe")).expect("a link");
        fs::write(complete.join("cgroup"), "1:name=x:/other\n0::/user.slice/x.scope\n").expect("a file");
        make("self");
        let found = scan(scratch.path(), uid);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].id, found[0].program.as_str()), (2, "claude"));
        assert_eq!(found[0].group, "/user.slice/x.scope");
        assert!(scan(scratch.path(), uid + 1).is_empty());
    }

    #[test]
    fn only_the_start_of_a_long_command_line_is_read() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = scratch.path().join("cmdline");
        fs::write(&path, "x".repeat(1 << 20)).expect("a file");
        assert_eq!(read_start(&path).len() as u64, MAX_TEXT);
    }

    #[test]
    fn supervisor_of_background_sessions_is_known_by_its_command_line() {
        for (command_line, expected) in [
            ("/usr/bin/claude\0daemon\0run\0--origin\0transient\0", true),
            ("claude bg-pty-host\0--bg-pty-host\0/tmp/x.sock\0", true),
            ("claude bg-spare --bg-spare /tmp/x.sock", true),
            ("/usr/bin/claude\0-p\0daemon run --bg-spare\0", false),
            ("/usr/bin/claude\0daemon\0status\0", false),
            ("claude\0", false),
            ("", false),
        ] {
            assert_eq!(is_background(command_line), expected, "{command_line:?}");
        }
    }

    #[test]
    fn many_processes_are_scanned() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        for id in 1..=1000 {
            let folder = scratch.path().join(id.to_string());
            fs::create_dir(&folder).expect("a folder");
            fs::write(folder.join("environ"), "A=b\0").expect("a file");
        }
        let found = scan(scratch.path(), nix::unistd::Uid::effective().as_raw());
        assert_eq!(found.len(), 1000);
        assert!(found.is_sorted_by_key(|process| process.id));
    }
}

//! The programs have secrets in memory: a crash writes no dump, and no other program of the user
//! can read the memory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use cas_protocol::deadline::Deadline;
use cas_tests::anthropic::MessageAnswer;
use cas_tests::test_user::{LOGIN, NAME, TestUser, UID, VAULT_TOKEN};
use cas_tests::vault_fake::{Fault, VaultFake};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::canaries::{Canaries, Secret};

const LIMIT: Duration = Duration::from_secs(30);

/// A program at work, with unlimited core dumps of the caller, into `/tmp` of its namespace.
struct ActiveRun<'world> {
    test_user: &'world TestUser,
    child: Child,
}

impl<'world> ActiveRun<'world> {
    fn start(test_user: &'world TestUser, vault_user: &str, command: &str) -> Self {
        let script = format!("ulimit -c unlimited; cd /tmp; exec {vault_user} {command}");
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &script]).env_clear().env("PATH", "/usr/bin:/bin");
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = test_user.inside(move || shell.spawn()).expect("it starts");
        Self { test_user, child }
    }

    fn process(&self) -> PathBuf {
        format!("/proc/{}", self.child.id()).into()
    }

    /// Returns whether another process of the same user can read this file of the process.
    fn is_readable(&self, file: &str) -> bool {
        let path = self.process().join(file).display().to_string();
        let output = self.test_user.output(self.test_user.command("cat".as_ref(), &[&path]));
        output.status.success()
    }

    fn crash(mut self) -> ExitStatus {
        kill(pid(&self.child), Signal::SIGABRT).expect("it is there");
        self.child.wait().expect("it ends")
    }

    /// Files in `/tmp` that were not there before: only dumps are written there.
    fn dumps(test_user: &TestUser) -> Vec<PathBuf> {
        let entries = fs::read_dir(test_user.folder().join("tmp")).expect("it is there");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
}

fn core_limit(process: &std::path::Path) -> String {
    let limits = fs::read_to_string(process.join("limits")).expect("its limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("a line of it");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "{what} never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn process_cannot_be_dumped_or_traced_during_a_request() {
    let canaries = Canaries::new();
    let test_user = TestUser::create();
    let fake = test_user.inside(|| VaultFake::start(NAME));
    test_user.set_store_url(&fake.address());
    test_user.put(VAULT_TOKEN, &format!("{}\n", canaries.text(Secret::VaultToken)));
    fake.fail("secret/data", Fault::Silence);
    let as_user = format!("setpriv --reuid={UID} --regid={UID} --clear-groups");
    let sync = format!("{} run", test_user.program("cas-sync").display());
    let login = format!(
        "{} login --reply=1 --deadline-ms=30000 --user {NAME}",
        test_user.program("cas-session").display()
    );
    for (vault_user, command) in [(as_user.as_str(), sync.as_str()), ("", login.as_str())] {
        test_user.put(LOGIN, &cas_tests::claude_login::new_login(canaries.core(Secret::Login)));
        test_user.remove(".local/state/claude-auth-sync/store-contact.json");
        let asked = || fake.lines().iter().filter(|line| line.contains("secret/data")).count();
        let before = asked();
        let program = ActiveRun::start(&test_user, vault_user, command);
        wait_until(command, || asked() > before);
        let status = fs::read_to_string(program.process().join("status")).expect("its status");
        assert!(status.contains(&format!("Uid:\t{UID}\t{UID}\t{UID}\t{UID}\n")), "{command}: {status}");
        assert_eq!(fs::metadata(program.process().join("mem")).expect("there").uid(), 0, "{command}");
        for file in ["mem", "environ", "maps"] {
            assert!(!program.is_readable(file), "{command}: {file} can be read by others");
        }
        assert_eq!(core_limit(&program.process()), "0 0 bytes", "{command}");
        let ended = program.crash();
        assert_eq!((ended.signal(), ended.core_dumped()), (Some(6), false), "{command}");
        assert_eq!(ActiveRun::dumps(&test_user), Vec::<PathBuf>::new(), "{command}");
    }

    // As above, with an unprotected program, to show that this machine writes dumps and allows
    // access.
    let careless = ActiveRun::start(&test_user, &as_user, "/bin/sleep 60");
    wait_until("sleep", || {
        fs::read_link(careless.process().join("exe")).is_ok_and(|exe| exe.ends_with("sleep"))
    });
    assert!(careless.is_readable("environ"));
    assert!(careless.crash().core_dumped(), "without that this test shows nothing");
}

/// The product does not control the memory of the client, but the client inherits the limit of core
/// dumps.
#[test]
fn client_process_cannot_be_dumped() {
    let test_user = TestUser::create_with_claude();
    test_user.sign_in();
    let file =
        cas_tests::claude_login::parsed(&String::from_utf8_lossy(&test_user.read(LOGIN).expect("there")));
    let token = file["claudeAiOauth"]["accessToken"].as_str().expect("a token").to_owned();
    test_user.anthropic().answer_messages(&token, Some(MessageAnswer::Silence));
    let as_user = format!("setpriv --reuid={UID} --regid={UID} --clear-groups");
    let sync =
        ActiveRun::start(&test_user, &as_user, &format!("{} run", test_user.program("cas-sync").display()));
    assert!(test_user.anthropic().wait_for(&Deadline::after(LIMIT), |request| request.is_message()));
    let children = sync.process().join(format!("task/{}/children", sync.child.id()));
    let client = fs::read_to_string(children).expect("its children");
    let client = PathBuf::from(format!("/proc/{}", client.trim()));
    assert!(
        fs::read_link(client.join("exe")).is_ok_and(|exe| exe.ends_with("claude")),
        "{}",
        client.display()
    );
    assert_eq!(core_limit(&client), "0 0 bytes");
    // The sync ends when its client does.
    let client: i32 = client.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a process id");
    kill(Pid::from_raw(client), Signal::SIGKILL).expect("it is there");
    let ActiveRun { mut child, .. } = sync;
    assert!(child.wait().expect("it ends").code().is_some());
}

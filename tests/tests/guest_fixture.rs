//! The guest itself, without the product: every login method is the real one, and nothing of a
//! guest outlives its scenario.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use cas_tests::guest::{Guest, Suite};

/// What a login session of systemd looks like from inside.
const SESSION: &str = "user.slice/user-1000.slice/session-";

#[test]
fn user_logs_in_by_ssh_console_su_and_sudo_on_bookworm() {
    check_every_login_method(Suite::Bookworm);
}

#[test]
fn user_logs_in_by_ssh_console_su_and_sudo_on_trixie() {
    check_every_login_method(Suite::Trixie);
}

fn check_every_login_method(suite: Suite) {
    let guest = Guest::boot(suite);

    let status_over_ssh = guest.ssh("alice", "id -un; cat /proc/self/cgroup").expect_success("ssh").text();
    assert!(status_over_ssh.starts_with("alice\n") && status_over_ssh.contains(SESSION), "{status_over_ssh}");

    let mut terminal = guest.ssh_terminal("alice");
    terminal.wait_for("$ ");
    assert_eq!(terminal.at_prompt("id -un"), "alice\n");
    terminal.type_line("su - bob");
    terminal.wait_for("Password: ");
    terminal.type_line("bob-password");
    terminal.wait_for("$ ");
    assert_eq!(terminal.at_prompt("id -un; pwd"), "bob\n/home/bob\n");
    terminal.leave_inner_shell();
    assert_eq!(terminal.at_prompt("id -un"), "alice\n");
    terminal.leave();

    let mut console = guest.console("bob");
    let seen = console.at_prompt("id -un; tty; cat /proc/self/cgroup");
    assert!(seen.starts_with("bob\n/dev/pts/") && seen.contains("user-1001.slice/session-"), "{seen}");
    console.leave();

    assert_eq!(guest.ssh("alice", "sudo -u bob id -un").expect_success("sudo").text(), "bob\n");
    assert_eq!(guest.ssh("carol", "echo $ZSH_VERSION").expect_success("zsh").stdout.first(), Some(&b'5'));
    assert_eq!(guest.unit("su alice -c 'id -un'").expect_success("su").text(), "alice\n");
}

/// Without the answer of the bus a login waits for 25 seconds, and has no session.
#[test]
fn scenario_starts_only_when_the_bus_answers_on_bookworm() {
    check_bus_before_scenario(Suite::Bookworm);
}

#[test]
fn scenario_starts_only_when_the_bus_answers_on_trixie() {
    check_bus_before_scenario(Suite::Trixie);
}

fn check_bus_before_scenario(suite: Suite) {
    let guest = Guest::boot(suite);
    let state = || guest.run("ps -o state= -p $(pgrep -xo dbus-daemon)").text();
    guest
        .run("bus=$(pgrep -xo dbus-daemon); kill -STOP $bus; setsid sh -c \"sleep 2; kill -CONT $bus\" </dev/null >/dev/null 2>&1 &")
        .expect_success("holding the bus up for two seconds");
    assert_eq!(state(), "T\n");
    guest.wait_for_bus();
    assert_ne!(state(), "T\n");
    let status_over_ssh = guest.ssh("alice", "cat /proc/self/cgroup").expect_success("ssh").text();
    assert!(status_over_ssh.contains(SESSION), "{status_over_ssh}");
}

#[test]
fn cron_runs_a_job_of_alice() {
    let guest = Guest::boot(Suite::Bookworm);
    guest.write("/etc/cron.d/scenario", "root", "644", b"* * * * * alice id -un >/tmp/cron.out\n");
    let deadline = Instant::now() + Duration::from_secs(90);
    while guest.read("/tmp/cron.out").as_deref() != Some(b"alice\n") {
        assert!(Instant::now() < deadline, "cron did not run the job");
        thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn two_guests_run_concurrently() {
    let (first, second) = (Guest::boot(Suite::Bookworm), Guest::boot(Suite::Trixie));
    first.write("/tmp/whose", "root", "644", b"first\n");
    assert_eq!(second.read("/tmp/whose"), None);
    assert_eq!(first.ssh("alice", "cat /tmp/whose").text(), "first\n");
    drop(first);
    second.ssh("alice", "true").expect_success("ssh to the second guest");
}

#[test]
fn guest_ends_when_its_test_is_killed() {
    let mut orphaned =
        Command::new(env!("CARGO_BIN_EXE_orphaned-guest")).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(orphaned.stdout.take().unwrap());
    let leader = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.split_once("leader=").map(|(_, number)| number.trim().to_owned()))
        .expect("it booted a guest");
    let leader = PathBuf::from("/proc").join(leader);
    assert!(leader.exists());
    let folders = booted_guests(orphaned.id());
    assert_eq!(folders.len(), 1, "{folders:?}");

    orphaned.kill().unwrap(); // SIGKILL, as after a time-out
    orphaned.wait().unwrap();

    let deadline = Instant::now() + Duration::from_secs(30);
    while leader.exists() || !booted_guests(orphaned.id()).is_empty() {
        assert!(Instant::now() < deadline, "the guest is still there: {:?}", booted_guests(orphaned.id()));
        thread::sleep(Duration::from_millis(50));
    }
}

/// Returns the directories of the guests that this process has booted, and their control groups
/// once the directories are removed.
fn booted_guests(process: u32) -> Vec<PathBuf> {
    let name = format!("cas-{process}-");
    let places = ["/var/tmp/claude-auth-sync-guests", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
    places
        .iter()
        .map(|place| {
            let entries = Path::new(place).read_dir().into_iter().flatten().flatten();
            entries
                .map(|entry| entry.path())
                .filter(|path| path.to_string_lossy().contains(&name))
                .collect::<Vec<_>>()
        })
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

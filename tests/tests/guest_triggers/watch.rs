//! The watcher in its unit. (Other suites test what it does, and how fast.)

use cas_tests::claude_login::{cleared_login, new_login, parsed};
use cas_tests::guest::{Guest, Suite};

use super::{failed, home, host, property, wait_until};

const USERS: [(&str, &str); 2] = [("dora", "--base-dir /srv/people --gid games"), ("jean-luc", "")];

#[test]
fn watcher_restores_an_overwritten_login_on_bookworm() {
    check_watcher_in_its_unit(Suite::Bookworm);
}

#[test]
fn watcher_restores_an_overwritten_login_on_trixie() {
    check_watcher_in_its_unit(Suite::Trixie);
}

fn check_watcher_in_its_unit(suite: Suite) {
    let guest = host(suite, &[]);
    for (user, options) in USERS {
        guest
            .run(&format!("mkdir -p /srv/people; useradd --create-home {options} {user} && runuser -u {user} -- mkdir -m 700 $(getent passwd {user} | cut -d: -f6)/.claude"))
            .expect_success("useradd");
        guest.enroll(user);
        let unit = format!("claude-auth-watch@{user}.service");
        is_managed(&guest, user, user);
        assert_eq!(property(&guest, &unit, "NRestarts"), "0");
        guest.stop_watch(user);
        assert_eq!(property(&guest, &unit, "Result"), "success");
    }
    assert_eq!(failed(&guest), "");
}

/// Between the start and the call that disables tracing: the watcher has a priority that users do
/// not get.
#[test]
fn user_code_cannot_run_in_the_watcher() {
    let guest = host(Suite::Bookworm, &[]);
    guest.enroll("alice");
    let process = property(&guest, "claude-auth-watch@alice.service", "MainPID");
    assert_eq!(guest.run(&format!("ps -o ni= -p {process}")).text().trim(), "-10");
    // Unprotected programs, blocked during their work by a full pipe. A login raises the limits of
    // `cas-session`.
    for program in ["cas-sync", "cas-session"] {
        guest
            .run(&format!("systemd-run --quiet --collect --unit=held-{program} --uid=bob sh -c '(head -c 65536 /dev/zero; exec {program} --help) | sleep 600'"))
            .expect_success("a program of alice");
        let process = || guest.run(&format!("pgrep -u bob -x {program}")).text().trim().to_owned();
        wait_until("it runs", || !process().is_empty());
        // The kernel gives root what belongs to a process that must not be traced (proc(5)).
        let owner = guest.run(&format!("stat -c %U /proc/{}/mem", process())).text();
        assert_eq!(owner.trim(), "root", "{program}");
    }
}

/// The lock of a watcher is a name that any user can take first.
#[test]
fn watcher_starts_although_another_user_holds_its_lock_name() {
    check_watcher_with_held_lock_names("listen($s, 9);");
}

/// The connection to such a name is refused, as to a watcher that has ended meanwhile.
#[test]
fn watcher_starts_although_its_lock_name_is_only_bound() {
    check_watcher_with_held_lock_names("");
}

/// Another user binds every lock name, and does this with each socket.
fn check_watcher_with_held_lock_names(then: &str) {
    let guest = host(Suite::Bookworm, &["bob"]);
    guest
        .run("runuser -u alice -- mkdir -m 700 /home/alice/.claude")
        .expect_success("the directory of the login");
    let hold = format!(
        "use Socket; for my $n (0 .. 99) {{ socket(my $s, PF_UNIX, SOCK_STREAM, 0); \
         bind($s, sockaddr_un(\"\\0claude-auth-sync/watch/1000/$n\")) or die; {then} push @held, $s }} sleep 600"
    );
    guest
        .run(&format!("systemd-run --quiet --collect --unit=holds --uid=bob perl -e '{hold}'; sleep 1; systemctl is-active holds"))
        .expect_success("every name is taken");
    guest.enroll("alice");
    is_managed(&guest, "alice", "in-spite-of-bob");
}

/// The unit of the watcher gives it a priority that users do not get.
#[test]
fn push_of_the_unit_has_the_usual_priority() {
    let guest = host(Suite::Bookworm, &[]);
    guest.configure("store = \"vault\"\n[vault]\naddress = \"http://127.0.0.1:8299\"\n");
    let silent = "use IO::Socket::INET; my $l = IO::Socket::INET->new(LocalAddr => \"127.0.0.1:8299\", Listen => 9) or die; \
                  push @held, $l->accept while 1";
    guest
        .run(&format!("systemd-run --quiet --collect --unit=silent perl -e '{silent}'; sleep 1; systemctl is-active silent"))
        .expect_success("a store that never answers");
    guest.put_vault_token("alice", "hvs.of-alice");
    // A user could trace a program that they can read, while it has the priority of the watcher.
    guest.run("chmod 700 /usr/bin/nice").expect_success("a program that alice cannot start");
    guest.enroll("alice");
    wait_until("the first sync", || super::is_inactive(&guest, "alice"));
    let watcher = property(&guest, "claude-auth-watch@alice.service", "MainPID");
    guest.put_login("alice", &new_login("pushed"));
    // It has lowered its priority before it opens a connection.
    let child = || {
        let find =
            "for p in $(pgrep -P WATCHER); do ls -l /proc/$p/fd | grep -q socket: && echo $p; done; true";
        guest.run(&find.replace("WATCHER", &watcher)).text().trim().to_owned()
    };
    wait_until("a push", || !child().is_empty());
    let push = child();
    let seen = guest.run(&format!("ps -o ni=,comm= -p {push}; stat -c %U /proc/{push}/mem")).text();
    assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), ["0", "cas-sync", "root"], "{seen}");
}

/// An encrypted home, or one of a file server, that is mounted with the first session. Until then
/// there is an empty directory.
#[test]
fn home_mounted_later_is_watched_once_mounted() {
    let guest = host(Suite::Bookworm, &[]);
    guest.run("useradd --create-home dora").expect_success("useradd");
    guest.enroll("dora");
    wait_until("it watches what is there", || watches(&guest, "dora", "/home/dora"));
    let mount = "mount -t tmpfs -o mode=700,uid=$(id -u dora),gid=$(id -g dora) tmpfs";
    guest
        .run(&format!("{mount} /mnt && runuser -u dora -- mkdir -m 700 /mnt/.claude"))
        .expect_success("the home");

    guest.run("mount --bind /mnt /home/dora").expect_success("the first session");

    is_managed(&guest, "dora", "one");
    // Another home is mounted over that one, and unmounted.
    guest
        .run(&format!("{mount} /home/dora && runuser -u dora -- mkdir -m 700 /home/dora/.claude"))
        .expect_success("another");
    is_managed(&guest, "dora", "two");
    guest.run("umount /home/dora").expect_success("the end of the session");
    is_managed(&guest, "dora", "three");
    assert_eq!(property(&guest, "claude-auth-watch@dora.service", "NRestarts"), "0");
}

/// Until then there is an empty directory of root. Nothing is created in it, because the home would
/// hide it.
#[test]
fn mountpoint_stays_empty_until_the_home_is_mounted() {
    let guest = host(Suite::Bookworm, &[]);
    guest.run("useradd --no-create-home dora && mkdir /home/dora").expect_success("useradd");
    guest.enroll("dora");
    wait_until("it waits for the home", || watches(&guest, "dora", "/home/dora"));
    guest.run("systemctl start claude-auth-sync@dora.service").expect_success("a sync");
    assert_eq!(guest.run("ls -A /home/dora").text(), "");
    guest
        .run("mount -t tmpfs -o mode=700,uid=$(id -u dora),gid=$(id -g dora) tmpfs /mnt && runuser -u dora -- mkdir -m 700 /mnt/.claude")
        .expect_success("the home");
    for session in ["first", "second"] {
        guest.run("mount --bind /mnt /home/dora").expect_success(session);
        wait_until("it is watched", || watches(&guest, "dora", "/home/dora/.claude"));
        is_managed(&guest, "dora", session);
        wait_until("no sync", || super::is_inactive(&guest, "dora"));
        // An encrypted home must be closed again.
        guest.run("umount /home/dora").expect_success("the end of the session");
        wait_until("it waits for the home", || watches(&guest, "dora", "/home/dora"));
        assert_eq!(guest.run("ls -A /home/dora").text(), "");
    }
    assert_eq!(property(&guest, "claude-auth-watch@dora.service", "NRestarts"), "0");
}

/// A user who was deleted, or whom a directory server does not know for a while.
#[test]
fn watcher_of_a_missing_user_fails_and_starts_again_later() {
    let guest = host(Suite::Bookworm, &[]);
    let watch = "claude-auth-watch@dora.service";
    guest.run("useradd --create-home --uid 1500 dora").expect_success("useradd");
    guest.enroll("dora");
    let minutes = |name| -> u32 {
        let text = property(&guest, watch, name);
        text.strip_suffix("min").and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"))
    };
    let burst: u32 = property(&guest, watch, "StartLimitBurst").parse().expect("a number");
    assert!(minutes("RestartUSec") * burst < minutes("StartLimitIntervalUSec"), "or it never gives up");
    // As above, without the minutes.
    guest
        .run("d=/run/systemd/system/claude-auth-watch@.service.d; mkdir $d && printf '[Service]\\nRestartSec=100ms\\n' >$d/soon.conf && systemctl daemon-reload")
        .expect_success("a drop-in");
    guest.run("userdel --force dora 2>/dev/null; ! getent passwd dora").expect_success("deleting dora");
    guest.run(&format!("systemctl restart {watch}"));
    wait_until("it has given up", || property(&guest, watch, "ActiveState") == "failed");

    guest.run("useradd --no-create-home --uid 1500 dora").expect_success("creating dora again");
    guest.run(&format!("systemctl reset-failed {watch}")).expect_success("a quarter of an hour later");
    guest.run("systemctl start claude-auth-sync@dora.service").expect_success("what the timer does");
    wait_until("it watches", || property(&guest, watch, "ActiveState") == "active");

    // A user can be enrolled without a watcher.
    guest.run("cas-sync enroll --no-watch dora").expect_success("without a watch");
    guest.run("systemctl start claude-auth-sync@dora.service").expect_success("what the timer does");
    assert_eq!(property(&guest, watch, "ActiveState"), "inactive");
    assert_eq!(failed(&guest), "");
}

/// Writes a valid login of this name, clears it once it is backed up, and waits for its restore.
#[track_caller]
fn is_managed(guest: &Guest, user: &str, name: &str) {
    let good = new_login(name);
    write(guest, user, &good);
    let history = format!("{}/.local/state/claude-auth-sync/history.json", home(guest, user));
    wait_until("it is kept", || guest.run(&format!("grep -q refresh-of-{name} {history}")).succeeded());
    write(guest, user, &cleared_login(&good));
    wait_until("it is back", || parsed(&read(guest, user)) == parsed(&good));
}

/// Returns true if a user's watcher has a watch on this directory.
fn watches(guest: &Guest, user: &str, directory: &str) -> bool {
    let process = property(guest, &format!("claude-auth-watch@{user}.service"), "MainPID");
    let seen = format!("grep -q \"ino:$(printf %x $(stat -c %i {directory})) \" /proc/{process}/fdinfo/*");
    guest.run(&seen).succeeded()
}

fn path(guest: &Guest, user: &str) -> String {
    format!("{}/.claude/.credentials.json", home(guest, user))
}

/// Writes as the user, in one step.
#[track_caller]
fn write(guest: &Guest, user: &str, login: &str) {
    let path = path(guest, user);
    let script = format!("runuser -u {user} -- sh -c 'umask 077; cat >{path}.new && mv {path}.new {path}'");
    guest.run_with_input(&script, login.as_bytes()).expect_success("writing a login");
}

fn read(guest: &Guest, user: &str) -> String {
    String::from_utf8(guest.read(&path(guest, user)).expect("a login file")).expect("text")
}

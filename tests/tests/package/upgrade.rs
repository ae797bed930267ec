//! An upgrade during sessions.

use std::path::{Path, PathBuf};
use std::process::Command;

use cas_protocol::deadline::Deadline;
use cas_tests::claude_login::{cleared_login, new_login, parsed};
use cas_tests::guest::{ClaudeGuest, Guest, Suite};
use cas_tests::programs::package;

use super::{NextVersion, TARGET, TIMEOUT, UNITS, check_logins, failed, package_lines, property, wait_until};

const SERVICE: &str = UNITS[1];
const WATCH: &str = UNITS[2];

#[test]
fn upgrade_restarts_all_units_and_no_session_on_bookworm() {
    check_upgrade_during_sessions(Suite::Bookworm);
}

#[test]
fn upgrade_restarts_all_units_and_no_session_on_trixie() {
    check_upgrade_during_sessions(Suite::Trixie);
}

fn check_upgrade_during_sessions(suite: Suite) {
    let next = NextVersion::new();
    let machine = ClaudeGuest::with_product(suite, &[]);
    let guest = &machine.guest;
    guest.resume();
    machine.sign_in("alice");
    guest.enroll("alice");
    wait_until("the first sync", || property(guest, SERVICE, "ActiveState") == "inactive");
    let mut terminal = guest.ssh_terminal("alice");
    terminal.wait_for("$ ");
    let mut claude = machine.start_conversation("alice");
    assert!(claude.ask("before", TIMEOUT).expect("it answers").answered());
    let watch = property(guest, WATCH, "MainPID");
    guest.write("/etc/claude-auth-sync/config.toml", "root", "644", b"# the admin's own\n");

    let output = guest.install_package(&next.file());

    assert!(!output.contains("***"), "{output}");
    assert_eq!(guest.run("dpkg --audit").text(), "");
    for unit in UNITS.iter().chain(&[TARGET]) {
        assert_eq!(property(guest, unit, "NeedDaemonReload"), "no", "{unit}");
    }
    for unit in UNITS {
        assert!(property(guest, unit, "Description").ends_with(NextVersion::MARK), "{unit}");
        assert_eq!(property(guest, unit, "LoadState"), "loaded", "{unit}");
    }
    for unit in [UNITS[0], WATCH] {
        assert_eq!(property(guest, unit, "ActiveState"), "active", "{unit}");
    }
    assert_ne!(property(guest, WATCH, "MainPID"), watch, "the watch is the new one");
    assert_eq!(package_lines(guest), 1);
    assert_eq!(property(guest, "claude-auth-request.service", "ActiveState"), "active");
    assert_eq!(guest.read("/etc/claude-auth-sync/config.toml").as_deref(), Some(&b"# the admin's own\n"[..]));
    let again = guest.enroll("alice");
    assert!(again.contains("nothing was changed"), "{again}");

    assert!(claude.ask("after", TIMEOUT).expect("it answers").answered(), "the session continues");
    assert_eq!(claude.leave(TIMEOUT).expect("it ends"), Some(0));
    assert!(terminal.at_prompt("echo still $((40 + 2))").contains("still 42"));
    terminal.leave();
    check_logins(guest, "after the upgrade");
    // The new watcher works.
    let file = guest.read_login("alice");
    let process = property(guest, WATCH, "MainPID");
    let watches =
        format!("grep -q \"ino:$(printf %x $(stat -c %i /home/alice/.claude)) \" /proc/{process}/fdinfo/*");
    wait_until("it watches", || guest.run(&watches).succeeded());
    guest.put_login("alice", &cleared_login(&file));
    let token = |file: &str| parsed(file)["claudeAiOauth"]["refreshToken"].clone();
    wait_until("the login is back", || token(&guest.read_login("alice")) == token(&file));
    assert_eq!(failed(guest), "");
}

/// The units of version 0.1.0, from the last commit that had path units. The package is not built
/// from that commit, which takes as long as building this one. Its programs and scripts are the
/// current ones, and the test creates what those of version 0.1.0 created for each user.
const OLD_UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/package/version-0.1.0");

/// Creates a package with the units of version 0.1.0 in this directory.
#[track_caller]
fn old_version_with_path_units(scratch: &Path) -> PathBuf {
    let script = format!(
        r"dpkg-deb --raw-extract '{}' old && cd old && sed -i 's/^Version: .*/Version: 0.1.0/' DEBIAN/control && rm DEBIAN/md5sums \
          && rm usr/lib/systemd/system/claude-auth-request.* && cp '{OLD_UNITS}'/*.path '{OLD_UNITS}'/*.mount '{OLD_UNITS}'/*.service '{OLD_UNITS}'/*.target usr/lib/systemd/system \
          && cp '{OLD_UNITS}/tmpfiles.conf' usr/lib/tmpfiles.d/claude-auth-sync.conf \
          && mkdir usr/lib/systemd/system/local-fs.target.wants && ln -s '../{OLD_MOUNT}' usr/lib/systemd/system/local-fs.target.wants/ \
          && cd .. && dpkg-deb -Znone --root-owner-group --build old old.deb",
        package().display(),
    );
    let repacked = Command::new("sh").args(["-c", &script]).current_dir(scratch).output().expect("a shell");
    assert!(repacked.status.success(), "{}", String::from_utf8_lossy(&repacked.stderr));
    scratch.join("old.deb")
}

const OLD_MOUNT: &str = r"run-claude\x2dauth\x2dsync.mount";

/// Version 0.1.0 had a path unit and a directory below /run for each user, on a mount for these.
#[test]
fn upgrade_from_path_units_removes_them() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let guest = Guest::boot(Suite::Bookworm);
    guest.install_hostile_user(env!("CARGO_BIN_EXE_hostile-user"));
    guest.install_package(&old_version_with_path_units(scratch.path()));
    guest.run(&format!("systemctl start '{OLD_MOUNT}'")).expect_success("what its postinst did");
    for user in ["alice", "bob"] {
        guest.enroll(user);
        guest
            .run(&format!(
                "d=/run/claude-auth-sync/{user}; install -d -o {user} -g {user} -m 700 $d && install -o {user} -g {user} -m 600 /dev/null $d/request.spare && touch $d/request.settled \
                 && printf 'd \"%s\" 0700 {user} {user} -\nf- \"%s/request.spare\" 0600 {user} {user} -\n' $d $d >/etc/tmpfiles.d/claude-auth-sync@{user}.conf \
                 && systemctl enable --now --quiet claude-auth-sync@{user}.path && systemctl is-active --quiet claude-auth-sync@{user}.path && mountpoint --quiet /run/claude-auth-sync"
            ))
            .expect_success("as version 0.1.0 left it");
    }
    // Version 0.1.0 recorded no uids.
    guest.run("rm -rf /var/lib/claude-auth-sync/identities").expect_success("as version 0.1.0 left it");
    // One user has filled her directory and has a process in it; the other has mounted a file
    // system that never answers over his.
    guest
        .run("cd /run/claude-auth-sync/alice && ! runuser -u alice -- perl -e 'for (1..9000) { mkdir \"d$_\" or exit 1 }'; systemd-run --quiet --collect --unit=stands-there --uid=alice sh -c 'cd /run/claude-auth-sync/alice && exec sleep 600'")
        .expect_success("alice's doing");
    guest
        .run("systemctl stop claude-auth-sync@bob.path; systemd-run --quiet --collect --unit=covers /usr/local/bin/hostile-user cover /run/claude-auth-sync/bob $(id -u bob)")
        .expect_success("bob's doing, with user_allow_other; PID 1 does not look at it at this moment");
    wait_until("it is covered", || {
        guest.run("grep -q ' /run/claude-auth-sync/bob fuse' /proc/self/mounts").succeeded()
    });

    guest.install_package(&package());

    let left = "systemctl list-units --all --no-legend --plain 'claude-auth-*.path' 'run-claude*'; systemctl --failed --no-legend --plain; grep /run/claude-auth-sync /proc/self/mounts; \
                ls -d /etc/tmpfiles.d/claude-auth-sync@* /etc/systemd/system/*/claude-auth-*.path /usr/lib/systemd/system/*claude*.path /usr/lib/systemd/system/run-claude* 2>/dev/null; \
                ls -A /run/claude-auth-sync 2>/dev/null";
    assert_eq!(guest.run(left).text(), "");
    let runs = || guest.run("cat /home/alice/.local/state/claude-auth-sync/sync.log").text().lines().count();
    let before = runs();
    guest.request_sync("alice");
    wait_until("the request starts a sync", || runs() > before);
    guest.remove_package().expect_success("removing");
    assert_eq!(guest.remaining_product_files(), "");
}

/// Version 0.1.0 knew names only. Only the owner of the published state shows which uid was
/// enrolled.
#[test]
fn upgrade_binds_enrolled_names_and_reports_missing() {
    let next = NextVersion::new();
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    for (user, uid) in [("dee", 2001), ("eve", 2002), ("fay", 2003)] {
        guest.run(&format!("useradd --create-home --uid {uid} {user}")).expect_success("a user");
        guest.enroll(user);
        guest.put_token(user, &format!("sk-ant-oat01-of-{user}"));
    }
    guest
        .run("cd /var/lib/claude-auth-sync && rm -r identities && for u in alice dee eve fay; do install -d -o $u -m 700 people/$u; done; userdel -r dee; userdel -r eve; usermod -l finn fay; useradd --create-home --uid 2012 eve")
        .expect_success("as version 0.1.0 left it, and what administrators did");
    guest.put_token("eve", "sk-ant-oat01-of-the-other-eve");

    let output = guest.install_package(&next.file());

    for reported in [
        "dee is enrolled, but the account was removed",
        "eve is enrolled, but the name was enrolled for uid 2002, and its account has uid 2012",
        "fay is enrolled, but the account was removed or renamed, and its uid 2003 now belongs to finn",
    ] {
        assert!(output.contains(reported), "{reported}: {output}");
    }
    let bound =
        guest.run("cd /var/lib/claude-auth-sync/identities && grep -H . *; stat -c '%n %U %a' . *").text();
    let expected = "alice:1000\nbob:1001\ndee:2001\neve:2002\nfay:2003\n. root 755\nalice root 644\nbob root 644\n\
                    dee root 644\neve root 644\nfay root 644\n";
    assert_eq!(bound, expected);
    assert_eq!(guest.variable_over_ssh("eve"), None, "the token of an account that was not enrolled");
    let status = guest.run("cas-sync status --json");
    assert_ne!(status.code, Some(0));
    assert_eq!(status.text().matches("\"account-missing\"").count(), 3, "{}", status.text());
    assert_ne!(guest.run("cas-sync doctor").code, Some(0));
    guest
        .run("for user in dee eve fay; do cas-sync unenroll $user; done")
        .expect_success("the printed remedy");
    let again = guest.install_package(&package());
    assert!(!again.contains("is enrolled, but"), "{again}");
}

#[test]
fn upgrade_neither_interrupts_nor_awaits_a_refresh() {
    let next = NextVersion::new();
    let machine = ClaudeGuest::with_product(Suite::Bookworm, &[]);
    machine.guest.resume();
    machine.guest.run("cas-sync enroll --no-watch alice").expect_success("enrolling");
    wait_until("the first sync", || property(&machine.guest, SERVICE, "ActiveState") == "inactive");
    let spent = machine.sign_in_yesterday("alice");
    machine.anthropic.forget_requests();
    machine.anthropic.hold_refreshes(true);
    machine.guest.run(&format!("systemctl start --no-block {SERVICE}")).expect_success("a sync");
    assert!(machine.anthropic.wait_for(&Deadline::after(TIMEOUT), |request| request.is_refresh()));
    let token = || parsed(&machine.guest.read_login("alice"))["claudeAiOauth"]["refreshToken"].clone();

    machine.guest.install_package(&next.file());

    assert_eq!(property(&machine.guest, SERVICE, "ActiveState"), "activating");
    assert_eq!(token(), *spent.refresh_token, "the server has not answered");
    check_logins(&machine.guest, "meanwhile");
    machine.anthropic.hold_refreshes(false);
    wait_until("the end of the sync", || property(&machine.guest, SERVICE, "ActiveState") == "inactive");
    assert_ne!(token(), *spent.refresh_token, "Claude Code has written the new token");
    assert_eq!(property(&machine.guest, TARGET, "ActiveState"), "active");
    assert_eq!(failed(&machine.guest), "");
    assert_eq!(machine.anthropic.requests().iter().filter(|request| request.is_refresh()).count(), 1);
}

/// A pause by `stop` lasts until something starts the target, as an upgrade does; one by `mask` is
/// permanent.
#[test]
fn upgrade_does_not_end_a_permanent_pause() {
    let next = NextVersion::new();
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("alice", &new_login("first"));
    guest.install_package(&next.file());
    assert_eq!(property(&guest, TARGET, "UnitFileState"), "masked");
    let running = "systemctl list-units --no-legend --plain --state=active,activating 'claude-auth-*@*'";
    assert_eq!(guest.run(running).text(), "");
    guest.resume();
    assert_eq!(guest.run(&format!("{running} | grep -c '@alice'")).text().trim(), "2");
    guest.run(&format!("systemctl stop {TARGET}")).expect_success("for now");
    guest.install_package(&next.file());
    assert_eq!(property(&guest, TARGET, "ActiveState"), "active");
}

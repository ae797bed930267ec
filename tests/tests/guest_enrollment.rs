//! Enrolling and unenrolling, also of invalid users; a reboot; an upgrade during open sessions; and
//! removal.

use cas_tests::{
    claude_login::{cleared_login, new_login, parsed},
    guest::{Guest, Suite, VARIABLE, login_path},
};

const MARKERS: &str = "/var/lib/claude-auth-sync/enrolled";
const PUBLISHED: &str = "/var/lib/claude-auth-sync/published";

fn product() -> Guest {
    Guest::boot_with_product(Suite::Bookworm)
}

/// Returns everything that enrolling leaves on the machine.
fn traces(guest: &Guest) -> String {
    guest
        .run(&format!("find {MARKERS} {PUBLISHED} /etc/tmpfiles.d -mindepth 1 ! -name screen-cleanup.conf -printf '%M %U:%G %p\\n' 2>/dev/null | sort -k3"))
        .text()
}

#[test]
fn enroll_is_idempotent_under_any_umask() {
    let guest = product();
    let first = guest.enroll("alice");
    assert!(first.contains("alice is enrolled"), "{first}");
    let as_once = traces(&guest);
    let expected = "-rw-r--r-- 0:0 /var/lib/claude-auth-sync/enrolled/alice\n";
    assert_eq!(as_once, expected);
    let again = guest.enroll("alice");
    assert!(again.contains("nothing was changed"), "{again}");
    assert_eq!(traces(&guest), as_once);

    for umask in ["077", "000", "777"] {
        guest
            .run("cas-sync unenroll alice && rm -rf /var/lib/claude-auth-sync")
            .expect_success("a machine without enrolled users");
        guest.run(&format!("umask {umask}; cas-sync enroll alice")).expect_success("enrolling");
        assert_eq!(traces(&guest), as_once, "umask {umask}");
        let ways = "stat -c '%a %U %n' /var/lib/claude-auth-sync /var/lib/claude-auth-sync/published /var/lib/claude-auth-sync/enrolled";
        let ways = guest.run(ways).text();
        assert!(
            ways.lines().count() == 3 && ways.lines().all(|line| line.starts_with("755 root ")),
            "umask {umask}: {ways}"
        );
        guest.put_token("alice", "sk-ant-oat01-alice");
        assert_eq!(guest.variable_over_ssh("alice").as_deref(), Some("sk-ant-oat01-alice"), "umask {umask}");
    }

    // Enrolling repairs what an administrator has changed by hand.
    for spoiled in [
        "rmdir $p",
        "chmod 666 $m",
        "chown bob $m",
        "rm $m",
        "chmod 700 /var/lib/claude-auth-sync/published",
        "chmod 700 /var/lib/claude-auth-sync/enrolled; chmod 777 /var/lib/claude-auth-sync",
        "chown bob /var/lib/claude-auth-sync/enrolled",
    ] {
        guest.run(&format!("p={PUBLISHED}; m={MARKERS}/alice; {spoiled}")).expect_success(spoiled);
        let output = guest.enroll("alice");
        assert!(output.contains("alice is enrolled"), "{spoiled}: {output}");
        assert_eq!(traces(&guest), as_once, "{spoiled}");
        let ways = guest.run("stat -c '%a %U' /var/lib/claude-auth-sync/published /var/lib/claude-auth-sync /var/lib/claude-auth-sync/enrolled").text();
        assert_eq!(ways, "755 root\n".repeat(3), "{spoiled}");
    }
}

#[test]
fn enroll_requires_root_and_a_regular_user() {
    let guest = product();
    guest.enroll("alice");
    let before = traces(&guest);
    for command in ["enroll bob", "unenroll alice", "enroll alice"] {
        let seen = guest.ssh("bob", &format!("cas-sync {command}"));
        assert_eq!(seen.code, Some(1), "{command}");
        let output = String::from_utf8_lossy(&seen.stderr).into_owned();
        assert!(output.contains("only root can") && output.contains("sudo"), "{command}: {output}");
    }
    let rows = [
        ("root", "not that of a regular account"),
        ("daemon", "not that of a regular account"),
        ("nobody", "not that of a regular account"),
        ("no-such-person", "no such account"),
        ("''", "is not a valid login name"),
        ("..", "is not a valid login name"),
        (".", "is not a valid login name"),
        ("../../../etc/cron.d/evil", "is not a valid login name"),
        ("/etc/passwd", "is not a valid login name"),
        ("'a\nb'", "is not a valid login name"),
        ("-- -x", "is not a valid login name"),
        ("'alice '", "no such account"),
        ("alice%h", "no such account"),
        ("$(printf 'a%0300d' 1)", "is not a valid login name"),
    ];
    for (user, output) in rows {
        let seen = guest.run(&format!("cas-sync enroll {user}"));
        let errors = String::from_utf8_lossy(&seen.stderr).into_owned();
        assert_eq!(seen.code, Some(1), "{user}: {errors}");
        assert!(errors.contains(output) && errors.lines().count() == 1, "{user}: {errors}");
    }
    for (arguments, code) in [
        ("enroll", 2),
        ("enroll alice bob", 2),
        ("enroll $(printf '\\377')", 2),
        ("frobnicate", 2),
        ("--help", 0),
    ] {
        assert_eq!(guest.run(&format!("cas-sync {arguments}")).code, Some(code), "{arguments}");
    }
    assert_eq!(traces(&guest), before, "none of it left a trace");

    // A user without an account can be unenrolled, and an unknown name is not an error.
    guest.enroll("carol");
    guest.run("userdel carol && cas-sync unenroll carol && cas-sync unenroll carol && cas-sync unenroll nobody-ever").expect_success("unenrolling");
    assert_eq!(traces(&guest), before);
    for user in ["..", "a/b", "''", "../enrolled"] {
        assert_eq!(guest.run(&format!("cas-sync unenroll {user}")).code, Some(1), "{user}");
    }
    assert_eq!(traces(&guest), before);
}

/// The watcher and a sync are processes of the user, with which usermod(8) and userdel(8) refuse to
/// work.
#[test]
fn unenrolled_user_can_be_moved_and_deleted() {
    let guest = product();
    guest.resume();
    let before = traces(&guest);
    guest.enroll("alice");
    guest.put_login("alice", &new_login("alices"));
    let (usermod, userdel) = ("usermod -m -d /srv/moved alice", "userdel -r alice");
    let watched = "timeout 20 sh -c 'until pgrep -u alice -fx \".*cas-sync watch\"; do sleep 0.05; done'";
    guest.run(watched).expect_success("a watcher");
    for command in [usermod, userdel] {
        let refused = guest.run(command);
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.code != Some(0) && why.contains("currently used by process"), "{command}: {why}");
    }
    // A sync that waits for another program of this package.
    guest.run("systemctl start claude-auth-sync@alice").expect_success("the first sync");
    guest.hold_lock("/home/alice/.local/state/claude-auth-sync/repair.lock", 120);
    guest
        .run("systemctl start --no-block claude-auth-sync@alice && timeout 20 sh -c 'until pgrep -u alice -fx \".*cas-sync run\"; do sleep 0.05; done'")
        .expect_success("a running sync");
    guest.run("cas-sync unenroll --stop alice && ! pgrep -u alice").expect_success("nothing of alice runs");
    guest.release_lock();
    guest.run(usermod).expect_success("moving the home");
    guest.enroll("alice");
    guest.run(&format!("test -d /srv/moved/.claude && {watched}")).expect_success("a watcher");
    guest
        .run(&format!("cas-sync unenroll --stop alice && {userdel} && ! test -e /srv/moved"))
        .expect_success("deleting the user");
    assert_eq!(traces(&guest), before);
}

#[test]
fn requests_work_after_a_reboot_for_any_user_name() {
    let guest = product();
    guest.apply_tmpfiles_as_after_reboot("/run/claude-auth-requests");
    guest.record_requests();
    for user in ["ada.lovelace", "Grace", "x_y-z"] {
        guest
            .run(&format!("useradd --badname --create-home --gid users --shell /bin/bash {user}"))
            .expect_success("useradd");
        guest.enroll(user);
        let login = new_login(user);
        guest
            .run_with_input(&format!("runuser -u {user} -- sh -c 'umask 077; mkdir -p ~{user}/.claude && cat >~{user}/.claude/.credentials.json'"), login.as_bytes())
            .expect_success("a login");
        guest.ssh(user, "true").expect_success("ssh");
        assert_eq!(guest.recorded_requests(user), 1);
    }
}

#[test]
fn unenrolled_user_keeps_all_files() {
    let guest = product();
    guest.enroll("alice");
    guest.back_up_and_clear("alice", &new_login("first"));
    guest.put_token("alice", "sk-ant-oat01-alice");
    guest.ssh("alice", "true").expect_success("ssh");
    let all = "cd /home/alice && find .claude .config .local -type f -exec sha256sum {} + | sort -k2";
    let (before, journal) = (guest.run(all).expect_success("files").text(), guest.product_journal());
    let output = guest.run("cas-sync unenroll alice").expect_success("unenrolling").text();
    assert!(output.contains("no longer enrolled") && output.contains("are kept"), "{output}");
    assert_eq!(traces(&guest), "");

    assert_eq!(guest.variable_over_ssh("alice"), None);
    assert_eq!(guest.run(all).text(), before);
    assert_eq!(guest.product_journal(), journal);
    let again = guest.run("cas-sync unenroll alice").expect_success("again").text();
    assert!(again.contains("was not enrolled"), "{again}");
}

#[test]
fn upgrade_during_a_session_keeps_logins_working() {
    let guest = product();
    guest.enroll("alice");
    guest.put_token("alice", "sk-ant-oat01-alice");
    let mut open = guest.ssh_terminal("alice");
    open.wait_for("$ ");
    let console = guest.console("alice");
    let module = "/usr/lib/x86_64-linux-gnu/security/pam_cas_session.so";
    let inode = |path: &str| guest.run(&format!("stat -c %i {path}")).text();
    let before = inode(module);

    guest.install_product();

    assert_ne!(inode(module), before, "an open session uses the module it has mapped");
    let show = format!("printenv {VARIABLE}; su alice -c true </dev/null; echo still here");
    assert!(open.at_prompt(&show).starts_with("sk-ant-oat01-alice\n"));
    assert!(open.at_prompt("echo still here").contains("still here"));
    assert_eq!(guest.variable_over_ssh("alice").as_deref(), Some("sk-ant-oat01-alice"), "the next session");
    open.leave();
    console.leave();
    let output = guest
        .run("journalctl --sync; journalctl --quiet --output=cat --grep='pam_cas_session|segfault|SIGSEGV'")
        .text();
    assert_eq!(output, "", "closing the old sessions is nothing special");
}

#[test]
fn removal_leaves_no_pam_line_and_logins_work() {
    let guest = Guest::boot(Suite::Bookworm);
    let pam = "cd /etc/pam.d && sha256sum common-*";
    // pam-auth-update writes the stacks in its own format even when nothing changes, so the test
    // compares with its output before the installation.
    guest.run("pam-auth-update --package").expect_success("pam-auth-update");
    let before = guest.run(pam).text();
    guest.install_product();
    guest.enroll("alice");
    let login = new_login("first");
    guest.back_up_and_clear("alice", &login);
    assert_ne!(guest.run(pam).text(), before, "it is in the stack");
    let mut open = guest.ssh_terminal("alice");
    open.wait_for("$ ");
    guest.put_login("alice", &cleared_login(&login));
    let broken = guest.file_identity(&login_path("alice"));

    guest.remove_package().expect_success("removing everything");
    assert_eq!(guest.remaining_product_files(), "");
    assert_eq!(guest.run(pam).text(), before);
    guest.ssh("alice", "true").expect_success("ssh");
    guest.unit("su - alice -c true").expect_success("su");
    guest.console("alice").leave();
    open.leave();
    assert_eq!(guest.file_identity(&login_path("alice")), broken);
    assert_eq!(parsed(&guest.read_login("alice")), parsed(&cleared_login(&login)));
}

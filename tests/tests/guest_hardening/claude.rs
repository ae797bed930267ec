//! The real client in the real units: a probe, a refresh under its own locks, a new
//! `~/.claude.json` renamed over the old one; and the watch.

use cas_protocol::deadline::Deadline;
use cas_tests::anthropic::Login;
use cas_tests::claude_client::in_hours;
use cas_tests::claude_login::{cleared_login, parsed};
use cas_tests::guest::{ClaudeGuest, Guest, Suite};
use serde_json::{Value, json};
use std::time::Duration;

use super::{TIMEOUT, is_inactive, wait_until};

/// Login name, home, and what makes the account.
const USERS: [(&str, &str, &str); 5] = [
    ("alice", "/home/alice", "true"),
    (
        "Jean-Luc.P",
        "/srv/people/Jean-Luc.P",
        "useradd --badname --gid users -m -d /srv/people/Jean-Luc.P Jean-Luc.P",
    ),
    // Only root can list the directories above; user and group ids differ, and the group has other
    // members.
    (
        "dora",
        "/srv/closed/staff/dora",
        "chmod 711 /srv/closed /srv/closed/staff; groupadd --gid 3456 staffers; usermod -aG staffers bob; useradd --uid 2345 --gid 3456 -m -d /srv/closed/staff/dora dora",
    ),
    (
        "in-memory",
        "/mnt/memory/in-memory",
        "mount -t tmpfs -o mode=755 tmpfs /mnt/memory; useradd --gid games -m -d /mnt/memory/in-memory in-memory",
    ),
    ("4-9.x_", "/home/4 9", "useradd --badname -m -d '/home/4 9' 4-9.x_"),
];

#[test]
fn client_works_in_the_unit_as_in_a_session_on_bookworm() {
    check_client_in_the_unit(Suite::Bookworm);
}

#[test]
fn client_works_in_the_unit_as_in_a_session_on_trixie() {
    check_client_in_the_unit(Suite::Trixie);
}

fn check_client_in_the_unit(suite: Suite) {
    let machine = ClaudeGuest::with_product(suite, &[]);
    let guest = &machine.guest;
    guest.resume();
    guest.run("mkdir -p /srv/people /srv/closed/staff /mnt/memory").expect_success("places for homes");
    for (user, home, account) in USERS {
        guest.run(account).expect_success(account);
        let unit_user = UnitUser { guest, user, home };
        guest.run(&format!("cas-sync enroll --no-watch '{user}'")).expect_success("enrolling");
        wait_until("a first sync", guest, || {
            unit_user.line().contains(" OK no login yet") && is_inactive(guest, user)
        });
        check_refresh(&machine, &unit_user);
        check_probe(&unit_user);
        check_watcher(&unit_user);
        assert_eq!(guest.run("systemctl --failed --no-legend --plain").text(), "", "{user}");
    }
}

/// A user with any home.
struct UnitUser<'g> {
    guest: &'g Guest,
    user: &'g str,
    home: &'g str,
}

impl UnitUser<'_> {
    fn service(&self) -> String {
        format!("claude-auth-sync@{}.service", self.user)
    }

    /// Writes as the user, in one step, as a client does.
    #[track_caller]
    fn write(&self, name: &str, text: &str) {
        let path = format!("{}/{name}", self.home);
        let script = format!(
            "umask 077; mkdir -p \"{0}/.claude\"; cat >\"{path}.new\" && mv \"{path}.new\" \"{path}\"",
            self.home
        );
        self.guest
            .run_with_input(&format!("runuser -u '{}' -- sh -c '{script}'", self.user), text.as_bytes())
            .expect_success("writing a file of the user");
    }

    fn put(&self, login: &Login, good_for_hours: i64) {
        let file =
            json!({ "claudeAiOauth": login.oauth_object(in_hours(good_for_hours)), "mcpOAuth": { "x": 1 } });
        self.write(".claude/.credentials.json", &file.to_string());
    }

    fn file(&self) -> Value {
        let bytes =
            self.guest.read(&format!("{}/.claude/.credentials.json", self.home)).expect("a login file");
        parsed(&String::from_utf8(bytes).expect("text"))
    }

    fn line(&self) -> String {
        let log = self.guest.read(&format!("{}/.local/state/claude-auth-sync/sync.log", self.home));
        let log = String::from_utf8(log.unwrap_or_default()).expect("text");
        log.lines().last().unwrap_or_default().to_owned()
    }

    fn inode(&self, name: &str) -> String {
        self.guest.run(&format!("stat -c '%i %U' '{}/{name}'", self.home)).text()
    }

    /// Creates a second name for a file, so that no other file gets its inode after the first name
    /// is removed.
    #[track_caller]
    fn keep(&self, name: &str) {
        self.guest.run(&format!("ln -f '{0}/{name}' '{0}/{name}.kept'", self.home)).expect_success("a link");
    }

    /// Returns the locks that Claude Code has taken, and their owners.
    fn locks(&self) -> String {
        self.guest
            .run(&format!(
                "cd '{}' && stat -c '%n %U' .claude.lock .claude/.oauth_refresh.lock 2>/dev/null",
                self.home
            ))
            .text()
    }
}

/// Checks that the token of a fresh refresh is verified by its value.
fn check_probe(user: &UnitUser<'_>) {
    let before = user.line();
    user.guest.run(&format!("systemctl start '{}'", user.service())).expect_success("a sync");
    let after = user.line();
    assert!(after != before && after.contains(" OK ") && after.contains("verified by inference"), "{after}");
}

fn check_refresh(machine: &ClaudeGuest, unit_user: &UnitUser<'_>) {
    unit_user.write(".claude.json", "{\"numStartups\":1}");
    unit_user.keep(".claude.json");
    let settings = unit_user.inode(".claude.json");
    let spent = machine.anthropic.sign_in(unit_user.user, Duration::from_secs(8 * 3600));
    assert!(machine.anthropic.expire(&spent.family), "it was signed in a moment ago");
    unit_user.put(&spent, -12);
    machine.anthropic.forget_requests();
    machine.anthropic.hold_refreshes(true);
    unit_user
        .guest
        .run(&format!("systemctl start --no-block '{}'", unit_user.service()))
        .expect_success("a sync");
    assert!(
        machine.anthropic.wait_for(&Deadline::after(TIMEOUT), |request| request.is_refresh()),
        "{}",
        unit_user.line()
    );
    assert_eq!(
        unit_user.locks(),
        format!(".claude.lock {0}\n.claude/.oauth_refresh.lock {0}\n", unit_user.user)
    );
    machine.anthropic.hold_refreshes(false);
    wait_until("its end", &machine.guest, || is_inactive(unit_user.guest, unit_user.user));

    let file = unit_user.file();
    let token = &file["claudeAiOauth"]["refreshToken"];
    assert!(token.is_string() && *token != "" && *token != spent.refresh_token.as_str(), "{file}");
    assert_eq!(file["mcpOAuth"], json!({ "x": 1 }));
    assert!(unit_user.line().contains("verified by inference"), "{}", unit_user.line());
    assert_eq!(unit_user.locks(), "");
    let renamed = unit_user.inode(".claude.json");
    assert!(renamed != settings && renamed.trim().ends_with(unit_user.user), "{settings} {renamed}");
}

fn check_watcher(unit_user: &UnitUser<'_>) {
    unit_user.guest.enroll(unit_user.user);
    let good = unit_user.file();
    let process = format!("systemctl show --property=MainPID --value 'claude-auth-watch@{}'", unit_user.user);
    let watches = format!(
        "grep -q \"ino:$(printf %x $(stat -c %i '{}/.claude')) \" /proc/$({process})/fdinfo/*",
        unit_user.home
    );
    wait_until("it watches", unit_user.guest, || unit_user.guest.run(&watches).succeeded());
    unit_user.write(".claude/.credentials.json", &cleared_login(&good.to_string()));
    wait_until("it is back", unit_user.guest, || unit_user.file() == good);
}

//! The watch inside its unit. (What it does, and how fast, is shown elsewhere.)

use cas_tests::claude_login::{fresh, parsed, tombstone};
use cas_tests::guest::{Guest, Suite};

use super::{failed, home, host, property, wait_until};

const PEOPLE: [(&str, &str); 2] = [("dora", "--base-dir /srv/people --gid games"), ("jean-luc", "")];

#[test]
fn a_login_that_is_overwritten_comes_back_without_any_login_on_bookworm() {
    the_watch_works_inside_its_unit(Suite::Bookworm);
}

#[test]
fn a_login_that_is_overwritten_comes_back_without_any_login_on_trixie() {
    the_watch_works_inside_its_unit(Suite::Trixie);
}

fn the_watch_works_inside_its_unit(suite: Suite) {
    let guest = host(suite, &[]);
    for (user, options) in PEOPLE {
        guest
            .run(&format!("mkdir -p /srv/people; useradd --create-home {options} {user} && runuser -u {user} -- mkdir -m 700 $(getent passwd {user} | cut -d: -f6)/.claude"))
            .expect_success("useradd");
        guest.enroll(user);
        let unit = format!("claude-auth-watch@{user}.service");
        let good = fresh(user);
        write(&guest, user, &good);
        let history = format!("{}/.local/state/claude-auth-sync/history.json", home(&guest, user));
        wait_until("it is kept", || guest.run(&format!("grep -q refresh-of-{user} {history}")).succeeded());
        write(&guest, user, &tombstone(&good));
        wait_until("it is back", || parsed(&read(&guest, user)) == parsed(&good));
        assert_eq!(property(&guest, &unit, "NRestarts"), "0");
        guest.run(&format!("systemctl stop {unit}")).expect_success("stopping");
        assert_eq!(property(&guest, &unit, "Result"), "success");
    }
    assert_eq!(failed(&guest), "");
}

fn path(guest: &Guest, user: &str) -> String {
    format!("{}/.claude/.credentials.json", home(guest, user))
}

/// As the person themselves, in one step.
#[track_caller]
fn write(guest: &Guest, user: &str, login: &str) {
    let path = path(guest, user);
    let script = format!("runuser -u {user} -- sh -c 'umask 077; cat >{path}.new && mv {path}.new {path}'");
    guest.run_with_input(&script, login.as_bytes()).expect_success("writing a login");
}

fn read(guest: &Guest, user: &str) -> String {
    String::from_utf8(guest.read(&path(guest, user)).expect("a login file")).expect("text")
}

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
        is_looked_after(&guest, user, user);
        assert_eq!(property(&guest, &unit, "NRestarts"), "0");
        guest.run(&format!("systemctl stop {unit}")).expect_success("stopping");
        assert_eq!(property(&guest, &unit, "Result"), "success");
    }
    assert_eq!(failed(&guest), "");
}

/// An encrypted home, or one of a file server, that comes with the first session. Until then an empty folder lies there.
#[test]
fn a_home_that_is_mounted_later_is_watched_from_then_on() {
    let guest = host(Suite::Bookworm, &[]);
    guest.run("useradd --create-home dora").expect_success("useradd");
    guest.enroll("dora");
    let folder = format!("{}/.local/state/claude-auth-sync", home(&guest, "dora"));
    let watches = || guest.run(&format!("fuser --silent {folder}/*")).succeeded();
    wait_until("it watches what is there", watches);
    let mount = "mount -t tmpfs -o mode=700,uid=$(id -u dora),gid=$(id -g dora) tmpfs";
    guest
        .run(&format!("{mount} /mnt && runuser -u dora -- mkdir -m 700 /mnt/.claude"))
        .expect_success("her home");

    guest.run("mount --bind /mnt /home/dora").expect_success("her first session");

    is_looked_after(&guest, "dora", "one");
    // Another home over that one, and back.
    guest
        .run(&format!("{mount} /home/dora && runuser -u dora -- mkdir -m 700 /home/dora/.claude"))
        .expect_success("another");
    is_looked_after(&guest, "dora", "two");
    guest.run("umount /home/dora").expect_success("the end of her session");
    is_looked_after(&guest, "dora", "three");
    assert_eq!(property(&guest, "claude-auth-watch@dora.service", "NRestarts"), "0");
}

/// Writes a good login of this name, empties it once it is kept, and waits until it is back.
#[track_caller]
fn is_looked_after(guest: &Guest, user: &str, name: &str) {
    let good = fresh(name);
    write(guest, user, &good);
    let history = format!("{}/.local/state/claude-auth-sync/history.json", home(guest, user));
    wait_until("it is kept", || guest.run(&format!("grep -q refresh-of-{name} {history}")).succeeded());
    write(guest, user, &tombstone(&good));
    wait_until("it is back", || parsed(&read(guest, user)) == parsed(&good));
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

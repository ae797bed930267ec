//! The Debian package: its content, and what installation, upgrade, removal and interruption do to
//! a machine in use.

mod contents;
mod install;
mod interrupted;
mod many_users;
mod published;
mod removal;
mod reproducible;
mod upgrade;

use std::path::PathBuf;
use std::process::Command;

use cas_tests::guest::Guest;
use cas_tests::programs::package;
use cas_tests::{TIMEOUT, wait_until};
use tempfile::TempDir;

const TARGET: &str = "claude-auth-sync.target";
const UNITS: [&str; 3] =
    ["claude-auth-sync@alice.timer", "claude-auth-sync@alice.service", "claude-auth-watch@alice.service"];

/// The package as the next version would be: a higher number, and units that name it.
struct NextVersion {
    folder: TempDir,
}

impl NextVersion {
    /// The description in its units.
    const MARK: &str = "(the next version)";

    #[track_caller]
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let script = format!(
            "dpkg-deb --raw-extract '{}' next && sed -i 's/^Version: .*/&+next/' next/DEBIAN/control \
             && sed -i 's/^Description=.*/& {}/' next/usr/lib/systemd/system/*@* && dpkg-deb -Znone --root-owner-group --build next next.deb",
            package().display(),
            Self::MARK
        );
        let repacked =
            Command::new("sh").args(["-c", &script]).current_dir(&folder).output().expect("a shell");
        assert!(repacked.status.success(), "{}", String::from_utf8_lossy(&repacked.stderr));
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("next.deb")
    }
}

/// Returns the number of lines of the product in the session stack.
fn package_lines(guest: &Guest) -> usize {
    let stack = guest.run("cat /etc/pam.d/common-session").text();
    stack.lines().filter(|line| line.contains("pam_cas_session.so")).count()
}

/// Returns a property of a unit in systemd.
fn property(guest: &Guest, unit: &str, name: &str) -> String {
    guest.run(&format!("systemctl show --property={name} --value '{unit}'")).text().trim().to_owned()
}

/// Returns the failed units, one per line.
fn failed(guest: &Guest) -> String {
    guest.run("systemctl --failed --no-legend --plain").text()
}

/// Logs a user in by each of the two ways that must always work.
#[track_caller]
fn check_logins(guest: &Guest, when: &str) {
    guest.ssh("alice", "true").expect_success(&format!("ssh {when}"));
    guest.ssh("bob", "true").expect_success(&format!("ssh of a user who is not enrolled {when}"));
    guest.unit("su - alice -c true").expect_success(&format!("su {when}"));
}

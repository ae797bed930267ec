//! The machine, as everybody may see it; what only root may see is not known to others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cas_core::config;
use cas_core::system::identity::Identities;
use cas_protocol::deadline::Deadline;
use cas_protocol::paths::ENROLLED_DIR;
use nix::unistd::Uid;

use super::super::checks::MODULE;
use super::super::facts::{Clock, MachineFacts, Pam, Roster, SyncTarget};
use crate::enrollment::enrolled_users;
use crate::published_state::accounts::Accounts;
use crate::roster;
use crate::systemd::{self, REQUEST_SOCKET_UNIT, TargetState};

/// Where Debian and others keep modules; `*` is the name of the architecture.
const MODULES: [&str; 3] = ["/usr/lib/*/security", "/lib/*/security", "/lib/security"];

const SESSION: &str = "/etc/pam.d/common-session";

/// What pam-auth-update has chosen for that file, whatever was made of the file since.
const CHOSEN: &str = "/var/lib/pam/session";

/// All that can be seen of it.
pub(in crate::commands::doctor) fn machine() -> MachineFacts {
    let target = match systemd::target() {
        None => SyncTarget::NoSystemd,
        Some(TargetState::Masked) => SyncTarget::Masked,
        Some(TargetState::Stopped) => SyncTarget::Stopped,
        Some(TargetState::Runs) => SyncTarget::Runs,
        Some(TargetState::NoReply) => SyncTarget::Silent,
    };
    MachineFacts {
        pam: pam(),
        is_request_socket_active: (target == SyncTarget::Runs).then(is_request_socket_active).flatten(),
        target,
        roster: roster(),
        clock: clock(),
        is_anybody_enrolled: !enrolled_users().is_empty(),
        gone: gone(),
    }
}

fn is_request_socket_active() -> Option<bool> {
    systemd::is_active(&Deadline::after(systemd::PATIENCE), REQUEST_SOCKET_UNIT).ok().flatten()
}

fn gone() -> Vec<(String, String)> {
    let entries = fs::read_dir(ENROLLED_DIR).into_iter().flatten().flatten();
    let names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let accounts = Accounts::look_up(&names);
    let identities = Identities::of_this_machine();
    let missing = |name: &String| match identities.bound_uid(name) {
        Ok(bound) => Some((name.clone(), accounts.missing(name, bound)?.describe(name))),
        Err(error) => Some((name.clone(), error.to_string())),
    };
    names.iter().filter_map(missing).collect()
}

fn pam() -> Pam {
    let has_module =
        MODULES.iter().flat_map(|pattern| folders(pattern)).any(|folder| folder.join(MODULE).is_file());
    let session = fs::read_to_string(SESSION).ok().map(|text| {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    });
    let chosen = fs::read_to_string(CHOSEN).unwrap_or_default();
    Pam { has_module, session, is_chosen: chosen.contains(MODULE) }
}

fn folders(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once("/*/") else { return vec![pattern.into()] };
    let entries = fs::read_dir(before).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join(after)).collect()
}

fn roster() -> Roster {
    let path = Path::new(roster::DEFAULT_PATH);
    match config::read_admin_file(path) {
        Ok(None) => Roster::None,
        Ok(Some(text)) => match roster::parse(&text, path) {
            Ok(_) => Roster::Fine,
            Err(error) => Roster::Unreadable(error.to_string()),
        },
        Err(_) if !Uid::effective().is_root() => Roster::Unknown("only root may look into the roster".into()),
        Err(why) => Roster::Unreadable(format!("{}: {why}", path.display())),
    }
}

/// What the kernel was told by whatever sets the clock; timedatectl(1) has no bound of its own.
fn clock() -> Clock {
    let mut command = Command::new("timeout");
    command.args(["5", "timedatectl", "show", "--property=NTPSynchronized", "--value"]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
    match command.output() {
        Ok(said) if said.status.success() => match said.stdout.trim_ascii() {
            b"yes" => Clock::Synchronized,
            b"no" => Clock::Unsynchronized,
            _ => Clock::Unknown("timedatectl does not say".into()),
        },
        _ => Clock::Unknown("timedatectl does not answer".into()),
    }
}

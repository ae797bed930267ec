//! Collects the facts about the machine. What only root can read is unknown to other users.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cas_core::config;
use cas_core::fs::directories::list_names;
use cas_core::system::identity::Identities;
use cas_protocol::deadline::Deadline;
use cas_protocol::paths::ENROLLED_DIR;
use nix::unistd::Uid;

use super::super::checks::MODULE;
use super::super::facts::{Clock, MachineFacts, Pam, RosterState, SyncTarget};
use crate::enrollment::enrolled_users;
use crate::published_state::accounts::Accounts;
use crate::roster;
use crate::systemd::{self, REQUEST_SERVICE, TargetState};

/// PAM module directories of Debian and other distributions; `*` is the architecture.
const MODULE_DIRS: [&str; 3] = ["/usr/lib/*/security", "/lib/*/security", "/lib/security"];

const SESSION_STACK: &str = "/etc/pam.d/common-session";

/// The modules that pam-auth-update selected for the session stack, independent of later edits.
const SELECTED_MODULES: &str = "/var/lib/pam/session";

/// Collects the facts about the machine.
pub(in crate::commands::doctor) fn machine() -> MachineFacts {
    let target = match systemd::target() {
        None => SyncTarget::NoSystemd,
        Some(TargetState::Masked) => SyncTarget::Masked,
        Some(TargetState::Stopped) => SyncTarget::Stopped,
        Some(TargetState::Runs) => SyncTarget::Runs,
        Some(TargetState::NoReply) => SyncTarget::NoReply,
    };
    MachineFacts {
        pam: pam(),
        is_request_service_active: (target == SyncTarget::Runs).then(is_request_service_active).flatten(),
        target,
        roster: roster(),
        clock: clock(),
        has_enrolled_users: !enrolled_users().is_empty(),
        missing_accounts: missing_accounts(),
    }
}

fn is_request_service_active() -> Option<bool> {
    systemd::is_active(&Deadline::after(systemd::QUERY_TIMEOUT), REQUEST_SERVICE).ok().flatten()
}

fn missing_accounts() -> Vec<(String, String)> {
    let names = list_names(Path::new(ENROLLED_DIR)).ok().flatten().unwrap_or_default().into_iter();
    let names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    let accounts = Accounts::look_up(&names);
    let identities = Identities::open();
    let missing = |name: &String| match identities.bound_uid(name) {
        Ok(bound) => Some((name.clone(), accounts.missing(name, bound)?.describe(name))),
        Err(error) => Some((name.clone(), error.to_string())),
    };
    names.iter().filter_map(missing).collect()
}

fn pam() -> Pam {
    let has_module = MODULE_DIRS
        .iter()
        .flat_map(|pattern| matching_dirs(pattern))
        .any(|directory| directory.join(MODULE).is_file());
    let session = fs::read_to_string(SESSION_STACK).ok().map(|text| {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    });
    let chosen = fs::read_to_string(SELECTED_MODULES).unwrap_or_default();
    Pam { has_module, session, is_chosen: chosen.contains(MODULE) }
}

fn matching_dirs(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once("/*/") else { return vec![pattern.into()] };
    let entries = fs::read_dir(before).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join(after)).collect()
}

fn roster() -> RosterState {
    let path = Path::new(roster::DEFAULT_PATH);
    match config::read_admin_file(path) {
        Ok(None) => RosterState::None,
        Ok(Some(text)) => match roster::parse(&text, path) {
            Ok(_) => RosterState::Valid,
            Err(error) => RosterState::Unreadable(error.to_string()),
        },
        Err(_) if !Uid::effective().is_root() => RosterState::Unknown("only root can read the roster".into()),
        Err(why) => RosterState::Unreadable(format!("{}: {why}", path.display())),
    }
}

/// Asks timedatectl(1) for the kernel's clock status, with a timeout because it has none.
fn clock() -> Clock {
    let mut command = Command::new("timeout");
    command.args(["5", "timedatectl", "show", "--property=NTPSynchronized", "--value"]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => match output.stdout.trim_ascii() {
            b"yes" => Clock::Synchronized,
            b"no" => Clock::Unsynchronized,
            _ => Clock::Unknown("timedatectl printed neither yes nor no".into()),
        },
        _ => Clock::Unknown("timedatectl failed".into()),
    }
}

//! The machine, as everybody may see it; what only root may see is not known to others.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cas_core::config;
use cas_protocol::paths::REQUESTS_DIR;
use nix::sys::statvfs::statvfs;
use nix::unistd::Uid;

use super::super::checks::MODULE;
use super::super::facts::{Clock, MachineFacts, Pam, Requests, Roster, SyncTarget};
use crate::enrollment::enrolled_users;
use crate::enrollment::requests_directory;
use crate::roster;
use crate::systemd::{self, TargetState};

/// Where Debian and others keep modules; `*` is the name of the architecture.
const MODULES: [&str; 3] = ["/usr/lib/*/security", "/lib/*/security", "/lib/security"];

const SESSION: &str = "/etc/pam.d/common-session";

/// What pam-auth-update has chosen for that file, whatever was made of the file since.
const CHOSEN: &str = "/var/lib/pam/session";

/// All that can be seen of it.
pub(in crate::commands::doctor) fn machine() -> MachineFacts {
    MachineFacts {
        pam: pam(),
        target: match systemd::target() {
            None => SyncTarget::NoSystemd,
            Some(TargetState::Masked) => SyncTarget::Masked,
            Some(TargetState::Stopped) => SyncTarget::Stopped,
            Some(TargetState::Runs) => SyncTarget::Runs,
            Some(TargetState::NoReply) => SyncTarget::Silent,
        },
        roster: roster(),
        requests: requests(Path::new(REQUESTS_DIR)),
        clock: clock(),
        is_anybody_enrolled: !enrolled_users().is_empty(),
    }
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

fn requests(folder: &Path) -> Requests {
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    let Some(own) = device(folder) else { return Requests::Missing };
    if folder.parent().and_then(device) == Some(own) {
        return Requests::NotMounted;
    }
    match statvfs(folder) {
        Ok(room) if room.files_available() == 0 || room.blocks_available() == 0 => {
            Requests::Full(requests_directory::who_fills(folder).map(|(_, user)| user))
        }
        _ => Requests::Fine,
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

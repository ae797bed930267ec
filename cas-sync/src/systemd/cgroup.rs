//! Finds the processes in the cgroup of a unit. If only the main process of a unit is signaled, the
//! others continue, and systemd does not report them.

use std::fs;
use std::path::Path;

/// Returns the ids of all visible processes of this system unit.
pub(crate) fn processes_in_unit(unit: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_in_unit = |id: &u32| {
        let membership = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("cgroup"));
        membership.is_ok_and(|membership| is_member(unit, &membership))
    };
    ids.filter(is_in_unit).collect()
}

/// Returns the command lines of the processes of this system unit, without those that have ended.
pub(crate) fn commands_in_unit(unit: &str) -> Vec<Vec<String>> {
    let words = |line: Vec<u8>| {
        let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
        words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    };
    let line = |id: u32| fs::read(Path::new("/proc").join(id.to_string()).join("cmdline")).ok().map(words);
    processes_in_unit(unit).into_iter().filter_map(line).collect()
}

/// Returns true if this process runs in the service of a sync, however the service was started.
pub(crate) fn runs_in_sync_service() -> bool {
    fs::read_to_string("/proc/self/cgroup").is_ok_and(|membership| is_in_sync_service(&membership))
}

fn is_in_sync_service(membership: &str) -> bool {
    let is_service = |group: &str| group.starts_with("claude-auth-sync@") && group.ends_with(".service");
    groups(membership).any(is_service)
}

/// Returns the path components. Each line `number:controllers:path` is one hierarchy (cgroups(7)).
fn groups(membership: &str) -> impl Iterator<Item = &str> {
    let paths = membership.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.flat_map(|path| path.split('/'))
}

fn is_member(unit: &str, membership: &str) -> bool {
    groups(membership).any(|group| group == unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_is_matched_as_whole_path_component() {
        let unit = "claude-auth-sync@ada.service";
        let slice = r"/system.slice/system-claude\x2dauth\x2dsync.slice";
        for membership in [
            format!("0::{slice}/{unit}\n"),
            format!("0::{slice}/{unit}/below\n"),
            format!("12:pids:/\n1:name=systemd:{slice}/{unit}\n0::/\n"),
        ] {
            assert!(is_member(unit, &membership), "{membership}");
        }
        for membership in [
            format!("0::{slice}/claude-auth-sync@ada.service.service\n"),
            format!("0::{slice}/x{unit}\n"),
            "0::/user.slice/user-1000.slice/session-3.scope\n".into(),
            String::new(),
        ] {
            assert!(!is_member(unit, &membership), "{membership}");
        }
    }

    #[test]
    fn sync_service_is_recognized_by_its_cgroup() {
        let slice = r"/system.slice/system-claude\x2dauth\x2dsync.slice";
        for membership in [
            format!("0::{slice}/claude-auth-sync@ada.service\n"),
            format!("12:pids:/\n1:name=systemd:{slice}/claude-auth-sync@a.b@c.service\n0::/\n"),
        ] {
            assert!(is_in_sync_service(&membership), "{membership}");
        }
        for membership in [
            "0::/system.slice/system-claude.slice/claude-auth-watch@ada.service\n",
            "0::/user.slice/user-1000.slice/session-3.scope\n",
            "0::/system.slice/run-u7.service\n",
        ] {
            assert!(!is_in_sync_service(membership), "{membership}");
        }
    }

    #[test]
    fn unknown_unit_has_no_processes() {
        assert!(processes_in_unit("claude-auth-sync@missing-user.service").is_empty());
    }
}

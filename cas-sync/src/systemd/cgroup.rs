//! Who is still in the cgroup of a unit. Where only a unit's main process is signalled, the others outlive its end, and
//! systemd says nothing of them.

use std::fs;
use std::path::Path;

/// The process ids of all processes of this unit of the system, as far as they can be seen.
pub(crate) fn processes_in_unit(unit: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_in_it = |id: &u32| {
        let membership = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("cgroup"));
        membership.is_ok_and(|membership| is_of(unit, &membership))
    };
    ids.filter(is_in_it).collect()
}

/// Of cgroups(7): a line `number:controllers:path` for each hierarchy.
fn is_of(unit: &str, membership: &str) -> bool {
    let paths = membership.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.flat_map(|path| path.split('/')).any(|group| group == unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_a_whole_component_of_a_path_in_any_hierarchy() {
        let unit = "claude-auth-sync@ada.service";
        let slice = r"/system.slice/system-claude\x2dauth\x2dsync.slice";
        for membership in [
            format!("0::{slice}/{unit}\n"),
            format!("0::{slice}/{unit}/below\n"),
            format!("12:pids:/\n1:name=systemd:{slice}/{unit}\n0::/\n"),
        ] {
            assert!(is_of(unit, &membership), "{membership}");
        }
        for membership in [
            format!("0::{slice}/claude-auth-sync@ada.service.service\n"),
            format!("0::{slice}/x{unit}\n"),
            "0::/user.slice/user-1000.slice/session-3.scope\n".into(),
            String::new(),
        ] {
            assert!(!is_of(unit, &membership), "{membership}");
        }
    }

    #[test]
    fn the_processes_of_no_unit_are_none() {
        assert!(processes_in_unit("claude-auth-sync@nobody-ever.service").is_empty());
    }
}

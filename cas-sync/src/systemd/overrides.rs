//! Finds local units and drop-ins that override the packaged ones. The units of the former script
//! had the same names, in a directory with precedence, so that they run instead.

use std::fs;
use std::path::{Path, PathBuf};

use super::names::TARGET;

/// The directories with precedence over those of packages (systemd.unit(5)).
const OVERRIDE_DIRS: [&str; 3] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system"];

/// The program of the packaged service.
const PROGRAM: &str = "cas-sync";

/// Returns the files that override the packaged units of these names.
pub(crate) fn overriding_files(units: &[&str]) -> Vec<PathBuf> {
    find_in(&OVERRIDE_DIRS.map(Path::new), units)
}

fn find_in(folders: &[&Path], units: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for unit in units {
        for name in [template(unit), Some((*unit).to_owned())].into_iter().flatten() {
            for folder in folders {
                found.extend(Some(folder.join(&name)).filter(|path| is_another_unit(path)));
                found.extend(drop_ins(&folder.join(format!("{name}.d"))));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Returns the name of the template, such as `claude-auth-sync@.timer` for
/// `claude-auth-sync@alice.timer`.
fn template(unit: &str) -> Option<String> {
    let (prefix, instance) = unit.split_once('@')?;
    let (_, kind) = instance.rsplit_once('.')?;
    Some(format!("{prefix}@.{kind}"))
}

/// Returns true for a unit of another program. Each packaged unit is part of the target, and so is
/// an edited duplicate of it. An empty file or a link to `/dev/null` only masks a unit.
fn is_another_unit(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| !text.trim().is_empty() && !text.contains(TARGET))
}

/// Returns the drop-ins in this directory that start another program.
fn drop_ins(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .filter(|path| path.extension().is_some_and(|kind| kind == "conf") && starts_another(path))
        .collect()
}

fn starts_another(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut programs = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("ExecStart="))
        .filter(|program| !program.is_empty());
    programs.next_back().is_some_and(|program| !program.contains(PROGRAM))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const UNITS: [&str; 2] = ["claude-auth-sync@alice.service", "claude-auth-sync@alice.timer"];

    #[test]
    fn overriding_units_and_drop_ins_are_found() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = |name: &str| scratch.path().join(name);
        let found = || find_in(&[scratch.path(), Path::new("/nowhere")], &UNITS);
        fs::write(path("claude-auth-sync@.service"), "[Unit]\nPartOf=claude-auth-sync.target\n")
            .expect("a duplicate");
        fs::write(path("claude-auth-sync@bob.service"), "[Service]\n").expect("another user's");
        fs::write(path("claude-auth-sync@alice.service"), "").expect("masked");
        symlink("/dev/null", path("claude-auth-sync@.timer")).expect("masked");
        symlink("/nowhere", path("claude-auth-sync@alice.timer")).expect("a link to nothing");
        fs::create_dir(path("claude-auth-sync@.service.d")).expect("a folder");
        let drop_in = path("claude-auth-sync@.service.d/proxy.conf");
        for text in [
            "[Service]\nEnvironment=A=b\n",
            "[Service]\nExecStart=\nExecStart=/usr/bin/env A=b cas-sync run\n",
        ] {
            fs::write(&drop_in, text).expect("a drop-in");
            assert!(found().is_empty(), "{text}: {:?}", found());
        }

        fs::write(&drop_in, "[Service]\nExecStart=\nExecStart=/usr/local/bin/claude-auth-sync\n")
            .expect("written");
        for name in ["claude-auth-sync@alice.service", "claude-auth-sync@.timer"] {
            fs::remove_file(path(name)).expect("removed");
            fs::write(path(name), "[Unit]\nDescription=the script's\n").expect("written");
        }
        assert_eq!(
            found(),
            [
                path("claude-auth-sync@.service.d/proxy.conf"),
                path("claude-auth-sync@.timer"),
                path("claude-auth-sync@alice.service")
            ]
        );
    }
}

//! Units and drop-ins of this machine's own that stand in for the packaged ones. The former script's units had the same
//! names, in a place where systemd looks first: as long as they lie there, they are what runs.

use std::fs;
use std::path::{Path, PathBuf};

/// Where systemd looks before it looks where packages put theirs (systemd.unit(5)).
const FIRST: [&str; 3] = ["/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system"];

/// What each of the packaged units is part of, and so is a copy of one that an admin has changed.
const PART_OF: &str = "claude-auth-sync.target";

/// What the packaged service starts.
const PROGRAM: &str = "cas-sync";

/// The files that keep the packaged units of these names from running.
pub(crate) fn of(units: &[&str]) -> Vec<PathBuf> {
    below(&FIRST.map(Path::new), units)
}

fn below(folders: &[&Path], units: &[&str]) -> Vec<PathBuf> {
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

/// `claude-auth-sync@.timer` for `claude-auth-sync@alice.timer`.
fn template(unit: &str) -> Option<String> {
    let (prefix, instance) = unit.split_once('@')?;
    let (_, kind) = instance.rsplit_once('.')?;
    Some(format!("{prefix}@.{kind}"))
}

/// An empty file, or a link to `/dev/null`, is how an admin masks a unit: nothing else runs in its place.
fn is_another_unit(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| !text.trim().is_empty() && !text.contains(PART_OF))
}

/// The drop-ins of this folder that start something else.
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
    fn other_units_of_these_names_are_found_and_those_of_ours_are_not() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = |name: &str| scratch.path().join(name);
        let found = || below(&[scratch.path(), Path::new("/nowhere")], &UNITS);
        fs::write(path("claude-auth-sync@.service"), "[Unit]\nPartOf=claude-auth-sync.target\n")
            .expect("a copy");
        fs::write(path("claude-auth-sync@bob.service"), "[Service]\n").expect("somebody else's");
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

//! Reads the links by which systemd starts a unit. systemctl calls a unit enabled for a link in any
//! directory, including those of a former unit with the same name.

use std::fs;
use std::path::{Path, PathBuf};

/// systemctl creates the links here.
const SYSTEM_UNIT_DIR: &str = "/etc/systemd/system";

/// Returns true if exactly the units `wanted_by` start `unit`.
pub(crate) fn is_wanted_only_by(unit: &str, wanted_by: &[&str]) -> bool {
    is_wanted_only_by_below(Path::new(SYSTEM_UNIT_DIR), unit, wanted_by)
}

/// Returns true if any unit starts `unit`.
pub(crate) fn is_enabled(unit: &str) -> bool {
    !enablement_links(unit).is_empty()
}

/// Returns the links that start `unit`.
pub(crate) fn enablement_links(unit: &str) -> Vec<PathBuf> {
    let folders = folders(Path::new(SYSTEM_UNIT_DIR)).into_iter().filter(|folder| has_link(folder, unit));
    folders.map(|folder| folder.join(unit)).collect()
}

/// Returns true if an administrator has masked `unit`, permanently or until the next boot.
pub(crate) fn is_masked(unit: &str) -> bool {
    let is_null_link = |folder: &str| {
        fs::read_link(Path::new(folder).join(unit)).is_ok_and(|to| to == Path::new("/dev/null"))
    };
    is_null_link(SYSTEM_UNIT_DIR) || is_null_link("/run/systemd/system")
}

fn is_wanted_only_by_below(links: &Path, unit: &str, wanted_by: &[&str]) -> bool {
    let expected: Vec<_> = wanted_by.iter().map(|name| links.join(format!("{name}.wants"))).collect();
    let others = folders(links).into_iter().filter(|folder| !expected.contains(folder));
    expected.iter().all(|folder| has_link(folder, unit))
        && !others.into_iter().any(|folder| has_link(&folder, unit))
}

fn folders(links: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(links).into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .filter(|folder| folder.extension().is_some_and(|kind| kind == "wants" || kind == "requires"))
        .collect()
}

fn has_link(folder: &Path, unit: &str) -> bool {
    folder.join(unit).symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn unit_with_additional_links_is_not_as_packaged() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (unit, target) = ("claude-auth-sync@alice.timer", "claude-auth-sync.target");
        let link = |folder: &str| {
            fs::create_dir_all(scratch.path().join(folder)).expect("a folder");
            symlink("/nowhere", scratch.path().join(folder).join(unit)).expect("a link");
        };
        let has_only = |wanted_by: &[&str]| is_wanted_only_by_below(scratch.path(), unit, wanted_by);
        assert!(!has_only(&[target]), "no link");
        link("claude-auth-sync.target.wants");
        assert!(has_only(&[target]));
        assert!(!has_only(&[target, "other.service"]), "a link is missing");
        link("timers.target.wants");
        assert!(!has_only(&[target]), "an additional link");
        assert!(has_only(&[target, "timers.target"]));
        link("x.target.requires");
        assert!(!has_only(&[target, "timers.target"]));
    }
}

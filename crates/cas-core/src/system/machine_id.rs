//! Which machine this is, as noted beside a backup: two machines must not live by one login.

use std::fs;
use std::path::Path;

use crate::credential::fingerprint::Fingerprint;

/// The name of a machine: its host name for people, and a fingerprint of its machine-id, which tells machines apart and
/// stays when the host is renamed. (machine-id(5) asks not to give the id itself away.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineId(String);

impl MachineId {
    /// This machine, from its host name and the file that holds its machine-id.
    pub fn read(machine_id: &Path) -> Self {
        let host =
            nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
        let id = fs::read_to_string(machine_id).unwrap_or_default();
        match id.trim() {
            "" => Self(host),
            id => Self(format!("{host}/{}", Fingerprint::from_bytes(&format!("claude-auth-sync {id}")))),
        }
    }

    /// As it is written into a document.
    pub fn label(&self) -> &str {
        &self.0
    }

    /// Whether a document's label names another machine than this one. Documents of the former script have none and
    /// count as this machine's.
    pub fn is_other_machine(&self, label: Option<&str>) -> bool {
        label.is_some_and(|label| identity(label) != identity(&self.0))
    }
}

fn identity(label: &str) -> &str {
    label.rsplit_once('/').map_or(label, |(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_stays_itself_when_it_is_renamed() {
        let machine = MachineId("desk/0123456789abcdef".into());
        assert!(!machine.is_other_machine(None));
        assert!(!machine.is_other_machine(Some("renamed/0123456789abcdef")));
        assert!(machine.is_other_machine(Some("desk/fedcba9876543210")));
        assert!(machine.is_other_machine(Some("desk")));
    }

    #[test]
    fn the_machine_id_itself_is_not_given_away() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("machine-id");
        fs::write(&path, "0badc0de0badc0de0badc0de0badc0de\n").expect("a file");
        let machine = MachineId::read(&path);
        assert!(machine.label().contains('/') && !machine.label().contains("0badc0de"));
    }
}

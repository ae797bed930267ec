//! Identifies the machine that wrote a backup, because two machines must not use one login.

use std::fs;
use std::path::Path;

use crate::credential::fingerprint::Fingerprint;

/// The identity of a machine: its host name and a fingerprint of its machine id. Cloned machines
/// share the machine id, and host names are reused, so both must be equal. (machine-id(5) asks not
/// to reveal the id itself.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineId(String);

impl MachineId {
    /// Reads the identity of this machine from its host name and the file with its machine id.
    pub fn read(machine_id: &Path) -> Self {
        let host =
            nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
        let id = fs::read_to_string(machine_id).unwrap_or_default();
        match id.trim() {
            "" => Self(host),
            id => Self(format!("{host}/{}", Fingerprint::from_bytes(&format!("claude-auth-sync {id}")))),
        }
    }

    /// Returns the identity as it is written into a document.
    pub fn label(&self) -> &str {
        &self.0
    }

    /// Returns true if a document's label names another machine. Documents of the former script
    /// have no label and count as written by this machine.
    pub fn is_other_machine(&self, label: Option<&str>) -> bool {
        label.is_some_and(|label| label != self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_differs_by_host_name_or_machine_id() {
        let machine = MachineId("desk/0123456789abcdef".into());
        assert!(!machine.is_other_machine(None));
        assert!(!machine.is_other_machine(Some("desk/0123456789abcdef")));
        assert!(machine.is_other_machine(Some("clone/0123456789abcdef")));
        assert!(machine.is_other_machine(Some("desk/fedcba9876543210")));
        assert!(machine.is_other_machine(Some("desk")));
    }

    #[test]
    fn machine_label_does_not_reveal_the_machine_id() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("machine-id");
        fs::write(&path, "0badc0de0badc0de0badc0de0badc0de\n").expect("a file");
        let machine = MachineId::read(&path);
        assert!(machine.label().contains('/') && !machine.label().contains("0badc0de"));
    }
}

//! The guest's message bus, which every login needs: sshd asks logind for a session there, and logind asks systemd.

use super::Guest;

/// How a login's session comes about, without a login: a request to systemd over the bus that it has to look up the
/// sender of, and one to logind. `systemctl` shows nothing of this: root's goes past the bus. What is started runs already.
const ASK: &str = "busctl --quiet --timeout=5 call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
    org.freedesktop.systemd1.Manager StartUnit ss system.slice replace && loginctl list-sessions";

impl Guest {
    /// Waits until systemd and logind answer on the bus. That may be a moment after systemd has said that it runs, and has
    /// once been 25 seconds after a login that followed the boot and four reloads within a second: systemd itself waited for
    /// an answer of the bus, gave up, and connected anew.
    ///
    /// # Panics
    /// When they do not within a minute.
    #[track_caller]
    pub fn wait_for_bus(&self) {
        assert!(self.bus_answers(), "systemd and logind do not answer on the bus");
    }

    /// Whether they do, within a minute.
    pub(super) fn bus_answers(&self) -> bool {
        self.run(&format!(
            "end=$(($(date +%s) + 60))
             until {{ {ASK}; }} >/dev/null 2>&1; do [ $(date +%s) -lt $end ] || exit 1; sleep 0.02; done"
        ))
        .succeeded()
    }
}

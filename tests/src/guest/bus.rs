//! The message bus of the guest, which every login needs: sshd requests a session from logind, and
//! logind asks systemd.

use super::Guest;

/// Does what creates the session of a login, without a login: a request to systemd over the bus,
/// for which systemd looks up the sender, and one to logind. `systemctl` does not test this,
/// because root's requests do not use the bus. The started unit is already running.
const ASK: &str = "busctl --quiet --timeout=5 call org.freedesktop.systemd1 /org/freedesktop/systemd1 \
    org.freedesktop.systemd1.Manager StartUnit ss system.slice replace && loginctl list-sessions";

impl Guest {
    /// Waits until systemd and logind answer on the bus. That may be a moment after systemd reports
    /// that it runs. Once it took 25 seconds, after a login that followed the boot and four reloads
    /// within a second: systemd itself waited for an answer of the bus, timed out, and connected
    /// again.
    ///
    /// # Panics
    /// If they do not within a minute.
    #[track_caller]
    pub fn wait_for_bus(&self) {
        assert!(self.bus_answers(), "systemd and logind do not answer on the bus");
    }

    /// Returns true if they do within a minute.
    pub(super) fn bus_answers(&self) -> bool {
        self.run(&format!(
            "{{ {ASK}; }} >/dev/null 2>&1 && exit; end=$(($(date +%s) + 60))
             until {{ {ASK}; }} >/dev/null 2>&1; do [ $(date +%s) -lt $end ] || exit 1; sleep 0.02; done"
        ))
        .succeeded()
    }
}

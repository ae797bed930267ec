//! The product in the guest: its Debian package, installed by dpkg, enabled by pam-auth-update.

use std::io;
use std::path::Path;

use super::{CommandResult, Guest, Suite};
use crate::programs;

/// The identifier of all lines of the product in the journal.
pub const IDENTIFIER: &str = "claude-auth-sync";

/// The unit that all user units belong to.
const TARGET: &str = "claude-auth-sync.target";

/// The line that pam-auth-update writes for the product into the session stack.
const PAM_LINE: &str = "pam_cas_session.so";

/// Configures the sync to verify nothing.
const NO_CLIENT: &str = "d=/etc/claude-auth-sync/conf.d && umask 022 && mkdir -p $d \
    && echo 'verify = false' >$d/90-no-claude.toml.new && mv $d/90-no-claude.toml.new $d/90-no-claude.toml";

impl Guest {
    /// Boots a guest in which the package is installed already, in the state that
    /// [`Guest::install_product`] leaves.
    ///
    /// # Panics
    /// If there is no such guest; the text names the remedy.
    #[track_caller]
    pub fn boot_with_product(suite: Suite) -> Self {
        Self::start_with_product(suite, &[]).unwrap_or_else(|error| panic!("no guest: {error}"))
    }

    /// As [`Guest::boot_with_product`], with files of this host mounted in the guest, as in
    /// [`Guest::start_with_files`].
    pub(super) fn start_with_product(suite: Suite, files: &[(&Path, &str)]) -> io::Result<Self> {
        let guest = Self::start_on_layers(suite, Some(&programs::package()), files)?;
        guest.disable_verification_without_client();
        Ok(guest)
    }

    /// Installs the package of the release build as an administrator does, which enables the module
    /// for interactive logins.
    ///
    /// Nothing runs by itself: the host is paused, as an administrator would pause it, and
    /// enrolling only enables units. The requests of a scenario stay unanswered, and it runs its
    /// own syncs. Scenarios about units call [`Guest::resume`].
    ///
    /// # Panics
    /// If it does not exist, or cannot be installed.
    #[track_caller]
    pub fn install_product(&self) {
        self.run(&format!("systemctl mask --no-reload --quiet {TARGET}")).expect_success("pausing the host");
        self.install_package(&programs::package());
        self.wait_for_bus();
        self.disable_verification_without_client();
        self.expect_module();
    }

    fn disable_verification_without_client(&self) {
        self.run(&format!("command -v claude || {{ {NO_CLIENT}; }}")).expect_success("without a client");
    }

    /// Ends the pause of [`Guest::install_product`]: enabled units run from now on.
    ///
    /// # Panics
    /// If systemd does not start it.
    #[track_caller]
    pub fn resume(&self) {
        self.run(&format!(
            "systemctl unmask --no-reload --quiet {TARGET} && systemctl enable --now --quiet {TARGET}"
        ))
        .expect_success("ending the pause");
        self.wait_for_bus();
    }

    /// Puts the module into the session stack, as installing it does.
    ///
    /// # Panics
    /// If pam-auth-update does not take the profile.
    #[track_caller]
    pub fn enable_module(&self) {
        self.run("pam-auth-update --package").expect_success("enabling the module");
        self.expect_module();
    }

    #[track_caller]
    fn expect_module(&self) {
        let stack = self.run("cat /etc/pam.d/common-session").text();
        // pam-auth-update exits with 0 also when it changes nothing.
        assert!(stack.contains(PAM_LINE), "pam-auth-update did not take the profile:\n{stack}");
    }

    /// Removes the module from the session stack, and changes nothing else.
    #[track_caller]
    pub fn disable_module(&self) {
        self.run("pam-auth-update --package --remove claude-auth-sync")
            .expect_success("disabling the module");
    }

    /// Gives the module these arguments instead of none.
    #[track_caller]
    pub fn module_arguments(&self, arguments: &str) {
        self.run(&format!(
            "sed -i 's|{PAM_LINE}.*|{PAM_LINE} {arguments}|' /etc/pam.d/common-session && grep -q '{PAM_LINE} {arguments}' /etc/pam.d/common-session"
        ))
        .expect_success("changing the module's arguments");
    }

    /// Makes the sync find no `claude` to verify with.
    #[track_caller]
    pub fn disable_verification(&self) {
        self.run(NO_CLIENT).expect_success("writing the configuration");
    }

    /// Removes the configuration except the file of [`Self::disable_verification`].
    #[track_caller]
    pub fn forget_configuration(&self) {
        self.run("rm -rf /etc/claude-auth-sync").expect_success("no configuration");
        self.disable_verification();
    }

    /// Writes `/etc/claude-auth-sync/config.toml`.
    #[track_caller]
    pub fn configure(&self, toml: &str) {
        let folder = "install -d -m 755 /etc/claude-auth-sync";
        self.write_after(folder, "/etc/claude-auth-sync/config.toml", "root", "644", toml.as_bytes());
    }

    /// Runs `cas-sync enroll USER` as root and returns its output.
    #[track_caller]
    pub fn enroll(&self, user: &str) -> String {
        self.run(&format!("cas-sync enroll {user}")).expect_success("enrolling").text()
    }

    /// Stops a user's watcher. A sync that starts meanwhile starts it again, which cancels the
    /// stop.
    ///
    /// # Panics
    /// If five syncs do so, or it cannot be stopped.
    #[track_caller]
    pub fn stop_watch(&self, user: &str) {
        let stop = || self.run(&format!("systemctl stop claude-auth-watch@{user}.service"));
        let was_canceled = |stopped: &CommandResult| {
            !stopped.succeeded() && String::from_utf8_lossy(&stopped.stderr).contains("canceled")
        };
        let stopped = (0..4).map(|_| stop()).find(|stopped| !was_canceled(stopped)).unwrap_or_else(stop);
        stopped.expect_success("stopping the watch");
    }

    /// Runs `cas-sync run` as its service does: in a unit of the user, outside of any login.
    pub fn sync(&self, user: &str) -> CommandResult {
        self.run(&format!("systemd-run --quiet --pipe --wait --collect --uid={user} cas-sync run"))
    }

    /// Publishes the state of the last sync of a user, as the service of a sync does at its end.
    /// After [`Guest::sync`] the dispatcher of requests starts that, which does not run on a paused
    /// host.
    ///
    /// # Panics
    /// If it cannot be published.
    #[track_caller]
    pub fn publish(&self, user: &str) {
        self.run(&format!("cas-sync internal publish-state {user}")).expect_success("publishing");
    }

    /// Returns all lines of the product in the journal, oldest first.
    pub fn product_journal(&self) -> String {
        self.journal(IDENTIFIER)
    }
}

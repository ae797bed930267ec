//! The Debian package of the product in the guest: installation and removal by dpkg.

use std::path::Path;

use super::{CommandResult, Guest};

/// The name of the package.
pub const PACKAGE: &str = "claude-auth-sync";

/// The path of a package in the guest before it is installed.
const FILE: &str = "/root/package.deb";

impl Guest {
    /// Puts a Debian package of this machine into the guest, as `/root/package.deb`.
    #[track_caller]
    pub fn put_package(&self, package: &Path) {
        self.copy_in(package, FILE);
    }

    /// Installs a Debian package of this host over an installed one. Returns the output of dpkg and
    /// its scripts.
    ///
    /// # Panics
    /// If dpkg fails.
    #[track_caller]
    pub fn install_package(&self, package: &Path) -> String {
        self.copy_in(package, "/root/package.deb");
        // Without syncing the disk: no file of the guest outlives it.
        self.run(
            "dpkg --force-unsafe-io --force-confold --install /root/package.deb 2>&1 && rm /root/package.deb",
        )
        .expect_success("installing the package")
        .text()
    }

    /// Removes the package and keeps its configuration. The output is that of dpkg and its scripts.
    pub fn remove_package(&self) -> CommandResult {
        self.run(&format!("dpkg --force-unsafe-io --remove {PACKAGE} 2>&1"))
    }

    /// Purges the package, as [`Guest::remove_package`] does and its configuration with it.
    pub fn purge_package(&self) -> CommandResult {
        self.run(&format!("dpkg --force-unsafe-io --purge {PACKAGE} 2>&1"))
    }

    /// Returns the files and units of the product, one per line, except homes, files that stay
    /// until a purge (the configuration and the identity bindings), and dpkg's records.
    pub fn remaining_product_files(&self) -> String {
        self.run(
            "find / /run -xdev -path /proc -prune -o '(' -iname '*claude?auth*' -o -name 'pam_cas*' -o -name 'cas-s*' ')' -print \
                | grep -v -e ^/home/ -e '^/etc/claude-auth-sync$' -e '^/etc/profile.d/claude-auth-sync.sh$' -e '^/var/lib/claude-auth-sync$' -e ^/run/systemd/ -e ^/var/lib/dpkg/info/
             ls -A /var/lib/claude-auth-sync 2>/dev/null | grep -v '^identities$' | sed 's|^|/var/lib/claude-auth-sync/|'
             systemctl list-units --all --no-legend --plain 'claude-auth-*'
             grep -r pam_cas /etc/pam.d /var/lib/pam",
        )
        .text()
    }
}

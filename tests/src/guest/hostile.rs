//! A user of the guest who attacks other users and root.

use std::path::Path;

use super::Guest;

/// The path of the program in the guest.
const PROGRAM: &str = "/usr/local/bin/hostile-user";

impl Guest {
    /// Installs the program `hostile-user` in the guest; `env!("CARGO_BIN_EXE_hostile-user")` names
    /// it. It may mount FUSE there, as any user of a Debian may.
    ///
    /// # Panics
    /// If this machine's kernel has no FUSE, or the guest no device for it.
    #[track_caller]
    pub fn install_hostile_user(&self, program: &str) {
        self.install_program(Path::new(program), PROGRAM);
        self.run("test -c /dev/fuse || mknod /dev/fuse c 10 229; chmod 666 /dev/fuse && grep -qw fuse /proc/filesystems && : <>/dev/fuse")
            .expect_success("FUSE in the guest: load the kernel module fuse on this machine");
    }

    /// Starts this attack of `user` in the slice of the user's sessions. It lasts until the guest
    /// ends or the unit is stopped. Returns the name of the unit.
    ///
    /// # Panics
    /// If it does not start.
    #[track_caller]
    pub fn start_hostile(&self, user: &str, what: &str) -> String {
        let words: Vec<&str> = what.split(' ').collect();
        let name = format!("hostile-{user}-{}", words.first().unwrap_or(&""));
        self.run(&format!(
            "systemd-run --quiet --collect --unit={name} --slice=user-$(id -u {user}).slice --property=LimitNOFILE=8192 --uid={user} {PROGRAM} {what}"
        ))
        .expect_success(what);
        name
    }
}

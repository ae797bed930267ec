//! Requests for a sync, as a login sends them: the time of a file of the user.

use super::Guest;

const FILES: &str = "/run/claude-auth-requests";
const RECORD: &str = "/root/requests";

/// Creates the files of all regular accounts and of root, and records each request.
const RECORDER: &str = "\
    my $d = \"/run/claude-auth-requests\"; mkdir $d; chmod 0755, $d; my %u; \
    open(R, \">\", \"/root/requests\") or die; select R; $| = 1; \
    while (1) { endpwent; while (my @p = getpwent) { \
    my $u = $p[2]; next if $u{$u}++ || $u && ($u < 1000 || $u > 60000); \
    unlink \"$d/$u\"; system \"mkfifo\", \"-m\", \"0\", \"$d/$u\"; utime 0, 0, \"$d/$u\"; chown $u, 0, \"$d/$u\" } \
    for my $u (keys %u) { next unless (lstat \"$d/$u\")[9]; utime 0, 0, \"$d/$u\"; print \"$u\\n\" } \
    select undef, undef, undef, 0.005 }";

impl Guest {
    /// Requests a sync of the user's login, without a login.
    ///
    /// # Panics
    /// If there is no request file.
    #[track_caller]
    pub fn request_sync(&self, user: &str) {
        let file = format!("{FILES}/$(id -u '{user}')");
        self.run(&format!(
            "test -p {file} && runuser -u '{user}' -- touch --no-create --no-dereference {file}"
        ))
        .expect_success("a request");
    }

    /// Replaces the dispatcher by a recorder, where the units are paused. It starts nothing, and
    /// records the users of the requests.
    ///
    /// # Panics
    /// If it does not start.
    #[track_caller]
    pub fn record_requests(&self) {
        self.run(&format!(
            "systemd-run --quiet --collect --unit=request-recorder perl -e '{RECORDER}' && until test -e {RECORD}; do sleep 0.05; done"
        ))
        .expect_success("a recorder of requests");
    }

    /// Returns the number of recorded requests of the user.
    ///
    /// # Panics
    /// If no recorder runs.
    #[track_caller]
    pub fn recorded_requests(&self, user: &str) -> usize {
        // The recorder checks the files one after the other: once two requests of root are
        // recorded, so is every earlier one.
        for _ in 0..2 {
            let own = || self.run(&format!("grep -cx 0 {RECORD}; true")).text();
            let before = own();
            self.request_sync("root");
            while own() == before {
                assert!(
                    self.run("systemctl is-active request-recorder").succeeded(),
                    "nothing records requests"
                );
            }
        }
        let of_user = self.run(&format!("grep -cx \"$(id -u '{user}')\" {RECORD}; true")).text();
        of_user.trim().parse().expect("a number")
    }

    /// Makes the dispatcher forget the times of the started syncs. The next dispatcher answers
    /// waiting requests.
    ///
    /// # Panics
    /// If it cannot be restarted.
    #[track_caller]
    pub fn forget_request_limits(&self) {
        self.run("systemctl restart claude-auth-request.service")
            .expect_success("a dispatcher without limits");
    }
}

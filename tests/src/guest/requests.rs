//! Requests for a sync, as a login sends them: connections to one socket.

use super::Guest;

const SOCKET: &str = "/run/claude-auth-sync/request.sock";
const RECORD: &str = "/root/requests";

impl Guest {
    /// Requests a sync of the user's login, without a login.
    ///
    /// # Panics
    /// If the socket does not take it.
    #[track_caller]
    pub fn request_sync(&self, user: &str) {
        let connect = format!(
            "use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0) or die; connect(S, sockaddr_un(\"{SOCKET}\")) or die \"$!\""
        );
        self.run(&format!("runuser -u '{user}' -- perl -e '{connect}'")).expect_success("a request");
    }

    /// Replaces the dispatcher by a listener, where the units are paused. It starts nothing, and
    /// records the users of the requests.
    ///
    /// # Panics
    /// If it does not start.
    #[track_caller]
    pub fn record_requests(&self) {
        let record = format!(
            "use Socket; $| = 1; unlink \"{SOCKET}\"; socket(S, PF_UNIX, SOCK_STREAM, 0) or die; bind(S, sockaddr_un(\"{SOCKET}\")) or die; \
             chmod 0666, \"{SOCKET}\"; listen(S, 100) or die; open(R, \">\", \"{RECORD}\") or die; select R; $| = 1; \
             while (accept(C, S)) {{ my ($p, $u) = unpack(\"lll\", getsockopt(C, SOL_SOCKET, 17)); print \"$u\\n\"; close C }}"
        );
        self.run(&format!(
            "mkdir -p -m 755 /run/claude-auth-sync && systemd-run --quiet --collect --unit=request-recorder perl -e '{record}' && until test -e {RECORD}; do sleep 0.05; done"
        ))
        .expect_success("a recorder of requests");
    }

    /// Returns the number of recorded requests of the user.
    ///
    /// # Panics
    /// If no recorder runs.
    #[track_caller]
    pub fn recorded_requests(&self, user: &str) -> usize {
        // The queue is in order: once root's own request is recorded, so is every earlier one.
        let own = || self.run(&format!("grep -cx 0 {RECORD}; true")).text();
        let before = own();
        self.request_sync("root");
        while own() == before {
            assert!(self.run("systemctl is-active request-recorder").succeeded(), "nothing records requests");
        }
        let of_user = self.run(&format!("grep -cx \"$(id -u '{user}')\" {RECORD}; true")).text();
        of_user.trim().parse().expect("a number")
    }

    /// Makes the dispatcher forget the times of the started syncs. The next dispatcher answers
    /// waiting requests.
    ///
    /// # Panics
    /// If it does not end within a minute.
    #[track_caller]
    pub fn forget_request_limits(&self) {
        let dispatcher = || {
            let output =
                self.run("systemctl show --property=MainPID --value claude-auth-request.service").text();
            output.trim().to_owned()
        };
        let before = dispatcher();
        if before != "0" {
            self.run(&format!("kill {before}")).expect_success("a dispatcher");
            crate::wait_until("the end of the dispatcher", || dispatcher() != before);
        }
    }
}

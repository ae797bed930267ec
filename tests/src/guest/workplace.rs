//! A guest in which people use the real Claude Code, against a stand-in for Anthropic's servers on the guest's own
//! loopback.

use std::{fs::File, io, net::TcpListener, thread, time::Duration};

use nix::sched::{CloneFlags, setns};

use super::{Finished, Guest, Suite};
use crate::{
    anthropic::{API_HOST, FakeAnthropic, Login, PLATFORM_HOST},
    claude_client, claude_login, now_ms,
    tls_authority::TlsAuthority,
};

const CLIENT: &str = "/usr/local/bin/claude";
const AUTHORITY: &str = "/etc/anthropic-stand-in.pem";

/// The environment of every session (pam_env reads it): whom the client trusts, and that it asks nobody but for inference.
const ENVIRONMENT: &str = "\
NODE_EXTRA_CA_CERTS=/etc/anthropic-stand-in.pem
CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1
DISABLE_TELEMETRY=1
DISABLE_ERROR_REPORTING=1
DISABLE_AUTOUPDATER=1
CLAUDE_CODE_MAX_RETRIES=1
";

/// One question, one answer.
const QUESTION: &str = "claude -p 'Reply with AUTH_OK.' --model haiku --max-turns 1 --no-session-persistence --tools '' \
                        --disable-slash-commands --setting-sources '' </dev/null";

/// A guest with the product, the client and its servers. The servers end before the guest does.
pub struct Workplace {
    /// The stand-in.
    pub anthropic: FakeAnthropic,
    /// The workstation.
    pub guest: Guest,
}

impl Workplace {
    /// Boots it and enrolls alice.
    ///
    /// # Panics
    /// When the client is not installed on this machine; the text says what installs it.
    #[track_caller]
    pub fn start(suite: Suite) -> Self {
        Self::around(Guest::with_product(suite, &["alice"]))
            .unwrap_or_else(|error| panic!("no workplace: {error}"))
    }

    /// Brings the client and its servers into a guest.
    ///
    /// # Errors
    /// When the client is not installed on this machine (the text says what installs it), or nobody may listen on the
    /// guest's loopback.
    pub fn around(guest: Guest) -> io::Result<Self> {
        guest.install_program(&claude_client::installed(claude_client::NEWEST)?, CLIENT);
        let authority = TlsAuthority::new("claude-auth-sync tests: Anthropic");
        guest.write(AUTHORITY, "root", "644", authority.certificate_pem().as_bytes());
        guest.write("/etc/environment", "root", "644", ENVIRONMENT.as_bytes());
        guest
            .run(&format!("echo '127.0.0.1 {API_HOST} {PLATFORM_HOST}' >>/etc/hosts"))
            .expect_success("the names of Anthropic's servers");
        let listener = guest.listen("127.0.0.1:443")?;
        Ok(Self { anthropic: FakeAnthropic::start(vec![listener], &authority), guest })
    }

    /// Alice signs in to Claude: her login file holds what `claude auth login` would have left.
    #[track_caller]
    pub fn sign_in(&self, lifetime: Duration) -> Login {
        let login = self.anthropic.sign_in("alice", lifetime);
        let mut file = claude_login::parsed(&claude_login::fresh("unused"));
        let expires_at = now_ms() + u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        file["claudeAiOauth"] = login.oauth_object(i64::try_from(expires_at).unwrap_or(i64::MAX));
        self.guest.put_login("alice", &file.to_string());
        login
    }

    /// Alice logs in by ssh and asks Claude something.
    pub fn ask_claude(&self) -> Finished {
        self.guest.ssh("alice", QUESTION)
    }

    /// Alice asks Claude something in a session that is there already, such as one of tmux: no login, so no repair.
    pub fn ask_claude_without_login(&self) -> Finished {
        self.guest.run(&format!(
            "systemd-run --quiet --pipe --wait --collect --uid=alice --working-directory=/home/alice \
             --property=EnvironmentFile=/etc/environment sh -c \"{QUESTION}\""
        ))
    }
}

impl Guest {
    /// A listener of this process on the guest's own network.
    ///
    /// # Errors
    /// Those of setns(2) and of binding.
    pub fn listen(&self, address: &str) -> io::Result<TcpListener> {
        let network = File::open(format!("/proc/{}/ns/net", self.leader()))?;
        // A thread of its own enters; a socket stays where it was made.
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&network, CloneFlags::CLONE_NEWNET)?;
                TcpListener::bind(address)
            });
            inside.join().map_err(|_| io::Error::other("the thread that listens has panicked"))?
        })
    }
}

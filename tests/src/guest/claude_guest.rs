//! A guest whose users run the real Claude Code client, in a network that contains only the
//! simulated Anthropic servers.
//!
//! The client is the copy of this host, mounted read-only in the guest. The simulation runs in this
//! process and listens on the loopback of the guest. hosts(5) of the guest directs the client
//! there, and `/etc/environment` makes every session trust the CA of the simulation.

use std::{fs::File, io, net::TcpListener, path::Path, process::Stdio, thread, time::Duration};

use nix::sched::{CloneFlags, setns};
use serde_json::{Value, json};

use super::{Guest, Suite};
use crate::{
    anthropic::{API_HOST, FakeAnthropic, Login, PLATFORM_HOST, Reuse},
    claude_client::{self, ClientOutput, Conversation, NEWEST, in_hours},
    claude_login::parsed,
    openbao::{Bao, Policy, Prefix, VaultUser},
    tls_authority::TlsAuthority,
};

/// The path of the client in the guest.
const CLIENT: &str = "/usr/local/bin/claude";
/// The CA of the simulation, in the guest.
const AUTHORITY: &str = "/etc/anthropic-stand-in.pem";

/// The output of the client when its refresh token was rejected.
const SESSION_EXPIRED: &str = "Failed to authenticate: OAuth session expired and could not be refreshed";

/// One short question, answered in JSON events, as a script would ask it in a session.
const QUESTION: &str = "claude -p 'Reply with AUTH_OK.' --model haiku --output-format stream-json --verbose";
/// Several questions to one process.
const CONVERSATION: &str =
    "claude -p --model haiku --input-format stream-json --output-format stream-json --verbose";

/// A workstation with the client, and the simulation of its servers.
pub struct ClaudeGuest {
    /// The simulation. It ends before the guest does.
    pub anthropic: FakeAnthropic,
    /// The workstation.
    pub guest: Guest,
}

impl ClaudeGuest {
    /// Boots a guest with the client and the product installed, and these users enrolled.
    ///
    /// # Panics
    /// If no such guest can be started; the text names what is missing.
    #[track_caller]
    pub fn with_product(suite: Suite, enrolled: &[&str]) -> Self {
        let own = Self::start_with_product(suite, &[])
            .unwrap_or_else(|error| panic!("no guest with Claude Code: {error}"));
        for user in enrolled {
            own.guest.enroll(user);
        }
        own
    }

    /// As [`ClaudeGuest::with_product`], with its own server as the store, and a sync that verifies
    /// with the client. Returns the server and its users.
    ///
    /// # Panics
    /// As [`ClaudeGuest::with_product`].
    #[track_caller]
    pub fn with_store(suite: Suite, enrolled: &[&str]) -> (Self, Bao, Vec<VaultUser>) {
        let own = Self::with_product(suite, enrolled);
        let bao = own.start_store();
        let vault_user = |user: &&str| {
            let vault_user = bao.create_user(user, Policy::Patch);
            own.guest.put_vault_token(user, &format!("{}\n", vault_user.token()));
            vault_user
        };
        let users = enrolled.iter().map(vault_user).collect();
        (own, bao, users)
    }

    /// Starts a server and configures the product for it.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn start_store(&self) -> Bao {
        let bao = Bao::tls_behind(&Prefix(self.guest.network_prefix()));
        let ca = std::fs::read(bao.ca_cert().expect("it is behind TLS")).expect("reading the CA");
        self.guest.configure(&format!(
            "store = \"vault\"\n[vault]\naddress = \"{}\"\nca_cert = \"/etc/claude-auth-sync/ca.pem\"\n\
             [claude.environment]\nNODE_EXTRA_CA_CERTS = \"{AUTHORITY}\"\n",
            bao.address()
        ));
        self.guest.write("/etc/claude-auth-sync/ca.pem", "root", "644", &ca);
        bao
    }

    /// Boots a guest with the client and without the product. The simulation rejects a consumed
    /// refresh token and keeps the rest of its family valid, because otherwise no backup could be
    /// restored.
    ///
    /// # Errors
    /// If the client is not installed (the text names the script), and those of [`Guest::start`].
    pub fn start(suite: Suite) -> io::Result<Self> {
        Self::start_with_files(suite, &[])
    }

    /// As [`ClaudeGuest::start`], with additional files of this host mounted in the guest.
    ///
    /// # Errors
    /// As [`ClaudeGuest::start`].
    pub fn start_with_files(suite: Suite, files: &[(&Path, &str)]) -> io::Result<Self> {
        let client = claude_client::installed(NEWEST)?;
        Self::furnish(Guest::start_with_files(suite, &[files, &[(&client, CLIENT)]].concat())?)
    }

    /// As [`ClaudeGuest::start_with_files`], with the product installed.
    ///
    /// # Errors
    /// As [`ClaudeGuest::start`].
    pub fn start_with_product(suite: Suite, files: &[(&Path, &str)]) -> io::Result<Self> {
        let client = claude_client::installed(NEWEST)?;
        Self::furnish(Guest::start_with_product(suite, &[files, &[(&client, CLIENT)]].concat())?)
    }

    fn furnish(guest: Guest) -> io::Result<Self> {
        let authority = TlsAuthority::new("claude-auth-sync tests: Anthropic");
        guest.write(AUTHORITY, "root", "644", authority.certificate_pem().as_bytes());
        guest
            .run(&format!(
                "echo 127.0.0.1 {API_HOST} {PLATFORM_HOST} >>/etc/hosts
                 echo NODE_EXTRA_CA_CERTS={AUTHORITY} >>/etc/environment
                 echo CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 >>/etc/environment"
            ))
            .expect_success("pointing Claude Code at the simulation");
        let trust = format!("[claude]\nenvironment = {{ NODE_EXTRA_CA_CERTS = {AUTHORITY:?} }}\n");
        guest
            .run("install -d -m 755 /etc/claude-auth-sync/conf.d")
            .expect_success("making the configuration folder");
        guest.write("/etc/claude-auth-sync/conf.d/80-stand-in.toml", "root", "644", trust.as_bytes());
        let anthropic = FakeAnthropic::start(vec![guest.listen("127.0.0.1:443")?], &authority);
        anthropic.on_reuse(Reuse::IsRefused);
        Ok(Self { anthropic, guest })
    }

    /// Signs a user in, one minute ago: the login file has tokens that are valid for eight hours.
    #[track_caller]
    pub fn sign_in(&self, user: &str) -> Login {
        let login = self.anthropic.sign_in(user, Duration::from_secs(8 * 3600));
        self.guest.put_login(user, &file_with(&login, 8));
        login
    }

    /// Signs a user in, yesterday: the access token has expired, and the refresh token is valid.
    #[track_caller]
    pub fn sign_in_yesterday(&self, user: &str) -> Login {
        let login = self.anthropic.sign_in(user, Duration::from_secs(8 * 3600));
        assert!(self.anthropic.expire(&login.family), "it was signed in a moment ago");
        self.guest.put_login(user, &file_with(&login, -12));
        login
    }

    /// Returns the output of `claude` in a new ssh login of a user.
    #[track_caller]
    pub fn claude(&self, user: &str) -> ClientOutput {
        self.claude_in(|question| self.guest.ssh(user, question))
    }

    /// Returns the answer of `claude`, run by `run`, which gets a shell command line.
    pub fn claude_in(&self, run: impl FnOnce(&str) -> super::CommandResult) -> ClientOutput {
        let ended = run(QUESTION);
        ClientOutput::new(ended.code, ended.text(), String::from_utf8_lossy(&ended.stderr).into_owned())
    }

    /// Starts a `claude` conversation in a new ssh login of a user.
    #[track_caller]
    pub fn start_conversation(&self, user: &str) -> Conversation {
        let mut session = self.guest.ssh_command(user, &["-T"], CONVERSATION);
        session.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Conversation::new(session.spawn().unwrap_or_else(|error| panic!("starting ssh: {error}")))
    }

    /// Lets the client lose a user's login: it exchanges yesterday's refresh token, the sync backs
    /// the login up, then yesterday's file is written again, and the server rejects its consumed
    /// token. Returns the login file as it was before.
    ///
    /// # Panics
    /// If the client does not clear the login.
    #[track_caller]
    pub fn lose_login(&self, user: &str) -> Value {
        self.lose_login_with(user, || self.claude(user))
    }

    /// As above, with another way to run the client.
    ///
    /// # Panics
    /// As [`Self::lose_login`].
    #[track_caller]
    pub fn lose_login_with(&self, user: &str, mut ask: impl FnMut() -> ClientOutput) -> Value {
        self.sign_in_yesterday(user);
        let yesterday = self.guest.read_login(user);
        let output = ask();
        assert!(output.answered(), "{output:?}");
        self.guest.sync(user).expect_success("the first backup");
        let good = parsed(&self.guest.read_login(user));

        // The product would replace the superseded file before the client can see it.
        let marker = format!("/var/lib/claude-auth-sync/enrolled/{user}");
        let is_enrolled = self.guest.run(&format!("mv {marker} /root/enrolled-{user}")).code == Some(0);
        self.guest.put_login(user, &yesterday);
        let output = ask();
        if is_enrolled {
            self.guest.run(&format!("mv /root/enrolled-{user} {marker}")).expect_success("enrolled again");
        }
        assert!(output.text().starts_with(SESSION_EXPIRED), "{output:?}");
        assert!(is_cleared(&parsed(&self.guest.read_login(user))), "the client did not empty the login");
        self.anthropic.forget_requests();
        good
    }
}

impl Guest {
    /// Returns a socket of this process that listens on this address of the guest's network.
    fn listen(&self, address: &'static str) -> io::Result<TcpListener> {
        let network = File::open(format!("/proc/{}/ns/net", self.leader()))?;
        // The namespace belongs to the thread, which ends with the call.
        let listening = thread::spawn(move || {
            setns(network, CloneFlags::CLONE_NEWNET)?;
            TcpListener::bind(address)
        });
        listening.join().unwrap_or_else(|_| Err(io::Error::other("the thread that listens has panicked")))
    }
}

/// Returns true if a login file is in the state in which the client leaves it after a rejected
/// refresh.
pub fn is_cleared(file: &Value) -> bool {
    let login = &file["claudeAiOauth"];
    login["accessToken"] == "" && login["refreshToken"] == "" && login["expiresAt"] == 0
}

/// Returns a login file with a key of another program.
fn file_with(login: &Login, good_for_hours: i64) -> String {
    let other = json!({"tracker|0123456789abcdef": {"serverName": "tracker", "accessToken": "mcp-secret"}});
    json!({"claudeAiOauth": login.oauth_object(in_hours(good_for_hours)), "mcpOAuth": other}).to_string()
}

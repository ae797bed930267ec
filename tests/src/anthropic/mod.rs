//! Simulates the two servers that Claude Code talks to, `api.anthropic.com` and
//! `platform.claude.com`: inference, the requests about the account, and a token endpoint with
//! single-use, rotating refresh tokens. It listens where its caller specifies, on loopback, and
//! never connects to a server.
//!
//! The suites test the reaction of the real client to an answer. They do not test whether the real
//! servers give that answer in a given situation.

mod answer;
pub mod control;
mod http;
mod requests;
mod server;
mod state;
mod tokens;

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, mem};

use cas_protocol::deadline::Deadline;
use nix::sys::socket::{Shutdown, shutdown};

pub use self::answer::{MessageAnswer, RefreshAnswer, RevokeAnswer, SettingsAnswer};
pub use self::requests::{LoggedRequest, fingerprint};
use self::state::State;
pub use self::tokens::{Account, Login, Reuse, SCOPES};
use crate::tls_authority::TlsAuthority;

/// The path of inference.
pub const API_HOST: &str = "api.anthropic.com";
/// The path of the exchange of refresh tokens; no setting of the client changes it.
pub const PLATFORM_HOST: &str = "platform.claude.com";

const MESSAGES: &str = "/v1/messages";
const TOKEN: &str = "/v1/oauth/token";
const REVOKE: &str = "/v1/oauth/token/revoke";

/// A running simulation. Dropping it closes its listeners and the connections that it holds.
pub struct FakeAnthropic {
    state: Arc<State>,
    listeners: Vec<Arc<TcpListener>>,
    threads: Vec<JoinHandle<()>>,
}

impl FakeAnthropic {
    /// Serves on `listeners` (a socket stays in the network namespace in which it was created) with
    /// a leaf certificate of `authority`.
    pub fn start(listeners: Vec<TcpListener>, authority: &TlsAuthority) -> Self {
        let config = authority.leaf(&[API_HOST, PLATFORM_HOST]).server_config();
        let state = Arc::new(State::default());
        let listeners: Vec<_> = listeners.into_iter().map(Arc::new).collect();
        let serve = |listener: &Arc<TcpListener>| {
            let (listener, config, state) = (Arc::clone(listener), Arc::clone(&config), Arc::clone(&state));
            thread::spawn(move || server::serve(&listener, &config, &state))
        };
        let threads = listeners.iter().map(serve).collect();
        Self { state, listeners, threads }
    }

    /// Returns the socket addresses of the listeners.
    ///
    /// # Errors
    /// Errors of `getsockname`.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.iter().map(|listener| listener.local_addr()).collect()
    }

    /// Signs in `user` with a new family of tokens. Each of its access tokens is accepted for
    /// `lifetime`.
    pub fn sign_in(&self, user: &str, lifetime: Duration) -> Login {
        self.state.change(|state| state.tokens.sign_in(user, lifetime, Instant::now()))
    }

    /// Simulates a sign-in to `account` in a browser, which displays `code` (a text without `#`).
    /// The client that redeems it, once, gets a family of tokens, named after the part of the email
    /// before the `@`.
    pub fn show_code(&self, code: &str, account: Account) {
        self.state.change(|state| state.tokens.show_code(code, account));
    }

    /// Makes the server accept `token` permanently.
    pub fn accept_setup_token(&self, token: &str) {
        self.state.change(|state| state.tokens.accept_setup_token(token));
    }

    /// Expires the access tokens of a family; its newest refresh token stays valid. Returns false
    /// if there is no such family.
    pub fn expire(&self, family: &str) -> bool {
        self.state.change(|state| state.tokens.expire(family, Instant::now()))
    }

    /// Lets time pass for all access tokens that were issued.
    pub fn age(&self, by: Duration) {
        self.state.change(|state| state.tokens.age(by));
    }

    /// Returns true if the server would exchange this refresh token.
    pub fn accepts_refresh_token(&self, token: &str) -> bool {
        self.state.lock().tokens.accepts(token)
    }

    /// Returns the refresh token that a family issued last, or `None` if the family was revoked.
    pub fn current_refresh_token(&self, family: &str) -> Option<String> {
        self.state.lock().tokens.current(family)
    }

    /// Revokes every token of a family. Returns false if there is no such family.
    pub fn revoke(&self, family: &str) -> bool {
        self.state.change(|state| state.tokens.revoke(family))
    }

    /// Sets the answer to inference with `token`. `None` restores the answer that the token gets by
    /// default.
    pub fn answer_messages(&self, token: &str, answer: Option<MessageAnswer>) {
        self.state.change(|state| match answer {
            Some(answer) => drop(state.answers.insert(token.to_owned(), answer)),
            None => drop(state.answers.remove(token)),
        });
    }

    /// Sets the answer to the next `count` requests for inference with `token`, and to no others.
    pub fn answer_next_messages(&self, token: &str, answer: MessageAnswer, count: usize) {
        self.state.change(|state| state.next_answers.insert(token.to_owned(), (answer, count)));
    }

    /// Sets the answer of the token endpoint.
    pub fn answer_refreshes(&self, answer: RefreshAnswer) {
        self.state.change(|state| state.refresh_answer = answer);
    }

    /// Sets the answer to a revocation.
    pub fn answer_revocations(&self, answer: RevokeAnswer) {
        self.state.change(|state| state.revoke_answer = answer);
    }

    /// Sets the answer to a request for the settings of the organization.
    pub fn answer_settings(&self, answer: SettingsAnswer) {
        self.state.change(|state| state.settings = answer);
    }

    /// Sets what a consumed refresh token does to its family.
    pub fn on_reuse(&self, reuse: Reuse) {
        self.state.change(|state| state.tokens.reuse = reuse);
    }

    /// Holds the answers of the token endpoint for at most two minutes. The endpoint processes the
    /// request, so the client is in the middle of a refresh.
    pub fn hold_refreshes(&self, held: bool) {
        self.state.change(|state| state.refreshes_held = held);
    }

    /// Holds the refreshes as [`Self::hold_refreshes`] until the value is dropped, also when a
    /// scenario fails. Otherwise its clients would wait for two minutes.
    #[must_use]
    pub fn has_held_refreshes(&self) -> HeldRefreshes<'_> {
        self.hold_refreshes(true);
        HeldRefreshes(self)
    }

    /// Returns all requests since the start or the last [`Self::forget_requests`].
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.state.lock().requests.clone()
    }

    /// Returns the requests for inference and refreshes, without those about the account.
    pub fn essential_requests(&self) -> Vec<LoggedRequest> {
        let requests = self.requests().into_iter();
        requests.filter(|request| request.is_message() || request.is_refresh()).collect()
    }

    /// Clears the log.
    pub fn forget_requests(&self) {
        self.state.change(|state| drop(mem::take(&mut state.requests)));
    }

    /// Waits until a request that satisfies `condition` is in the log. Returns false if the
    /// deadline expired first.
    pub fn wait_for(&self, deadline: &Deadline, condition: impl Fn(&LoggedRequest) -> bool) -> bool {
        self.state.wait_until(deadline, |state| state.requests.iter().any(&condition))
    }
}

/// The token endpoint holds its answers as long as this value exists.
pub struct HeldRefreshes<'a>(&'a FakeAnthropic);

impl Drop for HeldRefreshes<'_> {
    fn drop(&mut self) {
        self.0.hold_refreshes(false);
    }
}

impl Drop for FakeAnthropic {
    fn drop(&mut self) {
        self.state.change(|state| state.stopping = true);
        for listener in &self.listeners {
            // Wakes the thread that waits in accept(2).
            let _ = shutdown(listener.as_raw_fd(), Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

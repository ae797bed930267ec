//! The state of the simulation and its answers. All connections and controllers share one.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use cas_protocol::deadline::Deadline;
use serde_json::{Value, json};

use super::answer::{MessageAnswer, Reaction, RefreshAnswer, RevokeAnswer, SettingsAnswer, error};
use super::http::{Request, Response};
use super::requests::{LoggedRequest, fingerprint};
use super::tokens::{Account, Login, SCOPES, TokenStatus, Tokens};
use super::{API_HOST, MESSAGES, PLATFORM_HOST, REVOKE, TOKEN};

#[derive(Default)]
pub(super) struct State {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) tokens: Tokens,
    pub(super) answers: BTreeMap<String, MessageAnswer>,
    /// The answers to the next requests with a token, and their number; they come before the
    /// others.
    pub(super) next_answers: BTreeMap<String, (MessageAnswer, usize)>,
    pub(super) refresh_answer: RefreshAnswer,
    pub(super) refreshes_held: bool,
    pub(super) revoke_answer: RevokeAnswer,
    pub(super) settings: SettingsAnswer,
    pub(super) requests: Vec<LoggedRequest>,
    pub(super) stopping: bool,
}

impl State {
    /// Locks the state. A panic in another thread has already failed its own test; the state stays
    /// readable.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Changes the state and wakes all waiting threads.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `condition` holds. Returns false if the deadline expired first.
    pub(super) fn wait_until(&self, deadline: &Deadline, condition: impl Fn(&Inner) -> bool) -> bool {
        let mut inner = self.lock();
        while !condition(&inner) {
            if deadline.is_expired() {
                return false;
            }
            let woken = self.changed.wait_timeout(inner, deadline.remaining());
            inner = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        true
    }

    /// Logs a request and returns the reaction. Waits only while the answers of the token endpoint
    /// are held.
    pub(super) fn react(&self, request: &Request, now: Instant) -> Reaction {
        self.change(|inner| inner.requests.push(logged(request)));
        let route = (request.host(), request.method.as_str(), request.path.as_str());
        match route {
            (API_HOST, "POST", MESSAGES) => self.change(|inner| inner.message(request, now)),
            (PLATFORM_HOST, "POST", TOKEN) => {
                let reaction = self.change(|inner| inner.exchange(&request.json(), now));
                self.wait_until(&Deadline::after(MAX_HOLD), |inner| !inner.refreshes_held || inner.stopping);
                reaction
            }
            (_, "POST", REVOKE) => {
                let token = request.json()["token"].as_str().unwrap_or_default().to_owned();
                self.change(|inner| inner.revoke(&token))
            }
            (API_HOST, "GET", path) => Reaction::Answer(self.lock().account_response(path, request, now)),
            _ => Reaction::Answer(error(404, "not_found_error", "Not found")),
        }
    }
}

/// A test that holds the token endpoint and ends must not leave the client waiting forever.
const MAX_HOLD: Duration = Duration::from_secs(120);

impl Inner {
    fn message(&mut self, request: &Request, now: Instant) -> Reaction {
        let Some(token) = request.bearer() else {
            return Reaction::Answer(error(401, "authentication_error", "x-api-key header is required"));
        };
        if let Some((answer, left)) = self.next_answers.get_mut(token).filter(|(_, left)| *left > 0) {
            *left -= 1;
            return answer.reaction(&request.json());
        }
        let own = || MessageAnswer::for_standing(self.tokens.standing(token, now));
        self.answers.get(token).cloned().unwrap_or_else(own).reaction(&request.json())
    }

    fn exchange(&mut self, request: &Value, now: Instant) -> Reaction {
        let refresh_token = request["refresh_token"].as_str().unwrap_or_default();
        if request["grant_type"] == "authorization_code" {
            let code = request["code"].as_str().unwrap_or_default();
            return Reaction::Answer(match self.tokens.redeem(code, now) {
                Ok((login, account)) => Response::json(200, &signed_in(&login, &account)),
                Err(_) => invalid_grant(),
            });
        }
        match self.refresh_answer {
            RefreshAnswer::InvalidGrant => Reaction::Answer(invalid_grant()),
            RefreshAnswer::InternalError => {
                Reaction::Answer(error(500, "api_error", "Internal server error"))
            }
            RefreshAnswer::Silence => Reaction::Silence,
            _ if request["grant_type"] != "refresh_token" => Reaction::Answer(invalid_grant()),
            answer => match self.tokens.refresh(refresh_token, now) {
                Err(_) => Reaction::Answer(invalid_grant()),
                Ok(_) if answer == RefreshAnswer::RotateAndLoseTheAnswer => Reaction::Disconnect,
                Ok(login) => Reaction::Answer(Response::json(200, &pair(&login))),
            },
        }
    }

    fn revoke(&mut self, token: &str) -> Reaction {
        match self.revoke_answer {
            RevokeAnswer::Revoke => {
                self.tokens.revoke_by_token(token);
                Reaction::Answer(Response::json(200, &json!({})))
            }
            RevokeAnswer::InternalError => Reaction::Answer(error(500, "api_error", "Internal server error")),
            RevokeAnswer::Silence => Reaction::Silence,
            RevokeAnswer::Disconnect => Reaction::Disconnect,
        }
    }

    fn account_response(&self, path: &str, request: &Request, now: Instant) -> Response {
        let standing = request.bearer().map(|token| self.tokens.standing(token, now));
        if standing != Some(TokenStatus::Valid) {
            return error(401, "authentication_error", "Invalid bearer token");
        }
        match path {
            "/api/oauth/profile" => {
                let token = request.bearer().unwrap_or_default();
                let account = self.tokens.account(token).cloned().unwrap_or_else(Account::personal);
                Response::json(200, &profile(&account))
            }
            "/api/claude_code/policy_limits" => Response::json(200, &json!({"restrictions": {}})),
            "/api/claude_code/settings" => self.settings.response(),
            _ => error(404, "not_found_error", "Not found"),
        }
    }
}

fn logged(request: &Request) -> LoggedRequest {
    let body = request.json();
    let token = request.bearer().or_else(|| body["refresh_token"].as_str());
    LoggedRequest {
        host: request.host().to_owned(),
        method: request.method.clone(),
        path: request.path.clone(),
        token: token.map(fingerprint),
        key: request.header("x-api-key").map(fingerprint),
        client: request.header("user-agent").unwrap_or_default().to_owned(),
    }
}

fn invalid_grant() -> Response {
    let body = json!({"error": "invalid_grant", "error_description": "Refresh token not found or invalid"});
    Response::json(400, &body)
}

fn pair(login: &Login) -> Value {
    json!({
        "token_type": "Bearer",
        "access_token": login.access_token,
        "refresh_token": login.refresh_token,
        "expires_in": login.expires_in,
        "scope": SCOPES.join(" "),
    })
}

/// Returns the answer to the exchange of a code, which also names the account of the tokens.
fn signed_in(login: &Login, account: &Account) -> Value {
    let mut answer = pair(login);
    answer["account"] = json!({"uuid": account.uuid, "email_address": account.email});
    answer["organization"] = json!({"uuid": account.organization, "name": "Example"});
    answer
}

fn profile(account: &Account) -> Value {
    json!({
        "account": {"uuid": account.uuid, "email": account.email,
                    "full_name": "A Person", "display_name": "Person", "has_claude_max": false, "has_claude_pro": false},
        "organization": {"uuid": account.organization, "name": "Example",
                         "organization_type": "claude_enterprise", "rate_limit_tier": "default_claude_max_5x",
                         "billing_type": "stripe_subscription"},
    })
}

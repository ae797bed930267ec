//! What is asked of the server, and in which order: first whose token it is, then the document. Each request of the
//! protocol is one function that turns every answer into a value or a [`Failure`].

use nix::unistd::Uid;
use reqwest::Method;
use serde_json::value::RawValue;

use super::answer::{Deletion, Success};
use super::client::{Client, Request};
use super::identity::{self, Lookup};
use super::renewal::{self, Renewal};
use super::token_memory::{self, TokenMemory, WriteMethod};
use super::{Answer, VaultConfig, document, token_file};
use crate::deadline::Deadline;
use crate::store::{Document, Failure, Fields};

const MERGE_PATCH: &str = "application/merge-patch+json";
const JSON: &str = "application/json";

/// One run's exchange with the server.
pub(super) struct Conversation {
    config: VaultConfig,
    memory: TokenMemory,
    client: Option<Client>,
    fingerprint: String,
}

impl Conversation {
    pub(super) fn new(mut config: VaultConfig) -> Self {
        let memory = std::mem::take(&mut config.remembered);
        Self { config, memory, client: None, fingerprint: String::new() }
    }

    pub(super) fn memory(&self) -> &TokenMemory {
        &self.memory
    }

    pub(super) fn remember_method(&mut self, method: WriteMethod) {
        self.memory.writes_by = method;
    }

    pub(super) fn requests(&self) -> u64 {
        self.client.as_ref().map_or(0, Client::requests)
    }

    pub(super) fn insist_on_the_newest(&mut self) {
        if let Some(client) = &mut self.client {
            client.insist_on_the_newest();
        }
    }

    /// The newest version; one of version 0 when there is none.
    pub(super) fn read(&mut self, deadline: &Deadline) -> Result<Document, Failure> {
        self.identify(deadline)?;
        let action = self.action("reading", &self.place());
        let request = self.request(Method::GET, None);
        let received = self.client()?.send(request, &action, deadline)?;
        match received.meaning(&action) {
            Answer::Success(Success { data: Some(data), .. }) => {
                document::parse_read(data).ok_or_else(|| self.not_versioned(&action))
            }
            Answer::Success(_) => Err(self.not_versioned(&action)),
            Answer::NeverWritten => Ok(Document::default()),
            Answer::Deleted(deletion) => Err(self.gone(&deletion)),
            Answer::Denied => Err(self.why_denied("read", deadline)),
            Answer::Failed(failure) => Err(failure),
            Answer::NothingToPatch | Answer::VersionMismatch | Answer::PatchUnsupported => {
                Err(out_of_place(&action, received.status))
            }
        }
    }

    /// Lets the server merge `changes` into version `cas`; none when it does not or may not.
    pub(super) fn patch(
        &mut self,
        cas: u64,
        changes: &Fields,
        deadline: &Deadline,
    ) -> Result<Option<u64>, Failure> {
        let nothing = Fields::new();
        let body = document::write_body(&document::merged(&nothing, changes), cas);
        self.write(Method::PATCH, MERGE_PATCH, body, deadline)
    }

    /// Writes `old` with `changes` in it over the version that `old` was read from; none when that is not allowed.
    pub(super) fn put(
        &mut self,
        old: &Document,
        changes: &Fields,
        deadline: &Deadline,
    ) -> Result<Option<u64>, Failure> {
        let body = document::write_body(&document::merged(&old.fields, changes), old.version);
        self.write(Method::PUT, JSON, body, deadline)
    }

    fn write(
        &mut self,
        method: Method,
        kind: &'static str,
        body: Result<Vec<u8>, serde_json::Error>,
        deadline: &Deadline,
    ) -> Result<Option<u64>, Failure> {
        self.identify(deadline)?;
        let action = self.action("writing", &self.place());
        let body = body.map_err(|error| Failure::Refused {
            reason: format!("{action}: the document cannot be put into words: {error}"),
            remedy: "this is a mistake of claude-auth-sync; report it".to_owned(),
        })?;
        let request = self.request(method, Some((kind, body)));
        let received = self.client()?.send(request, &action, deadline)?;
        match received.meaning(&action) {
            Answer::Success(Success { data, .. }) => {
                let version = data.and_then(document::parse_written);
                self.insist_on_the_newest();
                version.map(Some).ok_or_else(|| self.not_versioned(&action))
            }
            Answer::VersionMismatch | Answer::NothingToPatch => {
                self.insist_on_the_newest();
                Err(Failure::Conflict)
            }
            Answer::Denied | Answer::PatchUnsupported => Ok(None),
            Answer::Deleted(deletion) => Err(self.gone(&deletion)),
            Answer::Failed(failure) => Err(failure),
            Answer::NeverWritten => Err(out_of_place(&action, received.status)),
        }
    }

    /// Renews the token if it is time.
    pub(super) fn renew_if_due(&mut self, deadline: &Deadline) -> Result<Renewal, Failure> {
        self.identify(deadline)?;
        if !renewal::is_due(&self.memory, self.config.now_ms) {
            return Ok(Renewal::NotDue);
        }
        if !self.memory.renewable {
            return Ok(Renewal::NotRenewable { expires_at_ms: self.memory.expires_at_ms });
        }
        let action = self.action("renewing", "the token");
        let request = self.token_request(Method::PUT, "renew-self", Some((JSON, b"{}".to_vec())));
        let received = self.client()?.send(request, &action, deadline)?;
        if let Some(words) = received.error_words().filter(|words| words.contains("not renew")) {
            return Err(Failure::Refused {
                reason: format!("{action}: {words}"),
                remedy: "this token will never be renewed again: an admin has to mint a new one".to_owned(),
            });
        }
        match received.meaning(&action) {
            Answer::Success(Success { auth: Some(auth), warnings, .. }) => {
                let expires_at_ms =
                    self.renewed(auth).ok_or_else(|| out_of_place(&action, received.status))?;
                Ok(Renewal::Renewed { expires_at_ms, warnings })
            }
            Answer::Denied => Err(self.why_denied("update on auth/token/renew-self", deadline)),
            Answer::Failed(failure) => Err(failure),
            _ => Err(out_of_place(&action, received.status)),
        }
    }

    fn renewed(&mut self, auth: &RawValue) -> Option<u64> {
        #[derive(serde::Deserialize)]
        struct Lease {
            lease_duration: u64,
        }
        let lease: Lease = serde_json::from_str(auth.get()).ok()?;
        let now_ms = self.config.now_ms;
        let expires_at_ms = now_ms.saturating_add(lease.lease_duration.saturating_mul(1000));
        self.memory.expires_at_ms = Some(expires_at_ms);
        self.memory.last_renewed_ms = now_ms;
        Some(expires_at_ms)
    }

    /// Why a request was answered with "permission denied": the server says so for a token that is no more and for one
    /// that may not do this. The failure is [`Failure::Refused`] in both cases.
    pub(super) fn why_denied(&mut self, capability: &str, deadline: &Deadline) -> Failure {
        match self.look_up(deadline) {
            Ok(_) => Failure::Refused {
                reason: format!(
                    "the policy of {}'s token does not allow {capability} on {}",
                    self.config.user,
                    self.place()
                ),
                remedy: format!(
                    "an admin has to allow it in the policy {}",
                    identity::policy(&self.config.user)
                ),
            },
            Err(failure) => failure,
        }
    }

    /// Makes sure that the token is the user's own, asking only about one that is not remembered.
    fn identify(&mut self, deadline: &Deadline) -> Result<(), Failure> {
        if self.client.is_none() {
            let token = token_file::read(&self.config.token_file, Uid::effective())?;
            self.fingerprint = token_memory::fingerprint(&self.config.address, &self.config.user, &token);
            self.client = Some(Client::new(&self.config, &token)?);
        }
        if self.memory.vouches_for(&self.fingerprint, self.config.now_ms) {
            return Ok(());
        }
        let lookup = self.look_up(deadline)?;
        let token_file = self.config.token_file.display();
        lookup.belongs_to(&self.config.user).map_err(|why| Failure::Refused {
            reason: format!("the token in {token_file} is not {}'s own: {why}", self.config.user),
            remedy: format!("put a token minted for {} there", self.config.user),
        })?;
        let is_known = self.memory.fingerprint == self.fingerprint;
        let method = if is_known { self.memory.writes_by } else { WriteMethod::default() };
        self.memory = lookup.remember(self.fingerprint.clone(), self.config.now_ms, method);
        Ok(())
    }

    fn look_up(&mut self, deadline: &Deadline) -> Result<Lookup, Failure> {
        let action = self.action("looking up", "the token");
        let request = self.token_request(Method::GET, "lookup-self", None);
        let received = self.client()?.send(request, &action, deadline)?;
        match received.meaning(&action) {
            Answer::Success(Success { data: Some(data), .. }) => {
                serde_json::from_str(data.get()).map_err(|_| out_of_place(&action, received.status))
            }
            Answer::Denied => {
                self.memory = TokenMemory::default();
                let token_file = self.config.token_file.display();
                Err(Failure::Refused {
                    reason: format!(
                        "{action}: the token in {token_file} is expired, revoked, or may not look itself up"
                    ),
                    remedy: "an admin has to mint a new one".to_owned(),
                })
            }
            Answer::Failed(failure) => Err(failure),
            _ => Err(out_of_place(&action, received.status)),
        }
    }

    fn client(&mut self) -> Result<&mut Client, Failure> {
        self.client
            .as_mut()
            .ok_or_else(|| Failure::Unreachable { reason: "no connection was prepared".to_owned() })
    }

    fn request(&self, method: Method, body: Option<(&'static str, Vec<u8>)>) -> Request {
        let VaultConfig { address, mount, path, .. } = &self.config;
        let url = address.endpoint(mount.segments().chain(["data"]).chain(path.segments()));
        Request { method, url, body }
    }

    fn token_request(&self, method: Method, verb: &str, body: Option<(&'static str, Vec<u8>)>) -> Request {
        Request { method, url: self.config.address.endpoint(["auth", "token", verb]), body }
    }

    /// The document as people write it.
    fn place(&self) -> String {
        format!("{}/{}", self.config.mount, self.config.path)
    }

    fn action(&self, verb: &str, what: &str) -> String {
        format!("{verb} {what} at {}", self.config.address)
    }

    fn gone(&self, deletion: &Deletion) -> Failure {
        let place = self.place();
        let Deletion { version, deletion_time, destroyed } = deletion;
        Failure::Gone {
            reason: match destroyed {
                true => format!("version {version} of {place} was destroyed and cannot be undeleted"),
                false => format!(
                    "version {version} of {place} was deleted on {deletion_time} and can be undeleted"
                ),
            },
        }
    }

    fn not_versioned(&self, action: &str) -> Failure {
        Failure::Refused {
            reason: format!("{action}: {} does not answer as a KV version 2 engine", self.config.mount),
            remedy: "correct the configured mount, or have an admin enable versions there".to_owned(),
        }
    }
}

/// An answer that the store gives, but not to this question.
fn out_of_place(action: &str, status: u16) -> Failure {
    Failure::Unreachable { reason: format!("{action}: an answer to another question (status {status})") }
}

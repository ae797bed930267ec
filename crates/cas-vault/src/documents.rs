//! What is asked of the server, and in which order: first whose token it is, then the document. Each request of the
//! protocol is one function that turns every answer into a value or a [`Failure`].

use reqwest::Method;

use super::http::{Client, Request};
use super::response::{Answer, Deletion, Success};
use super::token_cache::{TokenMemory, WriteMethod};
use super::{VaultConfig, kv};
use cas_core::store::{Document, Failure, Fields};
use cas_protocol::deadline::Deadline;

pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";
pub(super) const JSON: &str = "application/json";

/// One run's exchange with the server.
pub(super) struct Conversation {
    pub(super) config: VaultConfig,
    pub(super) memory: TokenMemory,
    /// Built when the token is first needed.
    pub(super) client: Option<Client>,
    /// Names the token that the client uses.
    pub(super) fingerprint: String,
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
                kv::parse_read(data).ok_or_else(|| self.not_versioned(&action))
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
        let body = kv::write_body(&kv::merged(&nothing, changes), cas);
        self.write(Method::PATCH, MERGE_PATCH, body, deadline)
    }

    /// Writes `old` with `changes` in it over the version that `old` was read from; none when that is not allowed.
    pub(super) fn put(
        &mut self,
        old: &Document,
        changes: &Fields,
        deadline: &Deadline,
    ) -> Result<Option<u64>, Failure> {
        let body = kv::write_body(&kv::merged(&old.fields, changes), old.version);
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
                let version = data.and_then(kv::parse_written);
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

    pub(super) fn client(&mut self) -> Result<&mut Client, Failure> {
        self.client
            .as_mut()
            .ok_or_else(|| Failure::Unreachable { reason: "no connection was prepared".to_owned() })
    }

    fn request(&self, method: Method, body: Option<(&'static str, Vec<u8>)>) -> Request {
        let VaultConfig { address, mount, path, .. } = &self.config;
        let url = address.endpoint(mount.segments().chain(["data"]).chain(path.segments()));
        Request { method, url, body }
    }

    pub(super) fn token_request(
        &self,
        method: Method,
        verb: &str,
        body: Option<(&'static str, Vec<u8>)>,
    ) -> Request {
        Request { method, url: self.config.address.endpoint(["auth", "token", verb]), body }
    }

    /// The document as people write it.
    pub(super) fn place(&self) -> String {
        format!("{}/{}", self.config.mount, self.config.path)
    }

    pub(super) fn action(&self, verb: &str, what: &str) -> String {
        format!("{verb} {what} at {}", self.config.address)
    }

    fn gone(&self, deletion: &Deletion) -> Failure {
        let place = self.place();
        let Deletion { version, deletion_time, destroyed } = deletion;
        Failure::Gone {
            version: *version,
            is_destroyed: *destroyed,
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
pub(super) fn out_of_place(action: &str, status: u16) -> Failure {
    Failure::Unreachable { reason: format!("{action}: an answer to another question (status {status})") }
}

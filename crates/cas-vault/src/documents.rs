//! The requests for one user's document. First the token's owner is checked, then the document is
//! read or written. Each request is one function that converts every response into a value or a
//! [`StoreError`].

use reqwest::Method;

use super::http::{Client, Request};
use super::response::{DeletedVersion, Response, Success};
use super::token_cache::{TokenCache, WriteMethod};
use super::{VaultConfig, kv};
use cas_core::store::{Document, Fields, StoreError};
use cas_protocol::deadline::Deadline;

pub(super) const MERGE_PATCH: &str = "application/merge-patch+json";
pub(super) const JSON: &str = "application/json";

/// The requests of one run.
pub(super) struct DocumentClient {
    pub(super) config: VaultConfig,
    pub(super) token_cache: TokenCache,
    /// Created when the token is first needed.
    pub(super) client: Option<Client>,
    /// Identifies the token of the client.
    pub(super) fingerprint: String,
}

impl DocumentClient {
    pub(super) fn new(mut config: VaultConfig) -> Self {
        let token_cache = std::mem::take(&mut config.token_cache);
        Self { config, token_cache, client: None, fingerprint: String::new() }
    }

    pub(super) fn token_cache(&self) -> &TokenCache {
        &self.token_cache
    }

    pub(super) fn set_write_method(&mut self, method: WriteMethod) {
        self.token_cache.write_method = method;
    }

    pub(super) fn requests(&self) -> u64 {
        self.client.as_ref().map_or(0, Client::requests)
    }

    pub(super) fn require_latest_index(&mut self) {
        if let Some(client) = &mut self.client {
            client.require_latest_index();
        }
    }

    /// Reads the newest version. Returns version 0 if there is no document.
    pub(super) fn read(&mut self, deadline: &Deadline) -> Result<Document, StoreError> {
        self.ensure_token_checked(deadline)?;
        let action = self.action("reading", &self.place());
        let request = self.request(Method::GET, None);
        let received = self.client()?.send(request, &action, deadline)?;
        match received.classify(&action) {
            Response::Success(Success { data: Some(data), .. }) => {
                kv::parse_read(data).ok_or_else(|| self.not_versioned(&action))
            }
            Response::Success(_) => Err(self.not_versioned(&action)),
            Response::NotFound => Ok(Document::default()),
            Response::Deleted(deletion) => Err(self.deleted(&deletion)),
            Response::Denied => Err(self.explain_denial("read", deadline)),
            Response::Failed(failure) => Err(failure),
            Response::PatchTargetMissing | Response::CasMismatch | Response::PatchUnsupported => {
                Err(unexpected_response(&action, received.status))
            }
        }
    }

    /// Merges `changes` into version `cas` on the server. Returns `None` if the server cannot or
    /// the policy does not permit it.
    pub(super) fn patch(
        &mut self,
        cas: u64,
        changes: &Fields,
        deadline: &Deadline,
    ) -> Result<Option<u64>, StoreError> {
        let nothing = Fields::new();
        let body = kv::write_body(&kv::merged(&nothing, changes), cas);
        self.write(Method::PATCH, MERGE_PATCH, body, deadline)
    }

    /// Writes `old` with `changes` over the version of `old`. Returns `None` if the policy does not
    /// permit it.
    pub(super) fn put(
        &mut self,
        old: &Document,
        changes: &Fields,
        deadline: &Deadline,
    ) -> Result<Option<u64>, StoreError> {
        let body = kv::write_body(&kv::merged(&old.fields, changes), old.version);
        self.write(Method::PUT, JSON, body, deadline)
    }

    fn write(
        &mut self,
        method: Method,
        kind: &'static str,
        body: Result<Vec<u8>, serde_json::Error>,
        deadline: &Deadline,
    ) -> Result<Option<u64>, StoreError> {
        self.ensure_token_checked(deadline)?;
        let action = self.action("writing", &self.place());
        let body = body.map_err(|error| StoreError::Refused {
            reason: format!("{action}: the document cannot be serialized: {error}"),
            remedy: "this is a defect of claude-auth-sync; report it".to_owned(),
        })?;
        let request = self.request(method, Some((kind, body)));
        let received = self.client()?.send(request, &action, deadline)?;
        match received.classify(&action) {
            Response::Success(Success { data, .. }) => {
                let version = data.and_then(kv::parse_written);
                self.require_latest_index();
                version.map(Some).ok_or_else(|| self.not_versioned(&action))
            }
            Response::CasMismatch | Response::PatchTargetMissing => {
                self.require_latest_index();
                Err(StoreError::Conflict)
            }
            Response::Denied | Response::PatchUnsupported => Ok(None),
            Response::Deleted(deletion) => Err(self.deleted(&deletion)),
            Response::Failed(failure) => Err(failure),
            Response::NotFound => Err(unexpected_response(&action, received.status)),
        }
    }

    pub(super) fn client(&mut self) -> Result<&mut Client, StoreError> {
        self.client
            .as_mut()
            .ok_or_else(|| StoreError::Unreachable { reason: "no connection was prepared".to_owned() })
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

    /// Returns mount and path, as the `vault` command takes them.
    pub(super) fn place(&self) -> String {
        format!("{}/{}", self.config.mount, self.config.path)
    }

    pub(super) fn action(&self, verb: &str, what: &str) -> String {
        format!("{verb} {what} at {}", self.config.address)
    }

    fn deleted(&self, deletion: &DeletedVersion) -> StoreError {
        let place = self.place();
        let DeletedVersion { version, deletion_time, destroyed } = deletion;
        StoreError::Deleted {
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

    fn not_versioned(&self, action: &str) -> StoreError {
        StoreError::Refused {
            reason: format!("{action}: {} is not a KV version 2 engine", self.config.mount),
            remedy: "correct the configured mount, or enable versions there".to_owned(),
        }
    }
}

/// Returns the error for a response of the store that does not match the request.
pub(super) fn unexpected_response(action: &str, status: u16) -> StoreError {
    StoreError::Unreachable { reason: format!("{action}: unexpected response (status {status})") }
}

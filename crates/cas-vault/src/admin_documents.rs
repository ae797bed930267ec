//! Provisioning's changes to a user's document: mark it as offboarded, clear the mark, or delete
//! it. Fields of other tools survive.

use reqwest::Method;

use super::admin::{AdminClient, permission_denied};
use super::documents::unexpected_response;
use super::kv;
use super::response::{Response, Success};
use super::token_file::Token;
use cas_core::store::{Document, Fields, StoreError, merge};
use cas_protocol::deadline::Deadline;

/// The maximum number of attempts if another writer is faster.
const MAX_CONFLICTS: u32 = 4;

impl AdminClient {
    /// Reads the user's document. Returns version 0 if the document does not exist or was deleted.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the token cannot read it.
    pub fn read_document(
        &mut self,
        token: &Token,
        user: &str,
        deadline: &Deadline,
    ) -> Result<Document, StoreError> {
        let path = self.layout.document_path("data", user);
        let action = self.action("reading", &path);
        let received = self.request(token, Method::GET, &path, None, &action, deadline)?;
        match received.classify(&action) {
            Response::Success(Success { data: Some(data), .. }) => {
                kv::parse_read(data).ok_or_else(|| unexpected_response(&action, received.status))
            }
            Response::NotFound | Response::Deleted(_) => Ok(Document::default()),
            Response::Denied => Err(permission_denied(&action, &format!("read on {path}"))),
            Response::Failed(failure) => Err(failure),
            _ => Err(unexpected_response(&action, received.status)),
        }
    }

    /// Sets `fields` in the user's document and keeps every other field. Returns the document as it
    /// was before; its version is 0 if there was nothing to change.
    ///
    /// # Errors
    /// As [`AdminClient::read_document`]; [`StoreError::Conflict`] if other writers keep changing
    /// it.
    pub fn change_document(
        &mut self,
        token: &Token,
        user: &str,
        fields: &Fields,
        deadline: &Deadline,
    ) -> Result<Document, StoreError> {
        for _ in 0..MAX_CONFLICTS {
            let old = self.read_document(token, user, deadline)?;
            if old.version == 0 || merge::is_unchanged(&old.fields, fields) {
                return Ok(old);
            }
            match self.merge_document(token, user, &old, fields, deadline) {
                Err(StoreError::Conflict) => {}
                result => return result.map(|()| old),
            }
        }
        Err(StoreError::Conflict)
    }

    /// Deletes the user's document with all its versions, including the fields of other tools.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if this administrator cannot delete it.
    pub fn delete_document(
        &mut self,
        admin: &Token,
        user: &str,
        deadline: &Deadline,
    ) -> Result<(), StoreError> {
        let path = self.layout.document_path("metadata", user);
        let action = self.action("deleting", &path);
        let received = self.request(admin, Method::DELETE, &path, None, &action, deadline)?;
        match received.classify(&action) {
            Response::Success(_) | Response::NotFound => Ok(()),
            Response::Denied => Err(permission_denied(&action, &format!("delete on {path}"))),
            Response::Failed(failure) => Err(failure),
            _ => Err(unexpected_response(&action, received.status)),
        }
    }

    /// Writes with the method that the token's policy permits.
    fn merge_document(
        &mut self,
        token: &Token,
        user: &str,
        old: &Document,
        fields: &Fields,
        deadline: &Deadline,
    ) -> Result<(), StoreError> {
        let path = self.layout.document_path("data", user);
        let action = self.action("writing", &path);
        let nothing = Fields::new();
        for (method, from) in [(Method::PATCH, &nothing), (Method::PUT, &old.fields)] {
            let body = kv::write_body(&kv::merged(from, fields), old.version);
            let body = body.ok().and_then(|body| String::from_utf8(body).ok());
            let received = self.request(token, method, &path, body, &action, deadline)?;
            match received.classify(&action) {
                Response::Success(_) => return Ok(()),
                Response::CasMismatch | Response::PatchTargetMissing => return Err(StoreError::Conflict),
                Response::Denied | Response::PatchUnsupported => {}
                Response::Failed(failure) => return Err(failure),
                _ => return Err(unexpected_response(&action, received.status)),
            }
        }
        Err(permission_denied(&action, &format!("patch or update on {path}")))
    }
}

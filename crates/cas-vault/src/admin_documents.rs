//! What provisioning does to a user's document: it looks whether the user was offboarded, marks it, or deletes it. Fields of
//! other tools survive, as in every other write.

use reqwest::Method;

use super::admin::{AdminClient, permission_denied};
use super::documents::unexpected_response;
use super::kv;
use super::response::{Response, Success};
use super::token_file::Token;
use cas_core::store::{Document, Fields, StoreError, merge};
use cas_protocol::deadline::Deadline;

/// How often a change is made again because others wrote in between.
const MAX_CONFLICTS: u32 = 4;

impl AdminClient {
    /// The user's document, read with a token that may; one of version 0 when there is none, or when it was deleted.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the token may not.
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

    /// Sets `fields` in the user's document, if there is one, and leaves every other field as it is. Returns the document that
    /// was changed, as it was before; one of version 0 when there was nothing to change.
    ///
    /// # Errors
    /// As [`AdminClient::read_document`]; [`StoreError::Conflict`] when others keep writing.
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

    /// Deletes the user's document with all its versions, and the fields of other tools in it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when this administrator may not.
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

    /// By the way of writing that the token's policy allows.
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

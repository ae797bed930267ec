//! What a user's token may do, found out by trying: there is no other way that needs no leave of its own.

use reqwest::Method;

use super::admin::AdminClient;
use super::policy_probe::{ForbiddenCall, required_calls, write_calls};
use super::response::Response;
use super::token_file::Token;
use cas_core::store::StoreError;
use cas_protocol::deadline::Deadline;

/// Whether the server let somebody do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It did, or would have.
    Allowed,
    /// It refused.
    Denied,
}

impl AdminClient {
    /// Whether this user's token may do all that a sync does: read the document, be there one or not, write it, renew itself.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when there is no such place; [`StoreError::Busy`] and [`StoreError::Unreachable`] when the server did not
    /// say.
    pub fn has_required_access(
        &mut self,
        token: &Token,
        user: &str,
        deadline: &Deadline,
    ) -> Result<Access, StoreError> {
        for call in required_calls(&self.layout, user) {
            let action = self.action("trying", &call.path);
            let received = self.request(token, call.method, &call.path, call.body, &action, deadline)?;
            match received.classify(&action) {
                Response::Denied => return Ok(Access::Denied),
                // A mount that is none, a namespace that is not there: no policy lets anybody do anything there.
                Response::Failed(failure) if received.status != 400 => return Err(failure),
                _ => {}
            }
        }
        for call in write_calls(&self.layout, user) {
            if self.permission(token, call.method, &call.path, call.body, deadline)? == Access::Allowed {
                return Ok(Access::Allowed);
            }
        }
        Ok(Access::Denied)
    }

    /// Tries what has to be refused.
    ///
    /// # Errors
    /// [`StoreError::Busy`] and [`StoreError::Unreachable`] when the server did not say.
    pub fn probe(
        &mut self,
        token: &Token,
        attempt: &ForbiddenCall,
        deadline: &Deadline,
    ) -> Result<Access, StoreError> {
        self.permission(token, attempt.method.clone(), &attempt.path, attempt.body.clone(), deadline)
    }

    fn permission(
        &mut self,
        token: &Token,
        method: Method,
        path: &str,
        body: Option<String>,
        deadline: &Deadline,
    ) -> Result<Access, StoreError> {
        let action = self.action("trying", path);
        let received = self.request(token, method, path, body, &action, deadline)?;
        match received.classify(&action) {
            Response::Denied => Ok(Access::Denied),
            Response::Failed(failure @ (StoreError::Busy { .. } | StoreError::Unreachable { .. })) => {
                Err(failure)
            }
            // The server asks for leave before it looks at what is wanted: whatever else it says, it would have.
            _ => Ok(Access::Allowed),
        }
    }
}

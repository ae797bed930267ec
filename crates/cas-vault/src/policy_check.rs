//! Checks a token's permissions by sending requests, because every other method needs
//! additional permissions.

use reqwest::Method;

use super::admin::AdminClient;
use super::policy_probe::{ForbiddenCall, required_calls, write_calls};
use super::response::Response;
use super::token_file::Token;
use cas_core::store::StoreError;
use cas_protocol::deadline::Deadline;

/// The result of a permission check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Permitted.
    Allowed,
    /// Denied.
    Denied,
}

impl AdminClient {
    /// Checks whether this user's token permits all that a sync does: read the document, write it,
    /// and renew itself.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if the mount or the namespace does not exist; [`StoreError::Busy`]
    /// and [`StoreError::Unreachable`] if the server did not answer.
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
                // The mount or the namespace does not exist.
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

    /// Sends a request that must be denied.
    ///
    /// # Errors
    /// [`StoreError::Busy`] and [`StoreError::Unreachable`] if the server did not answer.
    pub fn probe(
        &mut self,
        token: &Token,
        call: &ForbiddenCall,
        deadline: &Deadline,
    ) -> Result<Access, StoreError> {
        self.permission(token, call.method.clone(), &call.path, call.body.clone(), deadline)
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
            // The server checks permissions first, so any other response means that the request is
            // permitted.
            _ => Ok(Access::Allowed),
        }
    }
}

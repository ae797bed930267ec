//! What a user's token may do, found out by trying: there is no other way that needs no leave of its own.

use reqwest::Method;

use super::admin::Administration;
use super::policy_probe::{Attempt, changes, needs};
use super::response::Answer;
use super::token_file::Token;
use cas_core::store::Failure;
use cas_protocol::deadline::Deadline;

/// Whether the server let somebody do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It did, or would have.
    Allowed,
    /// It refused.
    Denied,
}

impl Administration {
    /// Whether this user's token may do all that a sync does: read the document, be there one or not, write it, renew itself.
    ///
    /// # Errors
    /// [`Failure::Refused`] when there is no such place; [`Failure::Busy`] and [`Failure::Unreachable`] when the server did not
    /// say.
    pub fn may_work(
        &mut self,
        token: &Token,
        user: &str,
        deadline: &Deadline,
    ) -> Result<Permission, Failure> {
        for call in needs(&self.layout, user) {
            let action = self.action("trying", &call.path);
            let received = self.ask(token, call.method, &call.path, call.body, &action, deadline)?;
            match received.meaning(&action) {
                Answer::Denied => return Ok(Permission::Denied),
                // A mount that is none, a namespace that is not there: no policy lets anybody do anything there.
                Answer::Failed(failure) if received.status != 400 => return Err(failure),
                _ => {}
            }
        }
        for call in changes(&self.layout, user) {
            if self.permission(token, call.method, &call.path, call.body, deadline)? == Permission::Allowed {
                return Ok(Permission::Allowed);
            }
        }
        Ok(Permission::Denied)
    }

    /// Tries what has to be refused.
    ///
    /// # Errors
    /// [`Failure::Busy`] and [`Failure::Unreachable`] when the server did not say.
    pub fn attempt(
        &mut self,
        token: &Token,
        attempt: &Attempt,
        deadline: &Deadline,
    ) -> Result<Permission, Failure> {
        self.permission(token, attempt.method.clone(), &attempt.path, attempt.body.clone(), deadline)
    }

    fn permission(
        &mut self,
        token: &Token,
        method: Method,
        path: &str,
        body: Option<String>,
        deadline: &Deadline,
    ) -> Result<Permission, Failure> {
        let action = self.action("trying", path);
        let received = self.ask(token, method, path, body, &action, deadline)?;
        match received.meaning(&action) {
            Answer::Denied => Ok(Permission::Denied),
            Answer::Failed(failure @ (Failure::Busy { .. } | Failure::Unreachable { .. })) => Err(failure),
            // The server asks for leave before it looks at what is wanted: whatever else it says, it would have.
            _ => Ok(Permission::Allowed),
        }
    }
}

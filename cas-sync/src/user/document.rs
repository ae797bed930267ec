//! Changes the user's document in the store.

use std::thread;
use std::time::Duration;

use cas_core::outcome::ExitStatus;
use cas_core::store::{Document, Fields, Store, StoreError, user_document};
use cas_protocol::deadline::Deadline;

use crate::user::error::CommandError;

/// Timeout of one request to the store.
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum number of retries after a conflict in the store, and the backoff between them.
const MAX_RETRIES: u32 = 5;
const RETRY_BACKOFF: Duration = Duration::from_millis(100);

/// Changes the current document in the store, unless it already has these values.
///
/// # Errors
/// Returns [`CommandError`]; the document is not changed.
pub(crate) fn update_document(
    store: &mut dyn Store,
    fields: impl Fn(&Document) -> Result<Fields, serde_json::Error>,
) -> Result<(), CommandError> {
    let mut retries = 0;
    loop {
        let deadline = Deadline::after(STORE_TIMEOUT);
        let document = store.read(&deadline)?;
        if user_document::is_offboarded(&document) {
            return Err(StoreError::offboarded().into());
        }
        let changes = fields(&document).map_err(|error| CommandError::new(ExitStatus::Failure, error))?;
        match store.merge(&changes, document.version, &deadline) {
            Err(StoreError::Conflict) if retries < MAX_RETRIES => {
                retries += 1;
                thread::sleep(RETRY_BACKOFF * retries);
            }
            result => return Ok(result.map(drop)?),
        }
    }
}

//! The `claude` that a sync would run.

use std::ffi::OsStr;

use cas_core::account::Account;
use cas_core::config::Config;

use super::super::facts::Client;
use super::shown;
use crate::claude;

/// Looks for it, and asks it which it is.
pub(super) fn look(config: Option<&Config>, account: &Account, search_path: Option<&OsStr>) -> Client {
    let Some(config) = config.filter(|config| config.verify) else { return Client::NotWanted };
    match claude::look(&config.claude, account, search_path) {
        Err(why) => Client::Missing(why),
        Ok(found) => Client::Found {
            path: shown(&found.program),
            is_new_enough: found.tells_refusals(),
            version: found.version.map(|version| version.to_string()),
        },
    }
}

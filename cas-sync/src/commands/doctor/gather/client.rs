//! The `claude` that a sync would run.

use cas_core::config::Config;
use cas_core::system::account::Account;

use super::super::facts::Client;
use super::{InspectEnv, shown};
use crate::claude;

/// Looks for it, and asks it which it is; but not for root, who starts nobody's program.
pub(super) fn look(config: Option<&Config>, account: &Account, around: InspectEnv<'_>) -> Client {
    let Some(config) = config.filter(|config| config.verify) else { return Client::NotWanted };
    if around.is_roots {
        let found = claude::find(&config.claude, account, around.search_path);
        return found.map_or_else(Client::Missing, |_| Client::NotStarted);
    }
    match claude::look(&config.claude, account, around.search_path) {
        Err(why) => Client::Missing(why),
        Ok(found) => Client::Found {
            path: shown(&found.program),
            is_new_enough: found.tells_refusals(),
            version: found.version.map(|version| version.to_string()),
        },
    }
}

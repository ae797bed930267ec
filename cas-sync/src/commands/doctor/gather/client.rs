//! The `claude` program that a sync runs.

use cas_core::config::Config;
use cas_core::system::account::Account;

use super::super::facts::Client;
use super::{InspectEnv, path_text};
use crate::claude;

/// Finds the program and runs `claude --version`. Root does not run a user's program.
pub(super) fn inspect(config: Option<&Config>, account: &Account, env: InspectEnv<'_>) -> Client {
    let Some(config) = config.filter(|config| config.verify) else { return Client::VerifyDisabled };
    if env.is_run_by_root {
        let found = claude::find(&config.claude, account, env.search_path);
        return found.map_or_else(Client::Missing, |_| Client::NotStarted);
    }
    match claude::look(&config.claude, account, env.search_path) {
        Err(why) => Client::Missing(why),
        Ok(found) => Client::Found {
            path: path_text(&found.program),
            is_new_enough: found.tells_refusals(),
            version: found.version.map(|version| version.to_string()),
        },
    }
}

//! The inspected user: the caller or, for root, another user through a process with that user's ID.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::Result;
use cas_core::system::account::{Account, Paths};
use serde::de::DeserializeOwned;

use super::check::{Fix, Row, diagnose};
use super::gather::InspectEnv;
use super::{checks, fix_as_user, gather};
use crate::os::environment::{env_vars, now};
use crate::os::run_as_user;

/// Long enough for the requests to Vault and for `claude --version`.
const INSPECT_TIMEOUT: Duration = Duration::from_secs(90);

/// A user to inspect.
pub(super) enum Target {
    /// The caller.
    Current { account: Account, paths: Box<Paths> },
    /// Another user; only root can inspect one.
    Other { name: String },
}

impl Target {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Current { account, .. } => &account.name,
            Self::Other { name } => name,
        }
    }

    /// Returns the result of each check.
    ///
    /// # Errors
    /// Returns why the user could not be inspected.
    pub(super) fn inspect(&self, systemd_answers: bool) -> Result<Vec<Row>, String> {
        match self {
            Self::Current { account, paths } => Ok(rows(account, paths, &env_vars(), false, systemd_answers)),
            Self::Other { name } => {
                let without = if systemd_answers { &[][..] } else { &["--without-systemd"] };
                decode_reply(&run_as_user::run_as_user(
                    &[&["internal", "inspect", name], without].concat(),
                    INSPECT_TIMEOUT,
                )?)?
            }
        }
    }

    /// Applies one fix to the user's files.
    ///
    /// # Errors
    /// Returns why the fix was not applied.
    pub(super) fn apply(&self, fix: &Fix) -> Result<(), String> {
        match self {
            Self::Current { account, .. } => fix_as_user::apply_as_user(account, fix, now()),
            Self::Other { name } => {
                let fix = serde_json::to_string(fix).map_err(|error| error.to_string())?;
                decode_reply(&run_as_user::run_as_user(
                    &["internal", "inspect", name, "--fix", &fix],
                    INSPECT_TIMEOUT,
                )?)?
            }
        }
    }
}

/// Runs `cas-sync internal inspect` as `user`, started by root: inspects the user or applies one
/// fix.
pub(crate) fn run_internal(user: &str, fix: Option<&str>, systemd_answers: bool) -> Result<()> {
    run_as_user::serve_request(
        user,
        |_| None,
        |account, paths| match fix {
            Some(fix) => serde_json::to_string(&fix_as_user::apply_as_user(
                account,
                &serde_json::from_str(fix)?,
                now(),
            )),
            None => serde_json::to_string(&Ok::<_, String>(rows(account, paths, &[], true, systemd_answers))),
        },
    )
}

/// Parses the output of `cas-sync internal inspect`.
fn decode_reply<Answer: DeserializeOwned>(output: &[u8]) -> Result<Result<Answer, String>, String> {
    serde_json::from_slice(output)
        .map_err(|_| "cannot inspect the user: `cas-sync internal inspect` printed no valid JSON".into())
}

fn rows(
    account: &Account,
    paths: &Paths,
    variables: &[(String, String)],
    is_run_by_root: bool,
    systemd_answers: bool,
) -> Vec<Row> {
    let search_path = variables.iter().find(|(name, _)| name == "PATH").map(|(_, path)| OsString::from(path));
    let env = InspectEnv { variables, search_path: search_path.as_deref(), is_run_by_root, systemd_answers };
    diagnose(&checks::user_checks(), &gather::user(account, paths, env, now()))
}

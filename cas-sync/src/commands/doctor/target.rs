//! Whoever is looked at: the caller, or for root somebody else, through a process that has become them.

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

/// How long looking at one person may take: the server's questions, and a client that is asked for its version.
const PATIENCE: Duration = Duration::from_secs(90);

/// Somebody.
pub(super) enum Target {
    /// The caller.
    Current { account: Account, paths: Box<Paths> },
    /// Somebody else, whom root asks about.
    Other { name: String },
}

impl Target {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Current { account, .. } => &account.name,
            Self::Other { name } => name,
        }
    }

    /// What each check says.
    ///
    /// # Errors
    /// Why nobody could look.
    pub(super) fn inspect(&self, systemd_answers: bool) -> Result<Vec<Row>, String> {
        match self {
            Self::Current { account, paths } => Ok(rows(account, paths, &env_vars(), false, systemd_answers)),
            Self::Other { name } => {
                let without = if systemd_answers { &[][..] } else { &["--without-systemd"] };
                decode_reply(&run_as_user::run_as_user(
                    &[&["internal", "inspect", name], without].concat(),
                    PATIENCE,
                )?)?
            }
        }
    }

    /// Mends something of theirs.
    ///
    /// # Errors
    /// Why it stays as it is.
    pub(super) fn mend(&self, fix: &Fix) -> Result<(), String> {
        match self {
            Self::Current { account, paths } => fix_as_user::apply_as_user(account, paths, fix, now()),
            Self::Other { name } => {
                let fix = serde_json::to_string(fix).map_err(|error| error.to_string())?;
                decode_reply(&run_as_user::run_as_user(
                    &["internal", "inspect", name, "--fix", &fix],
                    PATIENCE,
                )?)?
            }
        }
    }
}

/// Serves root, as USER: looks at them, or mends one thing of theirs.
pub(crate) fn examine(user: &str, mend: Option<&str>, systemd_answers: bool) -> Result<()> {
    run_as_user::serve_request(user, |account, paths| match mend {
        Some(fix) => serde_json::to_string(&fix_as_user::apply_as_user(
            account,
            paths,
            &serde_json::from_str(fix)?,
            now(),
        )),
        None => serde_json::to_string(&Ok::<_, String>(rows(account, paths, &[], true, systemd_answers))),
    })
}

/// What such a process has said: its answer, or why it has none.
fn decode_reply<Answer: DeserializeOwned>(said: &[u8]) -> Result<Result<Answer, String>, String> {
    serde_json::from_slice(said).map_err(|_| "the process that looks as them said nothing of use".into())
}

fn rows(
    account: &Account,
    paths: &Paths,
    variables: &[(String, String)],
    is_roots: bool,
    systemd_answers: bool,
) -> Vec<Row> {
    let search_path = variables.iter().find(|(name, _)| name == "PATH").map(|(_, path)| OsString::from(path));
    let around = InspectEnv { variables, search_path: search_path.as_deref(), is_roots, systemd_answers };
    diagnose(&checks::of_a_person(), &gather::person(account, paths, around, now()))
}

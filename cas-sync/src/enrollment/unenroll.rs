//! `cas-sync unenroll`: removes the enrollment of one user or of all users.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, ensure};
use cas_core::config;
use cas_core::fs::directories::list_names;
use cas_core::outcome::ExitStatus;
use cas_core::system::account::Account;
use cas_protocol::paths::{self, ENROLLED_DIR};

use crate::enrollment::enroll::{marker_path, require_root};
use crate::os::undo::{combine_results, remove_if_exists};
use crate::published_state::published_file;
use crate::roster;
use crate::systemd;
use crate::term::print_line;
use crate::term::stderr::exit_with_error;

/// Unenrolls one user. With `waits`, waits until the units have ended.
pub(crate) fn unenroll(user: &str, waits: bool) -> ExitCode {
    match require_root("unenroll") {
        Ok(()) => report(&[&enrolled_spelling(user)], waits),
        Err(error) => exit_with_error(&error, ExitStatus::Failure),
    }
}

/// Returns the enrolled spelling of a name: that of its account, if `user` itself is not enrolled.
fn enrolled_spelling(user: &str) -> String {
    let is_enrolled = |name: &str| marker_path(name).symlink_metadata().is_ok();
    let account = || Account::from_name(user).ok().filter(|account| is_enrolled(&account.name));
    let is_other = paths::is_valid_user_name(user.as_bytes()) && !is_enrolled(user);
    is_other.then(account).flatten().map_or_else(|| user.to_owned(), |account| account.name)
}

/// Unenrolls all users. With `waits`, waits until the units have ended.
pub(crate) fn unenroll_all(waits: bool) -> ExitCode {
    let users = require_root("unenroll").and_then(|()| enrolled());
    match users {
        Ok(users) if users.is_empty() => {
            print_line("no user is enrolled; nothing was changed.");
            ExitCode::SUCCESS
        }
        Ok(users) => report(&users.iter().map(String::as_str).collect::<Vec<_>>(), waits),
        Err(error) => exit_with_error(&error, ExitStatus::Failure),
    }
}

/// Unenrolls these users and prints the result of each.
fn report(users: &[&str], waits: bool) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (user, result) in users.iter().zip(unenroll_all_of(users)) {
        match result {
            Ok(true) => print_line(&format!(
                "{user} is no longer enrolled. The user's files and the backup in the store are kept; open sessions keep their environment."
            )),
            Ok(false) => print_line(&format!("{user} was not enrolled; nothing was changed.")),
            Err(error) => code = exit_with_error(&error, ExitStatus::Failure),
        }
    }
    if waits && let Err(error) = systemd::wait_until_stopped(users) {
        code = exit_with_error(&error, ExitStatus::Failure);
    }
    match systemd::still_running(users) {
        Ok(remarks) if waits && !remarks.is_empty() => {
            code = exit_with_error(&anyhow!("{}", remarks.join("; ")), ExitStatus::Failure);
        }
        Ok(remarks) => {
            remarks.iter().chain(&users_in_roster(users)).for_each(|remark| print_line(&format!("{remark}.")))
        }
        Err(error) => code = exit_with_error(&error, ExitStatus::Failure),
    }
    code
}

/// Returns the users with a marker.
fn enrolled() -> Result<Vec<String>> {
    let names = list_names(Path::new(ENROLLED_DIR)).with_context(|| format!("cannot read {ENROLLED_DIR}"))?;
    Ok(names.unwrap_or_default().iter().map(|name| name.to_string_lossy().into_owned()).collect())
}

/// Returns a remark for each of these users that the roster will enroll again.
fn users_in_roster(users: &[&str]) -> Vec<String> {
    let path = Path::new(roster::DEFAULT_PATH);
    let text = config::read_admin_file(path).ok().flatten();
    let Some(roster) = text.and_then(|text| roster::parse(&text, path).ok()) else { return Vec::new() };
    let is_wanted = |user: &&&str| roster.users.get(**user).is_some_and(|entry| entry.is_enabled());
    let remark = |user: &&str| {
        format!(
            "{user} is listed in {}, so the next provisioning enrolls {user} again; set `claude_auth: false` there",
            roster::DEFAULT_PATH
        )
    };
    users.iter().filter(is_wanted).map(remark).collect()
}

/// Unenrolls one user. Returns true if there was anything to undo.
///
/// # Errors
/// The steps that failed; all other steps are done.
pub(crate) fn unenroll_one(user: &str) -> Result<bool> {
    combine_results(unenroll_all_of(&[user]))
}

/// Unenrolls these users. Returns for each whether there was anything to undo, or the steps that
/// failed; all other steps are done.
fn unenroll_all_of(users: &[&str]) -> Vec<Result<bool>> {
    // A user without an account can still be unenrolled.
    let is_valid = |user: &&str| paths::is_valid_user_name(user.as_bytes());
    // The markers first, so that no login starts anything.
    let markers: Vec<_> = users
        .iter()
        .map(|user| if is_valid(user) { remove_if_exists(&marker_path(user)) } else { Ok(false) })
        .collect();
    let mut stopped = systemd::stop(&users.iter().copied().filter(is_valid).collect::<Vec<_>>()).into_iter();
    let undone = |(user, marker): (&&str, Result<bool>)| {
        ensure!(is_valid(user), "{user:?} is not a valid user name");
        let units = stopped.next().unwrap_or(Ok(false));
        combine_results([marker, units, remove_if_exists(&published_file(user))])
            .with_context(|| format!("{user} is unenrolled, but not completely"))
    };
    users.iter().zip(markers).map(undone).collect()
}

//! `cas-sync unenroll`: removes the enrollment of one user or of all users.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use cas_core::config;
use cas_core::system::account::Account;
use cas_protocol::paths::{self, ENROLLED_DIR};

use crate::enrollment::enroll::{marker_path, require_root};
use crate::os::undo::{combine_results, remove_if_exists};
use crate::published_state::published_file;
use crate::roster;
use crate::systemd;
use crate::term::stderr::exit_with_error;

/// Looks after USER no more.
pub(crate) fn unenroll(user: &str) -> ExitCode {
    match require_root("unenroll") {
        Ok(()) => report(&[&enrolled_spelling(user)]),
        Err(error) => exit_with_error(&error, 1),
    }
}

/// Returns the account's own name where `user` is another spelling of it and is not enrolled itself.
fn enrolled_spelling(user: &str) -> String {
    let is_enrolled = |name: &str| marker_path(name).symlink_metadata().is_ok();
    let account = || Account::from_name(user).ok().filter(|account| is_enrolled(&account.name));
    let can_be = paths::is_valid_user_name(user.as_bytes()) && !is_enrolled(user);
    can_be.then(account).flatten().map_or_else(|| user.to_owned(), |account| account.name)
}

/// Unenrolls all users.
pub(crate) fn unenroll_all() -> ExitCode {
    let users = require_root("unenroll").and_then(|()| enrolled());
    match users {
        Ok(people) if people.is_empty() => {
            println!("no user is enrolled; nothing had to be changed.");
            ExitCode::SUCCESS
        }
        Ok(people) => report(&people.iter().map(String::as_str).collect::<Vec<_>>()),
        Err(error) => exit_with_error(&error, 1),
    }
}

/// Disenrols these people, and says of each of them what came of it.
fn report(people: &[&str]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (user, result) in people.iter().zip(unenroll_all_of(people)) {
        match result {
            Ok(true) => println!(
                "{user} is no longer enrolled. Their own files and the copy in the store stay as they are; sessions that are open keep their environment."
            ),
            Ok(false) => println!("{user} was not enrolled; nothing had to be changed."),
            Err(error) => code = exit_with_error(&error, 1),
        }
    }
    match systemd::still_running(people) {
        Ok(remarks) => {
            remarks.iter().chain(&users_in_roster(people)).for_each(|remark| println!("{remark}."))
        }
        Err(error) => code = exit_with_error(&error, 1),
    }
    code
}

/// Returns the users with a marker.
fn enrolled() -> Result<Vec<String>> {
    let entries = match fs::read_dir(ENROLLED_DIR) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {ENROLLED_DIR}")),
    };
    let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    let mut people = entries.map(name).collect::<Result<Vec<_>>>()?;
    people.sort();
    Ok(people)
}

/// Returns the users that are in the roster, which will enroll them again.
fn users_in_roster(people: &[&str]) -> Vec<String> {
    let path = Path::new(roster::DEFAULT_PATH);
    let text = config::read_admin_file(path).ok().flatten();
    let Some(roster) = text.and_then(|text| roster::parse(&text, path).ok()) else { return Vec::new() };
    let is_wanted = |user: &&&str| roster.people.get(**user).is_some_and(|person| person.is_enabled());
    let remark = |user: &&str| {
        format!(
            "{user} stands in {}, so the next provisioning enrols them again: write `claude_auth: false` below their name",
            roster::DEFAULT_PATH
        )
    };
    people.iter().filter(is_wanted).map(remark).collect()
}

/// Undoes an enrollment; true when there was anything to undo.
///
/// # Errors
/// What could not be undone; everything else is.
pub(crate) fn unenroll_one(user: &str) -> Result<bool> {
    combine_results(unenroll_all_of(&[user]))
}

/// Undoes enrollments; for each, whether there was anything to undo, or what could not be undone: everything else is.
fn unenroll_all_of(people: &[&str]) -> Vec<Result<bool>> {
    // A user without an account can still be unenrolled.
    let can_be = |user: &&str| paths::is_valid_user_name(user.as_bytes());
    // First of all no login asks for anything any more.
    let markers: Vec<_> = people
        .iter()
        .map(|user| if can_be(user) { remove_if_exists(&marker_path(user)) } else { Ok(false) })
        .collect();
    let mut stopped = systemd::stop(&people.iter().copied().filter(can_be).collect::<Vec<_>>()).into_iter();
    let undone = |(user, marker): (&&str, Result<bool>)| {
        ensure!(can_be(user), "{user:?} cannot be a login name here");
        let units = stopped.next().unwrap_or(Ok(false));
        combine_results([marker, units, remove_if_exists(&published_file(user))])
            .with_context(|| format!("{user} is unenrolled, but not without a trace"))
    };
    people.iter().zip(markers).map(undone).collect()
}

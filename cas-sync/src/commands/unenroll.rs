//! `cas-sync disenroll`: what enrolling made is undone, for one person or for everybody.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use cas_core::config;
use cas_protocol::paths::{self, MARKERS, REQUESTS};

use crate::commands::enroll::{marker, require_root, tmpfiles};
use crate::os::remove_tree::{MOST, remove};
use crate::os::undo::{all_of, removed};
use crate::published_state;
use crate::roster;
use crate::systemd;
use crate::term::stderr::fail;

/// Looks after USER no more.
pub(crate) fn disenroll(user: &str) -> ExitCode {
    match require_root("disenroll") {
        Ok(()) => told(&[user]),
        Err(error) => fail(&error, 1),
    }
}

/// Looks after nobody any more.
pub(crate) fn disenroll_all() -> ExitCode {
    let everybody = require_root("disenroll").and_then(|()| enrolled());
    match everybody {
        Ok(people) if people.is_empty() => {
            println!("nobody was enrolled; nothing had to be changed.");
            ExitCode::SUCCESS
        }
        Ok(people) => told(&people.iter().map(String::as_str).collect::<Vec<_>>()),
        Err(error) => fail(&error, 1),
    }
}

/// Disenrols these people, and says of each of them what came of it.
fn told(people: &[&str]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (user, result) in people.iter().zip(cease(people)) {
        match result {
            Ok(true) => println!(
                "{user} is no longer enrolled. Their own files and the copy in the store stay as they are; sessions that are open keep their environment."
            ),
            Ok(false) => println!("{user} was not enrolled; nothing had to be changed."),
            Err(error) => code = fail(&error, 1),
        }
    }
    match systemd::still_running(people) {
        Ok(remarks) => {
            remarks.iter().chain(&standing_in_the_roster(people)).for_each(|remark| println!("{remark}."))
        }
        Err(error) => code = fail(&error, 1),
    }
    code
}

/// Everybody with a marker.
fn enrolled() -> Result<Vec<String>> {
    let entries = match fs::read_dir(MARKERS) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {MARKERS}")),
    };
    let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
    let mut people = entries.map(name).collect::<Result<Vec<_>>>()?;
    people.sort();
    Ok(people)
}

/// Whoever is in the roster does not stay disenrolled.
fn standing_in_the_roster(people: &[&str]) -> Vec<String> {
    let path = Path::new(roster::USUAL);
    let text = config::read_text(path).ok().flatten();
    let Some(roster) = text.and_then(|text| roster::parse(&text, path).ok()) else { return Vec::new() };
    let is_wanted = |user: &&&str| roster.people.get(**user).is_some_and(|person| person.is_wanted());
    let remark = |user: &&str| {
        format!(
            "{user} stands in {}, so the next provisioning enrols them again: write `claude_auth: false` below their name",
            roster::USUAL
        )
    };
    people.iter().filter(is_wanted).map(remark).collect()
}

/// Undoes an enrolment; true when there was anything to undo.
///
/// # Errors
/// What could not be undone; everything else is.
pub(crate) fn cease_one(user: &str) -> Result<bool> {
    all_of(cease(&[user]))
}

/// Undoes enrolments; for each, whether there was anything to undo, or what could not be undone: everything else is.
fn cease(people: &[&str]) -> Vec<Result<bool>> {
    // Somebody whose account is gone can still be disenrolled.
    let can_be = |user: &&str| paths::is_plain_name(user.as_bytes());
    // First of all no login asks for anything any more.
    let markers: Vec<_> =
        people.iter().map(|user| if can_be(user) { removed(&marker(user)) } else { Ok(false) }).collect();
    let mut stopped = systemd::stop(&people.iter().copied().filter(can_be).collect::<Vec<_>>()).into_iter();
    let undone = |(user, marker): (&&str, Result<bool>)| {
        ensure!(can_be(user), "{user:?} cannot be a login name here");
        let units = stopped.next().unwrap_or(Ok(false));
        let rest = [
            removed(&tmpfiles(user)),
            remove(&Path::new(REQUESTS).join(user), MOST),
            remove(&published_state::folder_of(user), MOST),
        ];
        all_of([marker, units].into_iter().chain(rest))
            .with_context(|| format!("{user} is disenrolled, but not without a trace"))
    };
    people.iter().zip(markers).map(undone).collect()
}

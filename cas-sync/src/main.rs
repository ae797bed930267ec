//! `cas-sync`: what people and their units run to have their logins looked after, and the commands of admins.
#![forbid(unsafe_code)]

mod admission;
mod arguments;
mod as_person;
mod bounded_command;
mod caller;
mod claude;
mod deferred_signals;
mod disenrolment;
mod doctor;
mod enrolment;
mod failed;
mod folding;
mod hands;
mod login;
mod metrics;
mod notify;
mod person;
mod precedence;
mod provision;
mod published;
mod removal;
mod report;
mod requests_folder;
mod roster;
mod secret_input;
mod sessions;
mod shell_words;
mod status;
mod sync;
mod sync_log;
mod terminal;
mod token;
mod undoing;
mod units;
mod watch;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command};
use crate::sync::Verification;

fn main() -> ExitCode {
    // The watcher stays for as long as the person: it does without the memory that reading a command line takes.
    if std::env::args_os().skip(1).eq(["watch"]) {
        return watch::run();
    }
    if is_the_former_script(std::env::args_os()) {
        return sync::run(Verification::Wanted);
    }
    if let Err(refused) = token::is_no_argument(std::env::args_os().skip(1)) {
        return refused.tell();
    }
    match Arguments::parse().command {
        Command::Run { no_verify: false } => sync::run(Verification::Wanted),
        Command::Run { no_verify: true } => sync::run(Verification::LeftToOthers),
        Command::Check(wanted) => hands::check(&wanted),
        Command::Verify(wanted) => hands::verify(&wanted),
        Command::Backup(wanted) => hands::backup(&wanted),
        Command::Restore(wanted) => hands::restore(&wanted),
        Command::Watch => watch::run(),
        Command::Enroll { user, no_watch } => enrolment::enroll(&user, !no_watch),
        Command::Disenroll(who) => {
            who.user.as_deref().map_or_else(disenrolment::disenroll_all, disenrolment::disenroll)
        }
        Command::Provision(request) if request.print_policy => provision::print_policy(&request.user),
        Command::Provision(request) => provision::run(&request),
        Command::Metrics(request) => metrics::run(&request),
        Command::Status(request) => status::run(&request),
        Command::Login(request) => login::run(&request),
        Command::Token(request) => token::run(&request),
        Command::Doctor(request) => doctor::run(&request),
        Command::Sessions(request) => sessions::run(&request),
        Command::Examine { user, mend, without_systemd } => {
            doctor::examine(&user, mend.as_deref(), !without_systemd)
        }
        Command::ExamineSessions { user } => sessions::examine(&user),
        Command::BindIdentities => enrolment::bind_identities(),
        Command::KeepVaultToken { user } => provision::keep_vault_token(&user),
    }
}

/// Whether this was called as the script was that it replaces: by that name, and without arguments. Crontabs, units and habits
/// do that.
fn is_the_former_script(mut command_line: impl Iterator<Item = OsString>) -> bool {
    let name = command_line.next();
    name.as_deref().and_then(|name| Path::new(name).file_name()) == Some(OsStr::new("claude-auth-sync"))
        && command_line.next().is_none()
}

/// Says what went wrong, and what to do.
fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    complain(error);
    ExitCode::from(code)
}

/// Says what went wrong beside what was asked for.
fn complain(error: &anyhow::Error) {
    say_aside(&format!("{error:#}"));
}

/// A line of ours on the standard error.
fn say_aside(text: &str) {
    eprintln!("{}", folding::fitted(&std::io::stderr(), &format!("cas-sync: {text}")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_the_scripts_name_alone_it_does_what_the_script_did() {
        let is = |words: &[&str]| is_the_former_script(words.iter().map(OsString::from));
        assert!(is(&["claude-auth-sync"]) && is(&["/usr/bin/claude-auth-sync"]));
        for other in [
            &["cas-sync"][..],
            &["/usr/bin/claude-auth-sync", "run"],
            &["claude-auth-sync", "--help"],
            &["claude-auth-sync/cas-sync"],
            &["claude-auth-sync.old"],
            &[],
        ] {
            assert!(!is(other), "{other:?}");
        }
    }
}

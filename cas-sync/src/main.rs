//! `cas-sync`: what people and their units run to have their logins looked after, and the commands of admins.
#![forbid(unsafe_code)]

mod claude;
mod cli;
mod commands;
mod enrollment;
mod os;
mod precedence;
mod processes;
mod published_state;
mod roster;
mod systemd;
mod term;
mod user;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use cas_core::system::file_size_limit;
use clap::Parser;

use crate::cli::{Arguments, Command, Enroll, Internal, Run};
use crate::term::stderr::{exit_with_error, print_error};
use crate::user::verification::VerifyMode;

fn main() -> ExitCode {
    // Without it a file size limit kills the program in the middle of a write; the system has no reason to refuse.
    file_size_limit::treat_as_full_disk().unwrap_or_else(|error| print_error(&error.into()));
    // The watcher stays for as long as the person: it does without the memory that reading a command line takes.
    if std::env::args_os().skip(1).eq(["watch"]) {
        return commands::watch::run();
    }
    if invoked_as_legacy_script(std::env::args_os()) {
        return commands::run::run(VerifyMode::Verify);
    }
    if let Err(refused) = commands::token::reject_token_in_argv(std::env::args_os().skip(1)) {
        return refused.report();
    }
    match Arguments::parse().command {
        Command::Run(Run { no_verify: false }) => commands::run::run(VerifyMode::Verify),
        Command::Run(Run { no_verify: true }) => commands::run::run(VerifyMode::Skip),
        Command::Check(wanted) => commands::by_hand::check(&wanted),
        Command::Verify(wanted) => commands::by_hand::verify(&wanted),
        Command::Backup(wanted) => commands::by_hand::backup(&wanted),
        Command::Restore(wanted) => commands::by_hand::restore(&wanted),
        Command::Watch => commands::watch::run(),
        Command::Enroll(Enroll { user, no_watch }) => enrollment::enroll::enroll(&user, !no_watch),
        Command::Unenroll(who) => who
            .user
            .as_deref()
            .map_or_else(enrollment::unenroll::unenroll_all, enrollment::unenroll::unenroll),
        Command::Provision(request) if request.print_policy => {
            commands::provision::print_policy(&request.user)
        }
        Command::Provision(request) => commands::provision::run(&request),
        Command::Metrics(request) => commands::metrics::run(&request),
        Command::Status(request) => commands::status::run(&request),
        Command::Login(request) => commands::login::run(&request),
        Command::Token(request) => commands::token::run(&request),
        Command::Doctor(request) => commands::doctor::run(&request),
        Command::Sessions(request) => commands::sessions::run(&request),
        Command::Internal { command } => internal(command),
    }
}

fn internal(command: Internal) -> ExitCode {
    let done = match command {
        Internal::Inspect { user, fix, without_systemd } => {
            commands::doctor::examine(&user, fix.as_deref(), !without_systemd)
        }
        Internal::Sessions { user } => commands::sessions::examine(&user),
        Internal::TokenAgent { user } => return commands::provision::keep_vault_token(&user),
    };
    done.map_or_else(|error| exit_with_error(&error, 1), |()| ExitCode::SUCCESS)
}

/// Whether this was called as the script was that it replaces: by that name, and without arguments. Crontabs, units and habits
/// do that.
fn invoked_as_legacy_script(mut command_line: impl Iterator<Item = OsString>) -> bool {
    let name = command_line.next();
    name.as_deref().and_then(|name| Path::new(name).file_name()) == Some(OsStr::new("claude-auth-sync"))
        && command_line.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_the_scripts_name_alone_it_does_what_the_script_did() {
        let is = |words: &[&str]| invoked_as_legacy_script(words.iter().map(OsString::from));
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

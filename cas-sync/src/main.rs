//! `cas-sync`: keeps Claude Code logins valid, and manages the enrolled users.
#![forbid(unsafe_code)]

mod claude;
mod cli;
mod commands;
mod enrollment;
mod os;
mod precedence;
mod processes;
mod published_state;
mod request_dispatcher;
mod roster;
mod systemd;
mod term;
mod user;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use cas_core::outcome::ExitStatus;
use cas_core::system::file_size_limit;
use clap::Parser;

use crate::cli::{Arguments, Command, Enroll, Internal, Run};
use crate::term::stderr::{exit_with_error, print_error};
use crate::user::verification::VerifyMode;

fn main() -> ExitCode {
    // Otherwise SIGXFSZ kills the program during a write. The kernel has no reason to refuse this.
    file_size_limit::treat_as_full_disk().unwrap_or_else(|error| print_error(&error.into()));
    // The watcher runs as long as the user: it saves the memory of parsing a command line.
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
        Command::Unenroll(who) => who.user.as_deref().map_or_else(
            || enrollment::unenroll::unenroll_all(who.stop),
            |user| enrollment::unenroll::unenroll(user, who.stop),
        ),
        Command::Provision(request) if request.print_policy => {
            commands::provision::print_policy(&request.user)
        }
        Command::Provision(request) => commands::provision::run(&request),
        Command::Metrics(request) => commands::metrics::run(&request),
        Command::Status(request) => commands::status::run(&request),
        Command::Login(request) => commands::login::run(&request),
        Command::Logout(request) => commands::logout::run(&request),
        Command::Token(request) => commands::token::run(&request),
        Command::Doctor(request) => commands::doctor::run(&request),
        Command::Sessions(request) => commands::sessions::run(&request),
        Command::Internal { command } => internal(command),
    }
}

fn internal(command: Internal) -> ExitCode {
    let done = match command {
        Internal::Inspect { user, fix, without_systemd } => {
            commands::doctor::run_internal(&user, fix.as_deref(), !without_systemd)
        }
        Internal::Sessions { user } => commands::sessions::run_internal(&user),
        Internal::PublishState { user } => published_state::publish::publish(&user),
        Internal::ReadState { user } => published_state::state_reader::serve_state(&user),
        Internal::MigratePublishedStates => published_state::earlier_version::migrate(),
        Internal::EmptyPublishedDirectory { uid, gid, user } => {
            published_state::earlier_version::serve_emptying(&user, uid, gid)
        }
        Internal::ProjectSettings => precedence::project::serve(),
        Internal::BindIdentities => return enrollment::enroll::bind_identities(),
        Internal::TokenAgent { user } => return commands::provision::run_token_agent(&user),
        Internal::Push => match os::priority::lower() {
            Ok(()) => return commands::run::run(VerifyMode::Skip),
            Err(error) => Err(error),
        },
        Internal::DispatchRequests => return request_dispatcher::run(),
    };
    done.map_or_else(|error| exit_with_error(&error, ExitStatus::Failure), |()| ExitCode::SUCCESS)
}

/// Returns true if this was called by the name of the former script and without arguments, as in
/// old crontabs and units.
fn invoked_as_legacy_script(mut command_line: impl Iterator<Item = OsString>) -> bool {
    let name = command_line.next();
    name.as_deref().and_then(|name| Path::new(name).file_name()) == Some(OsStr::new("claude-auth-sync"))
        && command_line.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_script_name_without_arguments_is_detected() {
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

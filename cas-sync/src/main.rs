//! `cas-sync`: what people and their units run to have their logins looked after, and the commands of admins.
#![forbid(unsafe_code)]

mod claude;
mod cli;
mod commands;
mod enrollment;
mod os;
mod precedence;
mod published_state;
mod roster;
mod systemd;
mod term;
mod user;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Arguments, Command};
use crate::user::verification::Verification;

fn main() -> ExitCode {
    // The watcher stays for as long as the person: it does without the memory that reading a command line takes.
    if std::env::args_os().skip(1).eq(["watch"]) {
        return commands::watch::run();
    }
    if is_the_former_script(std::env::args_os()) {
        return commands::run::run(Verification::Wanted);
    }
    if let Err(refused) = commands::token::is_no_argument(std::env::args_os().skip(1)) {
        return refused.tell();
    }
    match Arguments::parse().command {
        Command::Run { no_verify: false } => commands::run::run(Verification::Wanted),
        Command::Run { no_verify: true } => commands::run::run(Verification::LeftToOthers),
        Command::Check(wanted) => commands::by_hand::check(&wanted),
        Command::Verify(wanted) => commands::by_hand::verify(&wanted),
        Command::Backup(wanted) => commands::by_hand::backup(&wanted),
        Command::Restore(wanted) => commands::by_hand::restore(&wanted),
        Command::Watch => commands::watch::run(),
        Command::Enroll { user, no_watch } => commands::enroll::enroll(&user, !no_watch),
        Command::Disenroll(who) => {
            who.user.as_deref().map_or_else(commands::unenroll::disenroll_all, commands::unenroll::disenroll)
        }
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
        Command::Examine { user, mend, without_systemd } => {
            commands::doctor::examine(&user, mend.as_deref(), !without_systemd)
        }
        Command::ExamineSessions { user } => commands::sessions::examine(&user),
        Command::BindIdentities => commands::enroll::bind_identities(),
        Command::KeepVaultToken { user } => commands::provision::keep_vault_token(&user),
    }
}

/// Whether this was called as the script was that it replaces: by that name, and without arguments. Crontabs, units and habits
/// do that.
fn is_the_former_script(mut command_line: impl Iterator<Item = OsString>) -> bool {
    let name = command_line.next();
    name.as_deref().and_then(|name| Path::new(name).file_name()) == Some(OsStr::new("claude-auth-sync"))
        && command_line.next().is_none()
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

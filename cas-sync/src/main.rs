//! `cas-sync`: what people (and, later, a timer) run to have their logins looked after, and the commands of admins.
#![forbid(unsafe_code)]

mod claude;
mod enrolment;
mod report;
mod sync;
mod sync_log;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keeps the Claude logins of the people who share this machine alive: backed up, and mended.
#[derive(Parser)]
#[command(name = "cas-sync", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look after your own login: take over the setup-token from the store, mend what is broken, back up what is whole.
    ///
    /// Exit status: 0 fine, 2 usage, 75 try later, 77 refused by the store, 78 configuration, 79 a person must sign in, 1
    /// anything else.
    Run,
    /// Look after the logins of USER from now on (root).
    Enroll {
        /// The login name of a person on this machine.
        user: String,
    },
    /// Stop looking after the logins of USER (root). Their files and the store's copy stay as they are.
    Disenroll {
        /// The login name of a person who was enrolled.
        user: String,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run => sync::run(),
        Command::Enroll { user } => enrolment::enroll(&user),
        Command::Disenroll { user } => enrolment::disenroll(&user),
    }
}

/// Says what went wrong, and what to do.
fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    complain(error);
    ExitCode::from(code)
}

/// Says what went wrong beside what was asked for.
fn complain(error: &anyhow::Error) {
    eprintln!("cas-sync: {error:#}");
}

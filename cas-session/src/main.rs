//! `cas-session`: restores a user's login while the user waits for the prompt, and runs programs
//! with the setup token.
#![forbid(unsafe_code)]

mod arguments;
mod bounded_output;
mod environment;
mod exec;
mod login;
mod notice;

use std::process::ExitCode;

use arguments::{Command, print_error};
use cas_core::system::file_size_limit;

fn main() -> ExitCode {
    let command = Command::parse(std::env::args_os().skip(1));
    let result = match &command {
        Ok(Command::Exec(_)) => file_size_limit::treat_as_full_disk_before_exec(),
        _ => file_size_limit::treat_as_full_disk(),
    };
    result.unwrap_or_else(|error| print_error(&format!("cannot handle SIGXFSZ: {error}")));
    match command {
        Ok(Command::Login(request)) => login::run(&request),
        Ok(Command::Exec(request)) => exec::run(&request),
        Ok(Command::Environment) => environment::run(),
        Ok(Command::Notice) => notice::run(),
        Ok(Command::Help) => arguments::print_help(),
        Ok(Command::Version) => arguments::print_version(),
        Err(error) => arguments::usage_error(&error),
    }
}

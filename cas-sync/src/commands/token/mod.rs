//! `cas-sync token`: a person's own setup-token, from the day it is put in force to the day it is taken out.

mod activate;
mod argv_guard;
mod clear;
mod dates;
mod show;

use std::process::ExitCode;
use std::time::Duration;

use cas_core::state::env_file::{EnvFile, EnvFileContent};
use cas_protocol::setup_token::SetupToken;

use crate::cli::{Token, TokenCommand, TokenImport, TokenSet};
use crate::os::deferred_signals::SignalBlock;
use crate::os::environment::now;
use crate::term::secret_input::{self, PromptError, ReadUntil};
use crate::user::context::UserContext;
use crate::user::error::block_termination;
use crate::user::error::{CommandError, reject_unreadable};

use self::activate::{Activation, CreatedAt};
pub(crate) use self::argv_guard::reject_token_in_argv;

const PROMPT: &str = "Setup-token (it is not shown; make one with `claude setup-token`): ";

/// How long the store may take for one thing.
pub(super) const STORE_TIMEOUT: Duration = Duration::from_secs(30);

/// How to make a good one.
const MAKE_ANOTHER: &str = "make another one with `claude setup-token`; nothing was changed";

/// Does what is asked for. Signals that ask to end wait until nothing is half done, and then end it.
pub(crate) fn run(token: &Token) -> ExitCode {
    let signals = match block_termination() {
        Ok(signals) => signals,
        Err(failed) => return failed.report(),
    };
    let done = match &token.command {
        TokenCommand::Set(request) => set(request, &signals),
        TokenCommand::Show(request) => return show::show(request.json),
        TokenCommand::Clear(request) => clear::clear(request.yes, &signals),
        TokenCommand::Import(request) => import(request, &signals),
    };
    done.map_or_else(|failed| failed.report(), |()| ExitCode::SUCCESS)
}

fn set(request: &TokenSet, signals: &SignalBlock) -> Result<(), CommandError> {
    let minted_at = dates::minted_at(request.minted_at.as_deref(), now())?;
    let person = UserContext::for_current_user()?;
    // Before anybody is asked for anything.
    person.store()?;
    reject_unreadable(env_file(&person).read())?;
    let given = secret_input::ask(PROMPT, ReadUntil::Eof, None, signals).map_err(not_read)?;
    let token = SetupToken::from_user_input(given.expose()).map_err(|malformed| {
        CommandError::new(1, format!("this is no setup-token: {malformed}; {MAKE_ANOTHER}"))
    })?;
    drop(given);
    let minted = minted_at.map_or(CreatedAt::JustNow, CreatedAt::At);
    Activation { person: &person, minted, unverified: request.unverified }.run(&token, signals)
}

fn import(request: &TokenImport, signals: &SignalBlock) -> Result<(), CommandError> {
    let minted_at = dates::minted_at(request.minted_at.as_deref(), now())?;
    let person = UserContext::for_current_user()?;
    let env_file = env_file(&person);
    let token = match reject_unreadable(env_file.read())? {
        EnvFileContent::Token(token) => token,
        EnvFileContent::Malformed(why) => return Err(CommandError::new(1, why)),
        _ => {
            let path = env_file.path().display();
            let remedy = "`cas-sync token set` takes one from you";
            return Err(CommandError::new(
                1,
                format!("there is no setup-token in {path} to be taken over; {remedy}"),
            ));
        }
    };
    let minted = minted_at.map_or(CreatedAt::Unknown, CreatedAt::At);
    Activation { person: &person, minted, unverified: request.unverified }.run(&token, signals)
}

fn env_file(person: &UserContext) -> EnvFile {
    EnvFile::new(person.paths.env_file.clone(), person.account.uid.as_raw())
}

fn not_read(not: PromptError) -> CommandError {
    CommandError::new(1, format!("no setup-token: {not}")).with_note("nothing was changed")
}

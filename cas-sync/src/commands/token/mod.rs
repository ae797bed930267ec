//! `cas-sync token`: activates, shows or removes the user's setup token.

mod activate;
mod argv_guard;
mod clear;
mod dates;
mod show;
mod stored_token;

use std::process::ExitCode;

use cas_core::outcome::ExitStatus;
use cas_core::state::env_file::{EnvFile, EnvFileContent};
use cas_protocol::setup_token::SetupToken;

use crate::cli::{TokenArgs, TokenCommand, TokenImport, TokenSet};
use crate::os::deferred_signals::SignalBlock;
use crate::os::environment::now;
use crate::term::secret_input::{self, PromptError, ReadUntil};
use crate::user::context::UserContext;
use crate::user::error::block_termination;
use crate::user::error::{CommandError, reject_unreadable};

use self::activate::{Activation, CreatedAt};
pub(crate) use self::argv_guard::reject_token_in_argv;

const PROMPT: &str = "Setup token (input is hidden; create one with `claude setup-token`): ";

/// The remedy for an unusable token.
const NEW_TOKEN: &str = "create another one with `claude setup-token`; nothing was changed";

/// Runs the command. Termination signals are delayed until no change is incomplete.
pub(crate) fn run(token: &TokenArgs) -> ExitCode {
    let signals = match block_termination() {
        Ok(signals) => signals,
        Err(failed) => return failed.report(),
    };
    let result = match &token.command {
        TokenCommand::Set(request) => set(request, &signals),
        TokenCommand::Show(request) => return show::show(request.json),
        TokenCommand::Clear(request) => clear::clear(request.yes, &signals),
        TokenCommand::Import(request) => import(request, &signals),
    };
    result.map_or_else(|failed| failed.report(), |()| ExitCode::SUCCESS)
}

fn set(request: &TokenSet, signals: &SignalBlock) -> Result<(), CommandError> {
    let minted_at = dates::minted_at(request.minted_at.as_deref(), now())?;
    let user = UserContext::for_current_user()?;
    // Checked before the user is prompted.
    user.store()?;
    reject_unreadable(env_file(&user).read())?;
    let input = secret_input::ask(PROMPT, ReadUntil::Eof, None, signals).map_err(not_read)?;
    let token = SetupToken::from_user_input(input.expose()).map_err(|malformed| {
        CommandError::new(ExitStatus::Failure, format!("invalid setup token: {malformed}; {NEW_TOKEN}"))
    })?;
    drop(input);
    let created_at = minted_at.map_or(CreatedAt::JustNow, CreatedAt::At);
    Activation { user: &user, created_at, unverified: request.unverified }.run(&token, signals)
}

fn import(request: &TokenImport, signals: &SignalBlock) -> Result<(), CommandError> {
    let minted_at = dates::minted_at(request.minted_at.as_deref(), now())?;
    let user = UserContext::for_current_user()?;
    let env_file = env_file(&user);
    let token = match reject_unreadable(env_file.read())? {
        EnvFileContent::Token(token) => token,
        EnvFileContent::Malformed(why) => return Err(CommandError::new(ExitStatus::Failure, why)),
        _ => {
            let path = env_file.path().display();
            let remedy = "run `cas-sync token set` to enter one";
            return Err(CommandError::new(
                ExitStatus::Failure,
                format!("cannot import a setup token: {path} holds none; {remedy}"),
            ));
        }
    };
    let created_at = minted_at.map_or(CreatedAt::Unknown, CreatedAt::At);
    Activation { user: &user, created_at, unverified: request.unverified }.run(&token, signals)
}

fn env_file(user: &UserContext) -> EnvFile {
    EnvFile::new(user.paths.env_file.clone(), user.account.uid.as_raw())
}

fn not_read(error: PromptError) -> CommandError {
    CommandError::new(ExitStatus::Failure, format!("cannot read the setup token: {error}"))
        .with_note("nothing was changed")
}

//! `cas-sync token`: a person's own setup-token, from the day it is put in force to the day it is taken out.

mod activate;
mod argv_guard;
mod clear;
mod dates;
mod show;

use std::process::ExitCode;

use cas_core::state::env_file::{Content, EnvFile};
use cas_protocol::setup_token::SetupToken;

use crate::cli::{Token, TokenCommand, TokenImport, TokenSet};
use crate::os::deferred_signals::{DeferredSignals, held_back};
use crate::os::environment::now;
use crate::term::secret_input::{self, Extent, NotRead};
use crate::user::context::Person;
use crate::user::error::{Failed, readable};

use self::activate::{Activation, Minted};
pub(crate) use self::argv_guard::is_no_argument;

const PROMPT: &str = "Setup-token (it is not shown; make one with `claude setup-token`): ";

/// How to make a good one.
const MAKE_ANOTHER: &str = "make another one with `claude setup-token`; nothing was changed";

/// Does what is asked for. Signals that ask to end wait until nothing is half done, and then end it.
pub(crate) fn run(token: &Token) -> ExitCode {
    let signals = match held_back() {
        Ok(signals) => signals,
        Err(failed) => return failed.tell(),
    };
    let done = match &token.command {
        TokenCommand::Set(request) => set(request, &signals),
        TokenCommand::Show(request) => return show::show(request.json),
        TokenCommand::Clear(request) => clear::clear(request.yes, &signals),
        TokenCommand::Import(request) => import(request, &signals),
    };
    done.map_or_else(|failed| failed.tell(), |()| ExitCode::SUCCESS)
}

fn set(request: &TokenSet, signals: &DeferredSignals) -> Result<(), Failed> {
    let minted_at = dates::minted_at(request.minted_at.as_deref(), now())?;
    let person = Person::myself()?;
    // Before anybody is asked for anything.
    person.store()?;
    readable(env_file(&person).read())?;
    let given = secret_input::ask(PROMPT, Extent::Everything, None, signals).map_err(not_read)?;
    let token = SetupToken::from_pasted(given.expose()).map_err(|malformed| {
        Failed::new(1, format!("this is no setup-token: {malformed}; {MAKE_ANOTHER}"))
    })?;
    drop(given);
    let minted = minted_at.map_or(Minted::JustNow, Minted::At);
    Activation { person: &person, minted, unverified: request.unverified }.of(&token, signals)
}

fn import(request: &TokenImport, signals: &DeferredSignals) -> Result<(), Failed> {
    let minted_at = dates::minted_at(request.minted_at.as_deref(), now())?;
    let person = Person::myself()?;
    let env_file = env_file(&person);
    let token = match readable(env_file.read())? {
        Content::Token(token) => token,
        Content::Malformed(why) => return Err(Failed::new(1, why)),
        _ => {
            let path = env_file.path().display();
            let remedy = "`cas-sync token set` takes one from you";
            return Err(Failed::new(
                1,
                format!("there is no setup-token in {path} to be taken over; {remedy}"),
            ));
        }
    };
    let minted = minted_at.map_or(Minted::Unknown, Minted::At);
    Activation { person: &person, minted, unverified: request.unverified }.of(&token, signals)
}

fn env_file(person: &Person) -> EnvFile {
    EnvFile::new(person.paths.env_file.clone(), person.account.uid.as_raw())
}

fn not_read(not: NotRead) -> Failed {
    Failed::new(1, format!("no setup-token: {not}")).and("nothing was changed")
}

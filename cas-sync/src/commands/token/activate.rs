//! Putting a setup-token in force: whoever can say whether it works is asked first, all that can fail is done before anything
//! is changed, and the one before stays in force until then.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use cas_core::credential::expiry::{Dates, SETUP_TOKEN_LASTS};
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::credential::verification::Verdict;
use cas_core::outcome::Status;
use cas_core::state::env_file::{Content, StagedToken};
use cas_core::store::user_document::{self, SETUP_TOKEN, SetupTokenField, UserDocument, setup_token_fields};
use cas_core::store::{Document, Failure, Fields, Store};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_protocol::secret::Secret;
use cas_protocol::setup_token::SetupToken;

use super::{MAKE_ANOTHER, env_file, show};
use crate::commands::acceptance::{admit, shown};
use crate::os::deferred_signals::DeferredSignals;
use crate::term::stderr::say_aside;
use crate::term::wrap::{columns, fitted};
use crate::user::context::{Asked, Person};
use crate::user::error::{Failed, readable};

/// How long the store may take for one thing.
pub(super) const STORE_TIME: Duration = Duration::from_secs(30);

/// How often a change is made again because somebody else was faster, and how long it waits first.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// When a token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Minted {
    /// Then, as somebody says.
    At(Timestamp),
    /// A moment ago, since nobody says otherwise and it was never seen here before.
    JustNow,
    /// Nobody knows: it counts from when it was seen first.
    Unknown,
}

/// What a token is put in force with.
pub(super) struct Activation<'a> {
    pub(super) person: &'a Person,
    /// When it was made.
    pub(super) minted: Minted,
    pub(super) unverified: bool,
}

impl Activation<'_> {
    /// Puts `token` in force, and says so.
    ///
    /// # Errors
    /// [`Failed`]; all is as it was before.
    pub(super) fn of(&self, token: &SetupToken, signals: &DeferredSignals) -> Result<(), Failed> {
        let person = self.person;
        let _locked = person.lock()?;
        let verdict = self.verdict(token, signals)?;
        let staged = env_file(person).stage(token)?;
        let mut store = person.store()?;
        let kept = change(&mut *store, |document| self.fields(token, document));
        store.save_token_cache();
        kept?;
        self.take_effect(token, staged)?;
        let verifier = Asked::boxed(person.claude(), token.expose(), verdict.clone());
        let outcome = person.sync(Some(verifier));
        self.tell(token, &verdict);
        if outcome.status != Status::Ok && verdict.is_alive() {
            say_aside(&outcome.to_string());
        }
        Ok(())
    }

    fn verdict(&self, token: &SetupToken, signals: &DeferredSignals) -> Result<Verdict, Failed> {
        let value = Secret::new(token.expose().to_owned());
        let verdict = self.person.claude().probe_unless(&|| signals.is_asked(), &value);
        if signals.is_asked() {
            return Err(Failed::new(1, "interrupted; nothing was changed"));
        }
        admit("this setup-token", &verdict, self.unverified, MAKE_ANOTHER)?;
        Ok(verdict)
    }

    /// What the document is to say. Of a token that was known before, what is known about it is better than a guess.
    fn fields(&self, token: &SetupToken, document: &Document) -> Result<Fields, serde_json::Error> {
        let seen = self.person.state.ledger().unwrap_or_default().setup_tokens;
        let is_seen = seen.first_seen(Fingerprint::of(token.expose())).is_some();
        let held = UserDocument::parse(document).setup_token;
        let is_held = matches!(&held, SetupTokenField::Token(held) if held == token);
        let minted_at = match self.minted {
            Minted::At(at) => Some(at),
            Minted::JustNow if !is_seen && !is_held => Some(self.person.now),
            Minted::JustNow | Minted::Unknown => None,
        };
        let expires_at = minted_at.map(|at| at.plus(SETUP_TOKEN_LASTS));
        let mut fields = setup_token_fields(token, Dates { minted_at, expires_at })?;
        if is_held && minted_at.is_none() {
            fields.retain(|name, _| name == SETUP_TOKEN);
        }
        Ok(fields)
    }

    fn take_effect(&self, token: &SetupToken, staged: StagedToken) -> Result<(), Failed> {
        let leaving = match readable(env_file(self.person).read())? {
            Content::Token(before) if before != *token => Some(Fingerprint::of(before.expose())),
            _ => None,
        };
        staged.commit().map_err(|problem| {
            Failed::from(problem)
                .and("the store holds the new token, and the next sync writes it to that file")
        })?;
        if let Some(leaving) = leaving {
            note_withdrawn(self.person, leaving);
        }
        Ok(())
    }

    /// A reader who is gone changes nothing.
    fn tell(&self, token: &SetupToken, verdict: &Verdict) {
        let out = io::stdout();
        let is_in_force = format!(
            "Setup-token {} is in force for your next sessions, {}.",
            Fingerprint::of(token.expose()),
            shown(verdict)
        );
        let lines = show::Stored::look(self.person).lines(self.person.now, columns(&out));
        let rest = "What runs already keeps what it was started with: start it again.";
        let text = format!("{}\n{lines}{}\n", fitted(&out, &is_in_force), fitted(&out, rest));
        drop(out.lock().write_all(text.as_bytes()));
    }
}

/// Remembers a token that has left the env file, so that a process which inherited it can be told. If it cannot be noted, it
/// is gone all the same.
pub(super) fn note_withdrawn(person: &Person, token: Fingerprint) {
    let deadline = Deadline::after(STORE_TIME);
    drop(person.state.change_ledger(&deadline, |ledger| ledger.observe_withdrawn(token)));
}

/// Makes a change to what the store holds at that moment; nothing is written where that says so already.
///
/// # Errors
/// [`Failed`]; the document is as it was.
pub(super) fn change(
    store: &mut dyn Store,
    fields: impl Fn(&Document) -> Result<Fields, serde_json::Error>,
) -> Result<(), Failed> {
    let mut tries = 0;
    loop {
        let deadline = Deadline::after(STORE_TIME);
        let document = store.read(&deadline)?;
        if user_document::is_offboarded(&document) {
            return Err(Failure::offboarded().into());
        }
        let changes = fields(&document).map_err(|error| Failed::new(1, error))?;
        match store.merge(&changes, document.version, &deadline) {
            Err(Failure::Conflict) if tries < TRIES => {
                tries += 1;
                thread::sleep(PAUSE * tries);
            }
            result => return Ok(result.map(drop)?),
        }
    }
}

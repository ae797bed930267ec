//! Putting a setup-token in force: whoever can say whether it works is asked first, all that can fail is done before anything
//! is changed, and the one before stays in force until then.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use cas_core::credential::expiry::{SETUP_TOKEN_LIFETIME, SetupTokenDates};
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::credential::verification::Verification;
use cas_core::outcome::Status;
use cas_core::state::env_file::{EnvFileContent, StagedToken};
use cas_core::store::user_document::{SETUP_TOKEN, SetupTokenField, UserDocument, setup_token_fields};
use cas_core::store::{Document, Fields, Store, StoreError};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_protocol::secret::Secret;
use cas_protocol::setup_token::SetupToken;

use super::{MAKE_ANOTHER, STORE_TIMEOUT, env_file, show};
use crate::os::deferred_signals::SignalBlock;
use crate::term::stderr::print_stderr;
use crate::term::wrap::{terminal_width, wrap_for};
use crate::user::acceptance::{check_accepted, describe_verification};
use crate::user::context::{CachedVerifier, UserContext};
use crate::user::error::{CommandError, reject_unreadable};

/// How often a change is made again because somebody else was faster, and how long it waits first.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// When a token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CreatedAt {
    /// Then, as somebody says.
    At(Timestamp),
    /// A moment ago, since nobody says otherwise and it was never seen here before.
    JustNow,
    /// Nobody knows: it counts from when it was seen first.
    Unknown,
}

/// What a token is put in force with.
pub(super) struct Activation<'a> {
    pub(super) person: &'a UserContext,
    /// When it was made.
    pub(super) minted: CreatedAt,
    pub(super) unverified: bool,
}

impl Activation<'_> {
    /// Puts `token` in force, and says so.
    ///
    /// # Errors
    /// [`CommandError`]; all is as it was before.
    pub(super) fn run(&self, token: &SetupToken, signals: &SignalBlock) -> Result<(), CommandError> {
        let person = self.person;
        let _locked = person.lock()?;
        let verdict = self.verdict(token, signals)?;
        let staged = env_file(person).stage(token)?;
        let mut store = person.store()?;
        let kept = update_document(&mut *store, |document| self.fields(token, document));
        store.save_token_cache();
        kept?;
        self.commit(token, staged)?;
        let verifier = CachedVerifier::boxed(person.claude(), token.expose(), verdict.clone());
        let outcome = person.sync(Some(verifier));
        self.tell(token, &verdict);
        if outcome.status != Status::Ok && verdict.is_alive() {
            print_stderr(&outcome.to_string());
        }
        Ok(())
    }

    fn verdict(&self, token: &SetupToken, signals: &SignalBlock) -> Result<Verification, CommandError> {
        let value = Secret::new(token.expose().to_owned());
        let verdict = self.person.claude().probe_cancellable(&|| signals.is_pending(), &value);
        if signals.is_pending() {
            return Err(CommandError::new(1, "interrupted; nothing was changed"));
        }
        check_accepted("this setup-token", &verdict, self.unverified, MAKE_ANOTHER)?;
        Ok(verdict)
    }

    /// What the document is to say. Of a token that was known before, what is known about it is better than a guess.
    fn fields(&self, token: &SetupToken, document: &Document) -> Result<Fields, serde_json::Error> {
        let seen = self.person.state.ledger().unwrap_or_default().setup_tokens;
        let is_seen = seen.first_seen(Fingerprint::from_bytes(token.expose())).is_some();
        let held = UserDocument::parse(document).setup_token;
        let is_held = matches!(&held, SetupTokenField::Token(held) if held == token);
        let minted_at = match self.minted {
            CreatedAt::At(at) => Some(at),
            CreatedAt::JustNow if !is_seen && !is_held => Some(self.person.now),
            CreatedAt::JustNow | CreatedAt::Unknown => None,
        };
        let expires_at = minted_at.map(|at| at.saturating_add(SETUP_TOKEN_LIFETIME));
        let mut fields = setup_token_fields(token, SetupTokenDates { minted_at, expires_at })?;
        if is_held && minted_at.is_none() {
            fields.retain(|name, _| name == SETUP_TOKEN);
        }
        Ok(fields)
    }

    fn commit(&self, token: &SetupToken, staged: StagedToken) -> Result<(), CommandError> {
        let leaving = match reject_unreadable(env_file(self.person).read())? {
            EnvFileContent::Token(before) if before != *token => {
                Some(Fingerprint::from_bytes(before.expose()))
            }
            _ => None,
        };
        staged.commit().map_err(|problem| {
            CommandError::from(problem)
                .with_note("the store holds the new token, and the next sync writes it to that file")
        })?;
        if let Some(leaving) = leaving {
            note_withdrawn(self.person, leaving);
        }
        Ok(())
    }

    /// A reader who is gone changes nothing.
    fn tell(&self, token: &SetupToken, verdict: &Verification) {
        let out = io::stdout();
        let is_in_force = format!(
            "Setup-token {} is in force for your next sessions, {}.",
            Fingerprint::from_bytes(token.expose()),
            describe_verification(verdict)
        );
        let lines = show::SetupTokenInfo::load(self.person).lines(self.person.now, terminal_width(&out));
        let rest = "What runs already keeps what it was started with: start it again.";
        let text = format!("{}\n{lines}{}\n", wrap_for(&out, &is_in_force), wrap_for(&out, rest));
        drop(out.lock().write_all(text.as_bytes()));
    }
}

/// Remembers a token that has left the env file, so that a process which inherited it can be told. If it cannot be noted, it
/// is gone all the same.
pub(super) fn note_withdrawn(person: &UserContext, token: Fingerprint) {
    let deadline = Deadline::after(STORE_TIMEOUT);
    drop(person.state.update_ledger(&deadline, |ledger| ledger.record_withdrawn_token(token)));
}

/// Makes a change to what the store holds at that moment; nothing is written where that says so already.
///
/// # Errors
/// [`CommandError`]; the document is as it was.
pub(super) fn update_document(
    store: &mut dyn Store,
    fields: impl Fn(&Document) -> Result<Fields, serde_json::Error>,
) -> Result<(), CommandError> {
    let mut tries = 0;
    loop {
        let deadline = Deadline::after(STORE_TIMEOUT);
        let document = store.read(&deadline)?;
        let changes = fields(&document).map_err(|error| CommandError::new(1, error))?;
        match store.merge(&changes, document.version, &deadline) {
            Err(StoreError::Conflict) if tries < TRIES => {
                tries += 1;
                thread::sleep(PAUSE * tries);
            }
            result => return Ok(result.map(drop)?),
        }
    }
}

//! Activates a setup token. It is verified first. All steps that can fail come before the first
//! change, and the previous token stays active until then.

use std::io::{self, Write};

use cas_core::credential::expiry::{SETUP_TOKEN_LIFETIME, SetupTokenDates};
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::credential::verification::Verification;
use cas_core::outcome::{ExitStatus, Status};
use cas_core::state::env_file::{EnvFileContent, StagedToken};
use cas_core::store::user_document::{SETUP_TOKEN, SetupTokenField, UserDocument, setup_token_fields};
use cas_core::store::{Document, Fields};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use cas_protocol::secret::Secret;
use cas_protocol::setup_token::SetupToken;

use super::{NEW_TOKEN, env_file, show};
use crate::os::deferred_signals::SignalBlock;
use crate::term::stderr::print_stderr;
use crate::term::wrap::{terminal_width, wrap_for};
use crate::user::acceptance::{check_accepted, describe_verification};
use crate::user::context::{CachedVerifier, UserContext};
use crate::user::document::{STORE_TIMEOUT, update_document};
use crate::user::error::{CommandError, reject_unreadable};

/// The creation time of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CreatedAt {
    /// At the time that `--minted-at` gives.
    At(Timestamp),
    /// Now, unless this machine has seen the token before.
    JustNow,
    /// Unknown: its lifetime is counted from when it was first seen.
    Unknown,
}

/// The parameters of an activation.
pub(super) struct Activation<'a> {
    pub(super) user: &'a UserContext,
    pub(super) created_at: CreatedAt,
    pub(super) unverified: bool,
}

impl Activation<'_> {
    /// Activates `token` and prints the result.
    ///
    /// # Errors
    /// Returns [`CommandError`]; nothing is changed.
    pub(super) fn run(&self, token: &SetupToken, signals: &SignalBlock) -> Result<(), CommandError> {
        let user = self.user;
        let _locked = user.lock()?;
        let verdict = self.verify(token, signals)?;
        let staged = env_file(user).stage(token)?;
        let mut store = user.store()?;
        let stored = update_document(&mut *store, |document| self.fields(token, document));
        store.save_token_cache();
        stored?;
        self.commit(token, staged)?;
        let verifier = CachedVerifier::boxed(user.claude(), token.expose(), verdict.clone());
        let outcome = user.sync(Some(verifier));
        self.print(token, &verdict);
        if outcome.status != Status::Ok && verdict.is_alive() {
            print_stderr(&outcome.to_string());
        }
        Ok(())
    }

    fn verify(&self, token: &SetupToken, signals: &SignalBlock) -> Result<Verification, CommandError> {
        let value = Secret::new(token.expose().to_owned());
        let verdict = self.user.claude().probe_cancellable(&|| signals.is_pending(), &value);
        if signals.is_pending() {
            return Err(CommandError::new(ExitStatus::Failure, "interrupted; nothing was changed"));
        }
        check_accepted("this setup token", &verdict, self.unverified, NEW_TOKEN)?;
        Ok(verdict)
    }

    /// Returns the fields to write. Known dates of a known token are kept.
    fn fields(&self, token: &SetupToken, document: &Document) -> Result<Fields, serde_json::Error> {
        let seen = self.user.state.ledger().unwrap_or_default().setup_tokens;
        let is_seen = seen.first_seen(Fingerprint::from_bytes(token.expose())).is_some();
        let stored = UserDocument::parse(document).setup_token;
        let is_stored = matches!(&stored, SetupTokenField::Token(stored) if stored == token);
        let minted_at = match self.created_at {
            CreatedAt::At(at) => Some(at),
            CreatedAt::JustNow if !is_seen && !is_stored => Some(self.user.now),
            CreatedAt::JustNow | CreatedAt::Unknown => None,
        };
        let expires_at = minted_at.map(|at| at.saturating_add(SETUP_TOKEN_LIFETIME));
        let mut fields = setup_token_fields(token, SetupTokenDates { minted_at, expires_at })?;
        if is_stored && minted_at.is_none() {
            fields.retain(|name, _| name == SETUP_TOKEN);
        }
        Ok(fields)
    }

    fn commit(&self, token: &SetupToken, staged: StagedToken) -> Result<(), CommandError> {
        let previous = match reject_unreadable(env_file(self.user).read())? {
            EnvFileContent::Token(before) if before != *token => {
                Some(Fingerprint::from_bytes(before.expose()))
            }
            _ => None,
        };
        staged.commit().map_err(|problem| {
            CommandError::from(problem)
                .with_note("the store holds the new token, and the next sync writes it to that file")
        })?;
        if let Some(previous) = previous {
            record_withdrawn(self.user, previous);
        }
        Ok(())
    }

    /// Prints the result. A closed standard output is not an error.
    fn print(&self, token: &SetupToken, verdict: &Verification) {
        let out = io::stdout();
        let headline = format!(
            "Setup token {} is active for your next sessions, {}.",
            Fingerprint::from_bytes(token.expose()),
            describe_verification(verdict)
        );
        let lines = show::SetupTokenInfo::load(self.user).lines(self.user.now, terminal_width(&out));
        let hint = "Running processes keep their environment: restart them.";
        let text = format!("{}\n{lines}{}\n", wrap_for(&out, &headline), wrap_for(&out, hint));
        drop(out.lock().write_all(text.as_bytes()));
    }
}

/// Records a token that was removed from the env file, so that `cas-sync sessions` finds processes
/// that inherited it. An error is ignored, because the token is removed anyway.
pub(super) fn record_withdrawn(user: &UserContext, token: Fingerprint) {
    let deadline = Deadline::after(STORE_TIMEOUT);
    drop(user.state.update_ledger(&deadline, |ledger| ledger.record_withdrawn_token(token)));
}

//! Removes the setup token.

use std::io::{self, Write};

use cas_core::config::StoreKind;
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::outcome::ExitStatus;
use cas_core::state::env_file::EnvFileContent;
use cas_core::state::local_store::LocalStore;
use cas_core::store::user_document::{SetupTokenField, UserDocument, clear_setup_token_fields};
use cas_core::store::{Fields, Store};
use cas_protocol::deadline::Deadline;

use super::activate::record_withdrawn;
use super::env_file;
use crate::os::deferred_signals::SignalBlock;
use crate::term::secret_input::{confirm, is_at_a_terminal};
use crate::term::wrap::wrap_for;
use crate::user::context::UserContext;
use crate::user::document::{STORE_TIMEOUT, update_document};
use crate::user::error::{CommandError, reject_unreadable};

const QUESTION: &str = "Remove your setup token? Claude Code then uses your login. [y/N] ";

const DONE: &str = "\
Your setup token was removed: your next sessions do not have it.
Running processes keep it until they are restarted. The Anthropic API accepts it until it expires, or until you revoke it in a \
browser, in the settings of your Claude account, under Claude Code.
";

/// Removes the setup token and prints the result.
///
/// # Errors
/// Returns [`CommandError`]; nothing is changed unless the error states it.
pub(super) fn clear(is_confirmed: bool, signals: &SignalBlock) -> Result<(), CommandError> {
    if !is_confirmed && !is_at_a_terminal() {
        return Err(CommandError::new(
            ExitStatus::UsageError,
            "cannot ask for confirmation without a terminal; give --yes to remove the setup token",
        ));
    }
    let user = UserContext::for_current_user()?;
    let env_file = env_file(&user);
    let mut store = user.store()?;
    let is_active = !matches!(reject_unreadable(env_file.read())?, EnvFileContent::Absent);
    if !is_active && !is_stored(&mut *store)? && !is_left_in_local_store(&user)? {
        drop(io::stdout().write_all(b"There is no setup token.\n"));
        return Ok(());
    }
    if !is_confirmed
        && !confirm(QUESTION, signals).map_err(|error| CommandError::new(ExitStatus::Failure, error))?
    {
        return Err(CommandError::new(ExitStatus::Failure, "nothing was changed"));
    }
    let _locked = user.lock()?;
    let previous = match reject_unreadable(env_file.read())? {
        EnvFileContent::Token(token) => Some(Fingerprint::from_bytes(token.expose())),
        _ => None,
    };
    let is_vault = user.config.store == StoreKind::Vault;
    // In Vault a missing field is created. Otherwise a sync of another machine with the token in
    // its local store would copy it there.
    let withdrawn =
        update_document(&mut *store, |document| match UserDocument::parse(document).setup_token {
            SetupTokenField::Absent if is_vault => clear_setup_token_fields(),
            SetupTokenField::Absent | SetupTokenField::Empty => Ok(Fields::new()),
            SetupTokenField::Token(_) | SetupTokenField::Malformed(_) => clear_setup_token_fields(),
        });
    store.save_token_cache();
    withdrawn?;
    // It could become the store again. The env file is removed in any case.
    let left = match is_vault {
        true => local_store(&user).remove_setup_token(&Deadline::after(STORE_TIMEOUT)),
        false => Ok(()),
    };
    env_file.remove().map_err(|problem| {
        CommandError::from(problem).with_note(
            "the store no longer holds a setup token, and the next sync removes it from this machine",
        )
    })?;
    if let Some(previous) = previous {
        record_withdrawn(&user, previous);
    }
    left.map_err(|error| {
        CommandError::from(error)
            .with_note("the store no longer holds a setup token, and this machine does not use it any more")
    })?;
    let out = io::stdout();
    drop(out.lock().write_all(wrap_for(&out, DONE).as_bytes()));
    let outcome = user.sync(user.verifier(user.config.verify));
    let text = format!("Your login: {} {outcome}", outcome.status);
    drop(writeln!(out.lock(), "{}", wrap_for(&out, &text)));
    Ok(())
}

fn local_store(user: &UserContext) -> LocalStore {
    LocalStore::new(user.state.clone(), user.now)
}

/// Returns true if the local store still holds a setup token that no sync has copied to Vault yet.
fn is_left_in_local_store(user: &UserContext) -> Result<bool, CommandError> {
    Ok(UserDocument::parse(&local_store(user).newest()?).token().is_some())
}

fn is_stored(store: &mut dyn Store) -> Result<bool, CommandError> {
    let document = store.read(&Deadline::after(STORE_TIMEOUT))?;
    let field = UserDocument::parse(&document).setup_token;
    Ok(!matches!(field, SetupTokenField::Absent | SetupTokenField::Empty))
}

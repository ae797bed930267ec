//! Taking the setup-token out of force.

use std::io::{self, Write};

use cas_core::credential::fingerprint::Fingerprint;
use cas_core::state::env_file::EnvFileContent;
use cas_core::store::user_document::{SetupTokenField, UserDocument, clear_setup_token_fields};
use cas_core::store::{Fields, Store};
use cas_protocol::deadline::Deadline;

use super::STORE_TIMEOUT;
use super::activate::{note_withdrawn, update_document};
use super::env_file;
use crate::os::deferred_signals::SignalBlock;
use crate::term::secret_input::{confirm, is_at_a_terminal};
use crate::term::wrap::wrap_for;
use crate::user::context::UserContext;
use crate::user::error::{CommandError, reject_unreadable};

const QUESTION: &str =
    "Take your setup-token out of force? Claude Code then uses the login you signed in with. [y/N] ";

const DONE: &str = "\
Your setup-token is out of force: your next sessions do not have it.
What runs already keeps it until it is started again, and the server goes on accepting it: whoever has it can use it until it \
lapses, or until it is revoked in a browser, in the settings of your Claude account, under Claude Code.
";

/// Takes it out, and says so.
///
/// # Errors
/// [`CommandError`]; unless it says otherwise, all is as it was.
pub(super) fn clear(without_asking: bool, signals: &SignalBlock) -> Result<(), CommandError> {
    if !without_asking && !is_at_a_terminal() {
        return Err(CommandError::new(
            2,
            "nobody can be asked here: give --yes to take the setup-token out of force",
        ));
    }
    let person = UserContext::for_current_user()?;
    let env_file = env_file(&person);
    let mut store = person.store()?;
    if matches!(reject_unreadable(env_file.read())?, EnvFileContent::Absent) && !is_in(&mut *store)? {
        drop(io::stdout().write_all(b"There is no setup-token.\n"));
        return Ok(());
    }
    if !without_asking && !confirm(QUESTION, signals).map_err(|not| CommandError::new(1, not))? {
        return Err(CommandError::new(1, "nothing was changed"));
    }
    let _locked = person.lock()?;
    let leaving = match reject_unreadable(env_file.read())? {
        EnvFileContent::Token(token) => Some(Fingerprint::from_bytes(token.expose())),
        _ => None,
    };
    // Where there is no such field none is made: its absence says the same.
    let withdrawn =
        update_document(&mut *store, |document| match UserDocument::parse(document).setup_token {
            SetupTokenField::Absent | SetupTokenField::Empty => Ok(Fields::new()),
            SetupTokenField::Token(_) | SetupTokenField::Malformed(_) => clear_setup_token_fields(),
        });
    store.save_token_cache();
    withdrawn?;
    env_file.remove().map_err(|problem| {
        CommandError::from(problem)
            .with_note("the store holds none any more, and the next sync removes it here")
    })?;
    if let Some(leaving) = leaving {
        note_withdrawn(&person, leaving);
    }
    let out = io::stdout();
    drop(out.lock().write_all(wrap_for(&out, DONE).as_bytes()));
    let outcome = person.sync(person.verifier(person.config.verify));
    let told = format!("Your login: {} {outcome}", outcome.status);
    drop(writeln!(out.lock(), "{}", wrap_for(&out, &told)));
    Ok(())
}

fn is_in(store: &mut dyn Store) -> Result<bool, CommandError> {
    let document = store.read(&Deadline::after(STORE_TIMEOUT))?;
    let field = UserDocument::parse(&document).setup_token;
    Ok(!matches!(field, SetupTokenField::Absent | SetupTokenField::Empty))
}

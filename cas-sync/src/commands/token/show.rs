//! Shows where the user's setup token is stored and its fingerprint and dates, never the token.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use cas_core::credential::expiry::{Expiry, ExpirySource, SetupTokenDates};
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::outcome::ExitStatus;
use cas_core::outcome::state_report::{self, CredentialKind, StateReport};
use cas_core::state::env_file::EnvFileContent;
use cas_core::store::user_document::{SetupTokenField, UserDocument};
use cas_core::time::format::{day, format_relative_days};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use serde_json::{Value, json};

use super::env_file;
use super::stored_token::StoredToken;
use crate::term;
use crate::term::wrap::{terminal_width, wrap};
use crate::user::context::UserContext;
use crate::user::document::STORE_TIMEOUT;
use crate::user::error::CommandError;

/// Prints what is known. Exits with 0 if everything could be read.
pub(super) fn show(as_json: bool) -> ExitCode {
    let user = match UserContext::for_current_user() {
        Ok(user) => user,
        Err(failed) => return failed.report(),
    };
    let (info, out) = (SetupTokenInfo::load(&user), io::stdout());
    if as_json {
        term::json::print(&info.json(&user.account.name));
    } else {
        let text = format!("{}{}", info.headline(), info.lines(user.now, terminal_width(&out)));
        // A closed standard output does not change the exit code.
        drop(out.lock().write_all(text.as_bytes()));
    }
    info.failed.map_or(ExitCode::SUCCESS, |failed| failed.report())
}

/// The setup token of the user.
pub(super) struct SetupTokenInfo {
    env_file: StoredToken,
    env_file_path: PathBuf,
    store: StoredToken,
    /// The token in the env file, else the token in the store.
    details: Option<TokenDetails>,
    /// Why something could not be read.
    failed: Option<CommandError>,
}

/// Details of one token.
struct TokenDetails {
    token: Fingerprint,
    first_seen: Option<Timestamp>,
    minted_at: Option<Timestamp>,
    expiry: Option<Expiry>,
    /// Time of the last successful verification by a sync.
    verified_at: Option<Timestamp>,
    /// The result of the last verification, if it was about this token.
    verification: Option<String>,
}

impl SetupTokenInfo {
    /// Reads the env file and the store. What cannot be read is unknown.
    pub(super) fn load(user: &UserContext) -> Self {
        let file = env_file(user);
        let (env_file, unreadable) = match file.read() {
            EnvFileContent::Absent => (StoredToken::Absent, None),
            EnvFileContent::Token(token) => {
                (StoredToken::Token(Fingerprint::from_bytes(token.expose())), None)
            }
            EnvFileContent::Malformed(why) => {
                (StoredToken::Malformed, Some(CommandError::new(ExitStatus::Failure, why)))
            }
            EnvFileContent::Unreadable(why) => {
                (StoredToken::Unknown, Some(CommandError::new(ExitStatus::Failure, why)))
            }
        };
        let (store, dates, unanswered) = match read_store(user) {
            Ok((place, dates)) => (place, dates, None),
            Err(failed) => (StoredToken::Unknown, SetupTokenDates::default(), Some(failed)),
        };
        let token = [env_file, store].into_iter().find_map(StoredToken::token);
        let details = token.map(|token| {
            let is_stored = store.token() == Some(token);
            TokenDetails::new(token, if is_stored { dates } else { SetupTokenDates::default() }, user)
        });
        let env_file_path = file.path().to_owned();
        Self { env_file, env_file_path, store, details, failed: unanswered.or(unreadable) }
    }

    fn headline(&self) -> String {
        match &self.details {
            Some(known) => format!("Setup token {}\n", known.token),
            None if self.failed.is_some() => "The setup token is unknown.\n".to_owned(),
            None => "There is no setup token.\n".to_owned(),
        }
    }

    /// Returns the lines below the headline, wrapped to `columns`.
    pub(super) fn lines(&self, now: Timestamp, columns: Option<usize>) -> String {
        let mut text = String::new();
        let mut line = |label: &str, text_of_line: String| {
            let line = format!("  {label:<9} {text_of_line}");
            let lines = columns.map(|columns| wrap(&line, columns, &" ".repeat(12)));
            text.push_str(&lines.unwrap_or_else(|| vec![line]).join("\n"));
            text.push('\n');
        };
        if self.env_file != StoredToken::Absent || self.store != StoredToken::Absent {
            line("stored in", self.describe_location());
        }
        if let Some(known) = &self.details {
            // Stored times are whole seconds, so that a year from now is shown as a year.
            let now = Timestamp::from_millis(now.millis() / 1000 * 1000);
            let date = |at: Timestamp| format!("{} ({})", day(at), format_relative_days(at, now));
            match (known.minted_at, known.first_seen) {
                (Some(at), _) => line("created", date(at)),
                (None, Some(at)) => {
                    line("seen", format!("first {}; its creation date is not known", date(at)))
                }
                (None, None) => (),
            }
            if let Some(expiry) = known.expiry {
                let prefix = if expiry.source == ExpirySource::UpperBound { "at the latest " } else { "" };
                line("expires", format!("{prefix}{}", date(expiry.at)));
            }
            line(
                "verified",
                match known.verified_at {
                    Some(at) => format!("{at}, by inference"),
                    None => "never by a sync of this machine".to_owned(),
                },
            );
            if let Some(code) =
                known.verification.as_deref().filter(|code| !["ok", "rate-limited"].contains(code))
            {
                line("last sync", code.to_owned());
            }
        }
        text
    }

    fn describe_location(&self) -> String {
        let path = self.env_file_path.display();
        match (self.env_file, self.store) {
            (StoredToken::Token(one), StoredToken::Token(other)) if one == other => {
                format!("the store and {path}, the same in both")
            }
            (StoredToken::Token(_), StoredToken::Token(other)) => {
                format!("{path}; the store holds another one, {other}, which the next sync activates")
            }
            (StoredToken::Token(_), StoredToken::Absent) => format!("{path}, and not in the store"),
            (StoredToken::Token(_), StoredToken::Unknown) => format!("{path}; the store could not be read"),
            (StoredToken::Token(_), StoredToken::Malformed) => {
                format!("{path}; the field in the store is not a setup token")
            }
            (other, StoredToken::Token(_)) => format!("the store; {path} {}", other.describe()),
            (file, store) => format!("neither: {path} {}, the store {}", file.describe(), store.describe()),
        }
    }

    fn json(&self, user: &str) -> Value {
        let same = match (self.env_file, self.store) {
            (StoredToken::Unknown, _) | (_, StoredToken::Unknown) => Value::Null,
            (one, other) => json!(one == other),
        };
        let known = self.details.as_ref().map(|known| {
            json!({
                "fingerprint": known.token,
                "first_seen_at_ms": known.first_seen,
                "minted_at_ms": known.minted_at,
                "expires_at_ms": known.expiry.map(|expiry| expiry.at),
                "expiry_is_estimated": known.expiry.map(|expiry| expiry.is_estimated()),
                "verified_at_ms": known.verified_at,
                "verification": known.verification,
            })
        });
        let error = self.failed.as_ref().map(|failed| format!("{:#}", failed.error));
        json!({
            "user": user,
            "env_file": self.env_file.json(),
            "store": self.store.json(),
            "same": same,
            "token": known,
            "error": error,
        })
    }
}

impl TokenDetails {
    fn new(token: Fingerprint, stored: SetupTokenDates, user: &UserContext) -> Self {
        let seen = user.state.ledger().unwrap_or_default().setup_tokens;
        let state: Option<StateReport> = user.state.load(state_report::FILE_NAME).unwrap_or_default();
        let is_this = |state: &StateReport| {
            let credential = state.credential.as_ref();
            credential.is_some_and(|reported| {
                reported.kind == CredentialKind::SetupToken && reported.fingerprint == token
            })
        };
        let state = state.filter(is_this);
        let first_seen = seen.first_seen(token);
        Self {
            token,
            first_seen,
            minted_at: stored.minted_at,
            expiry: Expiry::for_setup_token(stored, first_seen).or_else(|| seen.expiry(token)),
            verified_at: state.as_ref().and_then(|state| state.verified_at_ms),
            verification: state.and_then(|state| state.verification),
        }
    }
}

fn read_store(user: &UserContext) -> Result<(StoredToken, SetupTokenDates), CommandError> {
    let mut store = user.store()?;
    let document = store.read(&Deadline::after(STORE_TIMEOUT));
    store.save_token_cache();
    let document = UserDocument::parse(&document?);
    let place = match document.setup_token {
        SetupTokenField::Absent | SetupTokenField::Empty => StoredToken::Absent,
        SetupTokenField::Token(token) => StoredToken::Token(Fingerprint::from_bytes(token.expose())),
        SetupTokenField::Malformed(_) => StoredToken::Malformed,
    };
    Ok((place, document.setup_token_dates))
}

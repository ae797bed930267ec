//! Where a person's setup-token lies, and what is known about it: its fingerprint and dates, and never the token.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use cas_core::credential::expiry::{Expiry, ExpirySource, SetupTokenDates};
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::outcome::state_report::{self, CredentialKind, StateReport};
use cas_core::state::env_file::EnvFileContent;
use cas_core::store::user_document::{SetupTokenField, UserDocument};
use cas_core::time::format::{day, format_relative_days};
use cas_core::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;
use serde_json::{Value, json};

use super::STORE_TIMEOUT;
use super::env_file;
use crate::term::wrap::{terminal_width, wrap};
use crate::user::context::UserContext;
use crate::user::error::CommandError;

/// The version of what `--json` prints: members may be added to it, and none changes its meaning or goes.
const SCHEMA: u32 = 1;

/// Says what is known; 0 unless something of it is not.
pub(super) fn show(as_json: bool) -> ExitCode {
    let person = match UserContext::for_current_user() {
        Ok(person) => person,
        Err(failed) => return failed.report(),
    };
    let (stored, out) = (SetupTokenInfo::load(&person), io::stdout());
    let shown = match as_json {
        true => format!("{}\n", stored.json(&person.account.name)),
        false => format!("{}{}", stored.headline(), stored.lines(person.now, terminal_width(&out))),
    };
    // A reader who is gone changes nothing about how it ended.
    drop(out.lock().write_all(shown.as_bytes()));
    stored.failed.map_or(ExitCode::SUCCESS, |failed| failed.report())
}

/// What lies where.
pub(super) struct SetupTokenInfo {
    env_file: Place,
    env_file_path: PathBuf,
    store: Place,
    /// Of the token in force, or else of the one in the store.
    known: Option<TokenDetails>,
    /// Why something is not known.
    failed: Option<CommandError>,
}

/// What lies in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nothing,
    Token(Fingerprint),
    /// Something that is no token.
    Malformed,
    /// It could not be looked at.
    Unknown,
}

/// What is known about one token.
struct TokenDetails {
    token: Fingerprint,
    first_seen: Option<Timestamp>,
    minted_at: Option<Timestamp>,
    lapse: Option<Expiry>,
    /// The last time a sync showed that it works.
    verified_at: Option<Timestamp>,
    /// What the last sync was shown, where that was about this token.
    verdict: Option<String>,
}

impl SetupTokenInfo {
    /// Looks; what cannot be looked at is noted as that.
    pub(super) fn load(person: &UserContext) -> Self {
        let file = env_file(person);
        let (env_file, unreadable) = match file.read() {
            EnvFileContent::Absent => (Place::Nothing, None),
            EnvFileContent::Token(token) => (Place::Token(Fingerprint::from_bytes(token.expose())), None),
            EnvFileContent::Malformed(why) => (Place::Malformed, Some(CommandError::new(1, why))),
            EnvFileContent::Unreadable(why) => (Place::Unknown, Some(CommandError::new(1, why))),
        };
        let (store, dates, unanswered) = match read_store(person) {
            Ok((place, dates)) => (place, dates, None),
            Err(failed) => (Place::Unknown, SetupTokenDates::default(), Some(failed)),
        };
        let token = [env_file, store].into_iter().find_map(Place::token);
        let known = token.map(|token| {
            let is_stored = store.token() == Some(token);
            TokenDetails::of(token, if is_stored { dates } else { SetupTokenDates::default() }, person)
        });
        let env_file_path = file.path().to_owned();
        Self { env_file, env_file_path, store, known, failed: unanswered.or(unreadable) }
    }

    fn headline(&self) -> String {
        match &self.known {
            Some(known) => format!("Setup-token {}\n", known.token),
            None if self.failed.is_some() => "No setup-token is known.\n".to_owned(),
            None => "There is no setup-token.\n".to_owned(),
        }
    }

    /// What people read about it, below its name, in lines of at most so many columns.
    pub(super) fn lines(&self, now: Timestamp, columns: Option<usize>) -> String {
        let mut text = String::new();
        let mut line = |name: &str, what: String| {
            let line = format!("  {name:<9} {what}");
            let lines = columns.map(|columns| wrap(&line, columns, &" ".repeat(12)));
            text.push_str(&lines.unwrap_or_else(|| vec![line]).join("\n"));
            text.push('\n');
        };
        if self.env_file != Place::Nothing || self.store != Place::Nothing {
            line("lies in", self.describe_location());
        }
        if let Some(known) = &self.known {
            // What is written down is in whole seconds: a year from a moment ago is a year.
            let now = Timestamp::from_millis(now.millis() / 1000 * 1000);
            let date = |at: Timestamp| format!("{} ({})", day(at), format_relative_days(at, now));
            match (known.minted_at, known.first_seen) {
                (Some(at), _) => line("made", date(at)),
                (None, Some(at)) => {
                    line("seen", format!("first {}; nobody wrote down when it was made", date(at)))
                }
                (None, None) => (),
            }
            if let Some(lapse) = known.lapse {
                let how = if lapse.source == ExpirySource::UpperBound { "at the latest " } else { "" };
                line("lapses", format!("{how}{}", date(lapse.at)));
            }
            line(
                "verified",
                match known.verified_at {
                    Some(at) => format!("{at}, by inference"),
                    None => "never by this machine's syncs".to_owned(),
                },
            );
            if let Some(verdict) = known.verdict.as_deref().filter(|word| !["ok", "limited"].contains(word)) {
                line("last sync", verdict.to_owned());
            }
        }
        text
    }

    fn describe_location(&self) -> String {
        let path = self.env_file_path.display();
        match (self.env_file, self.store) {
            (Place::Token(one), Place::Token(other)) if one == other => {
                format!("the store and {path}, the same in both")
            }
            (Place::Token(_), Place::Token(other)) => {
                format!("{path}; the store holds another one, {other}, which the next sync takes over")
            }
            (Place::Token(_), Place::Nothing) => format!("{path}, and not in the store"),
            (Place::Token(_), Place::Unknown) => format!("{path}; the store could not be asked"),
            (Place::Token(_), Place::Malformed) => {
                format!("{path}; the store holds something that is no setup-token")
            }
            (other, Place::Token(_)) => format!("the store; {path} {}", other.words()),
            (file, store) => format!("neither: {path} {}, the store {}", file.words(), store.words()),
        }
    }

    fn json(&self, user: &str) -> Value {
        let same = match (self.env_file, self.store) {
            (Place::Unknown, _) | (_, Place::Unknown) => Value::Null,
            (one, other) => json!(one == other),
        };
        let known = self.known.as_ref().map(|known| {
            json!({
                "fingerprint": known.token,
                "first_seen_at_ms": known.first_seen,
                "minted_at_ms": known.minted_at,
                "expires_at_ms": known.lapse.map(|lapse| lapse.at),
                "expiry_is_estimated": known.lapse.map(|lapse| lapse.is_estimated()),
                "verified_at_ms": known.verified_at,
                "verdict": known.verdict,
            })
        });
        let error = self.failed.as_ref().map(|failed| format!("{:#}", failed.error));
        json!({
            "schema": SCHEMA,
            "user": user,
            "env_file": self.env_file.json(),
            "store": self.store.json(),
            "same": same,
            "token": known,
            "error": error,
        })
    }
}

impl Place {
    fn token(self) -> Option<Fingerprint> {
        if let Self::Token(token) = self { Some(token) } else { None }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Nothing => "holds none",
            Self::Token(_) => "holds one",
            Self::Malformed => "holds something that is no setup-token",
            Self::Unknown => "could not be read",
        }
    }

    fn json(self) -> Value {
        let state = match self {
            Self::Nothing => "absent",
            Self::Token(_) => "token",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
        };
        json!({ "state": state, "fingerprint": self.token() })
    }
}

impl TokenDetails {
    fn of(token: Fingerprint, stored: SetupTokenDates, person: &UserContext) -> Self {
        let seen = person.state.ledger().unwrap_or_default().setup_tokens;
        let state: Option<StateReport> = person.state.load(state_report::FILE_NAME).unwrap_or_default();
        let is_it = |state: &StateReport| {
            let credential = state.credential.as_ref();
            credential.is_some_and(|one| one.kind == CredentialKind::SetupToken && one.fingerprint == token)
        };
        let state = state.filter(is_it);
        let first_seen = seen.first_seen(token);
        Self {
            token,
            first_seen,
            minted_at: stored.minted_at,
            lapse: Expiry::for_setup_token(stored, first_seen).or_else(|| seen.lapse(token)),
            verified_at: state.as_ref().and_then(|state| state.verified_at_ms),
            verdict: state.and_then(|state| state.verdict),
        }
    }
}

fn read_store(person: &UserContext) -> Result<(Place, SetupTokenDates), CommandError> {
    let mut store = person.store()?;
    let document = store.read(&Deadline::after(STORE_TIMEOUT));
    store.save_token_cache();
    let document = UserDocument::parse(&document?);
    let place = match document.setup_token {
        SetupTokenField::Absent | SetupTokenField::Empty => Place::Nothing,
        SetupTokenField::Token(token) => Place::Token(Fingerprint::from_bytes(token.expose())),
        SetupTokenField::Malformed(_) => Place::Malformed,
    };
    Ok((place, document.setup_token_dates))
}

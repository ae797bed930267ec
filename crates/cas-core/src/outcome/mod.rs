//! The result of a run. The log line, the exit status, the notice and `state.json` are rendered
//! from this one value, so that they cannot disagree.

pub mod codes;
mod exit_status;
mod finding;
mod message;
pub mod notice;
pub mod state_report;

use std::fmt;
use std::str::FromStr;

pub use exit_status::ExitStatus;
pub use finding::{Detail, Finding};
pub use message::with_login_email;

use crate::claude_files::email::Email;
use crate::credential::expiry::Expiry;
use crate::credential::expiry_warning::ExpiryWarning;
use crate::credential::login::LoginSummary;
use crate::credential::verification::Verification;
use crate::fs::obstacle::Obstacle;
use crate::store::StoreError;

/// The status words of the log and the journal. Alerts match them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// No problem was found.
    Ok,
    /// A login was restored.
    Recovered,
    /// Something is wrong, but the user does not have to act yet.
    Warn,
    /// The user or the administrator has to act. The text names the remedy.
    Fail,
    /// Nothing was done, because another run is active.
    Skip,
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ok => "OK",
            Self::Recovered => "RECOVERED",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
            Self::Skip => "SKIP",
        })
    }
}

impl FromStr for Status {
    type Err = ParseStatusError;

    fn from_str(word: &str) -> Result<Self, ParseStatusError> {
        [Self::Ok, Self::Recovered, Self::Warn, Self::Fail, Self::Skip]
            .into_iter()
            .find(|status| status.to_string() == word)
            .ok_or(ParseStatusError)
    }
}

/// The word is not a [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown status")]
pub struct ParseStatusError;

/// Where a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupLocation {
    /// The local history of this machine.
    LocalHistory,
    /// The store.
    Store,
}

impl BackupLocation {
    /// Returns the name for programs: `history` or `store`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LocalHistory => "history",
            Self::Store => "store",
        }
    }
}

impl fmt::Display for BackupLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::LocalHistory => "the local history",
            Self::Store => "the store",
        })
    }
}

/// The result of a run: a status, the main finding, and further details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The status word.
    pub status: Status,
    /// The main result.
    pub finding: Finding,
    /// Further results, in their order.
    pub notes: Vec<Detail>,
    /// Whether a sync should run soon. (A login cannot verify and has little time.)
    pub wants_sync: bool,
    /// The expiry of the credential, if it is known.
    pub expiry: Option<Expiry>,
    /// The warning, if the expiry is near or past and the credential is not known to be rejected.
    pub expiry_warning: Option<ExpiryWarning>,
    /// The email to sign in with, if it is known and the user has to sign in.
    pub sign_in_as: Option<Email>,
}

impl Outcome {
    /// Creates an outcome without further details.
    pub fn new(status: Status, finding: Finding) -> Self {
        Self {
            status,
            finding,
            notes: Vec::new(),
            wants_sync: false,
            expiry: None,
            expiry_warning: None,
            sign_in_as: None,
        }
    }

    /// Creates the outcome of a sync that an obstacle prevents. If the obstacle is absent in each
    /// session of the user, a sync without one has nothing to report.
    pub fn obstructed(state: String, obstacle: Obstacle) -> Self {
        let status = if obstacle.kind.ends_with_a_session() { Status::Skip } else { Status::Fail };
        Self::new(status, Finding::Obstructed { state, obstacle })
    }

    /// Adds a detail that needs attention, and raises the status to at least `status`.
    pub fn escalate(&mut self, status: Status, note: Detail) {
        if self.status == Status::Ok || status == Status::Fail {
            self.status = status;
        }
        self.notes.push(note);
    }

    /// Returns the result of the verification in this run.
    pub fn verdict(&self) -> Option<&Verification> {
        match &self.finding {
            Finding::SetupToken { verdict, .. }
            | Finding::Login { verdict, .. }
            | Finding::UnrefreshedToken { verdict, .. }
            | Finding::Stale { verdict, .. }
            | Finding::Restored { verdict, .. } => verdict.as_ref(),
            _ => None,
        }
    }

    /// Returns the complete login of the finding, if it has one.
    pub fn login(&self) -> Option<&LoginSummary> {
        self.finding.login()
    }

    /// Returns the cause of a warning that ends by itself or that an administrator removes for all
    /// users. The text is the same for every run with that cause.
    pub fn outage(&self) -> Option<String> {
        let of_store = self.notes.iter().find_map(|note| match note {
            Detail::Store(StoreError::Busy { .. }) => Some("the store is busy"),
            Detail::Store(StoreError::Unreachable { .. }) => Some("the store cannot be reached"),
            _ => None,
        });
        let of_claude = self.verdict().and_then(|verdict| match verdict {
            Verification::Inconclusive(why) | Verification::ClientUnusable(why) => Some(why.as_str()),
            _ => None,
        });
        let causes: Vec<_> = of_claude.into_iter().chain(of_store).collect();
        (self.status == Status::Warn && !causes.is_empty()).then(|| causes.join("; "))
    }

    /// Returns the [code](codes) of the finding.
    pub fn finding_code(&self) -> &'static str {
        codes::finding_code(&self.finding)
    }

    /// Returns the [code](codes) of the verification in this run.
    pub fn verification_code(&self) -> Option<&'static str> {
        self.verdict().map(codes::verification_code)
    }

    /// Returns true if this run changed a credential or a backup.
    pub fn has_changed_anything(&self) -> bool {
        matches!(self.finding, Finding::Restored { .. }) || self.notes.iter().any(Detail::is_change)
    }

    /// Returns true if a login should write a journal line: if something was changed or is wrong.
    pub fn should_log(&self) -> bool {
        self.status != Status::Ok || !self.notes.is_empty()
    }
}

#[cfg(test)]
mod tests;

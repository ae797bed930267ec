//! How a run ended. The log line, the exit code, the notice and later the metric are all rendered from this one
//! value, so that they cannot disagree.

mod codes;
mod exit_status;
mod finding;
mod message;
pub mod notice;
pub mod state_report;

use std::fmt;

pub use finding::{Detail, Finding};
pub use message::with_login_email;

use crate::claude_files::email::Email;
use crate::credential::expiry::Expiry;
use crate::credential::expiry_warning::ExpiryWarning;
use crate::credential::login::LoginSummary;
use crate::credential::verification::Verification;
use crate::store::StoreError;

/// The status words of the log and the journal; alerts look for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All is well as far as it was looked at.
    Ok,
    /// A broken login was mended.
    Recovered,
    /// Something is not as it should be, and no person has to act yet.
    Warn,
    /// A person has to act; the text says what to do.
    Fail,
    /// Nothing was done because another run is at it.
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

/// Where a login that was put back came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupLocation {
    /// The local history of this machine.
    LocalHistory,
    /// The store.
    Store,
}

impl BackupLocation {
    /// Returns its name for programs: `history` or `store`.
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

/// How a run ended: one status, the finding it rests on, and what else is worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The word.
    pub status: Status,
    /// What was found, or done.
    pub finding: Finding,
    /// What else happened, in its order.
    pub notes: Vec<Detail>,
    /// Whether the sync should look at this soon (a login cannot verify, and has little time).
    pub wants_sync: bool,
    /// When the credential it is about lapses, if that is known.
    pub lapse: Option<Expiry>,
    /// The same while that is near, or past, and the credential is not known to be dead.
    pub lapsing: Option<ExpiryWarning>,
    /// With which address the person would sign in, where that is known and they have to be told.
    pub sign_in_as: Option<Email>,
}

impl Outcome {
    /// One of which there is nothing more to say than this.
    pub fn new(status: Status, finding: Finding) -> Self {
        Self {
            status,
            finding,
            notes: Vec::new(),
            wants_sync: false,
            lapse: None,
            lapsing: None,
            sign_in_as: None,
        }
    }

    /// Adds something that needs attention: `status` at least, unless it is worse already.
    pub fn escalate(&mut self, status: Status, note: Detail) {
        if self.status == Status::Ok || status == Status::Fail {
            self.status = status;
        }
        self.notes.push(note);
    }

    /// What real inference showed in this run of the credential it was about.
    pub fn verdict(&self) -> Option<&Verification> {
        match &self.finding {
            Finding::SetupToken { verdict, .. }
            | Finding::Login { verdict, .. }
            | Finding::Stale { verdict, .. }
            | Finding::Restored { verdict, .. } => verdict.as_ref(),
            _ => None,
        }
    }

    /// The complete login this was about.
    pub fn login(&self) -> Option<&LoginSummary> {
        self.finding.login()
    }

    /// What stands in the way, where that is something that passes by itself or that an admin mends for everybody: the name
    /// of a state of the world, the same for every run that meets it.
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

    /// What was found, in one word; words never change their meaning.
    pub fn finding_code(&self) -> &'static str {
        codes::of_finding(&self.finding)
    }

    /// What real inference showed in this run, in one word.
    pub fn verification_code(&self) -> Option<&'static str> {
        self.verdict().map(codes::of_verdict)
    }

    /// Whether this run changed a credential, or a copy of one.
    pub fn has_changed_anything(&self) -> bool {
        matches!(self.finding, Finding::Restored { .. }) || self.notes.iter().any(Detail::is_change)
    }

    /// Whether a login should leave a line in the journal: when something was done, or is not as it should be.
    pub fn should_log(&self) -> bool {
        self.status != Status::Ok || !self.notes.is_empty()
    }
}

#[cfg(test)]
mod tests;

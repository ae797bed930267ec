//! How a run ended. The log line, the exit code, the notice and later the metric are all rendered from this one
//! value, so that they cannot disagree.

pub mod notice;
pub mod state;
mod text;
mod words;

use std::fmt;

pub use text::with_address;

use crate::address::Address;
use crate::fingerprint::Fingerprint;
use crate::lapse::Lapse;
use crate::lapsing::Lapsing;
use crate::oauth_login::LoginSummary;
use crate::store::Failure;
use crate::verdict::Verdict;

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
pub enum Source {
    /// The local history of this machine.
    History,
    /// The store.
    Store,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::History => "the local history",
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
    pub notes: Vec<Note>,
    /// Whether the sync should look at this soon (a login cannot verify, and has little time).
    pub wants_sync: bool,
    /// When the credential it is about lapses, if that is known.
    pub lapse: Option<Lapse>,
    /// The same while that is near, or past, and the credential is not known to be dead.
    pub lapsing: Option<Lapsing>,
    /// With which address the person would sign in, where that is known and they have to be told.
    pub sign_in_as: Option<Address>,
}

/// The one thing a run has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The setup-token is in use.
    SetupToken {
        /// Which one.
        token: Fingerprint,
        /// What a live probe showed.
        verdict: Option<Verdict>,
    },
    /// The login is complete and, if there is a verdict, was probed.
    Login {
        /// Which one.
        login: LoginSummary,
        /// What a live probe showed.
        verdict: Option<Verdict>,
    },
    /// The login is complete and its access token has to be refreshed by Claude Code.
    Stale {
        /// Which one.
        login: LoginSummary,
        /// What a refresh run showed.
        verdict: Option<Verdict>,
    },
    /// The login is complete, and some session of Claude Code is refreshing it just now.
    Refreshing(LoginSummary),
    /// The login is complete, its access token has ended, and a later login is known: an old copy that somebody put back, or
    /// one from a time when the clock was wrong.
    Spent {
        /// Which one.
        login: LoginSummary,
        /// Whether this machine saw its refresh token being exchanged.
        is_certain: bool,
    },
    /// A broken or rejected login was replaced.
    Restored {
        /// What was put back.
        login: LoginSummary,
        /// Whether its access token can be used as it is; if not, Claude Code has to refresh it first, and may fail to.
        is_fresh: bool,
        /// From where.
        source: Source,
        /// What a live probe of it showed.
        verdict: Option<Verdict>,
    },
    /// The login is broken or rejected and nothing may be put back.
    Beyond {
        /// What lies there now.
        state: String,
    },
    /// The login is broken and could not be mended this time.
    Unmended {
        /// What lies there now.
        state: String,
        /// What stood in the way.
        why: String,
    },
    /// Claude Code takes what lies there for no login, and this run was not to mend it.
    Broken {
        /// What lies there.
        state: String,
    },
    /// What a person asked for was not done.
    NotDone(String),
    /// There is no login yet, here or in the store.
    NoLogin,
    /// What lies there is left alone.
    LeftAlone(String),
    /// The configuration cannot be used, and nothing was done.
    Misconfigured(String),
    /// Another run holds the lock.
    Busy,
}

/// Something else that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The env file now holds the store's setup-token.
    EnvFileWritten,
    /// The env file is gone, as the store said.
    EnvFileRemoved,
    /// The env file could not be used.
    EnvFile(String),
    /// The env file could not be made what the store says.
    EnvFileUnchanged(String),
    /// The store's setup-token is malformed and was not used.
    SetupTokenField(String),
    /// The login was backed up.
    BackedUp(Source),
    /// The login was not backed up.
    NotBackedUp(String),
    /// A restored login was rejected and what lay there before is back.
    RolledBack,
    /// What lay there before a restore could not be put back.
    NotRolledBack(String),
    /// The store could not be read.
    Store(Failure),
    /// The store's token needs somebody's attention.
    Token(String),
    /// The configuration says something that nobody understands.
    Configuration(String),
    /// No copies of logins are kept any more, and some from before are still there.
    CopiesRemain(Vec<Source>),
}

impl Finding {
    /// The complete login this is about.
    pub fn login(&self) -> Option<&LoginSummary> {
        match self {
            Self::Login { login, .. }
            | Self::Stale { login, .. }
            | Self::Restored { login, .. }
            | Self::Refreshing(login)
            | Self::Spent { login, .. } => Some(login),
            _ => None,
        }
    }
}

impl Note {
    /// Whether nothing is wrong with what it says.
    fn is_in_order(&self) -> bool {
        self.is_of_a_change() || matches!(self, Self::CopiesRemain(_))
    }

    /// Whether this run changed something.
    fn is_of_a_change(&self) -> bool {
        matches!(self, Self::EnvFileWritten | Self::EnvFileRemoved | Self::BackedUp(_) | Self::RolledBack)
    }
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
    pub fn add(&mut self, status: Status, note: Note) {
        if self.status == Status::Ok || status == Status::Fail {
            self.status = status;
        }
        self.notes.push(note);
    }

    /// The exit code of `cas-sync run`: 0 fine (also where all there is to warn of is a date that comes near, or has passed
    /// without anybody refusing the credential: nothing has failed), 69 `claude` unusable, 75 try later (a store or Claude Code is busy or away),
    /// 77 refused by the store, 78 configuration, 79 a person must sign in, 1 anything else.
    pub fn exit_code(&self) -> u8 {
        let is_refused =
            |note: &Note| matches!(note, Note::Store(Failure::Refused { .. } | Failure::Gone { .. }));
        let is_unusable = |note: &Note| matches!(note, Note::Store(Failure::Misconfigured { .. }));
        let passes =
            |note: &Note| matches!(note, Note::Store(Failure::Busy { .. } | Failure::Unreachable { .. }));
        match (self.status, self.verdict()) {
            (Status::Ok | Status::Recovered | Status::Skip, _) => 0,
            _ if self.is_warning_of_the_end_alone() => 0,
            (_, Some(Verdict::Rejected { account_level: false })) => 79,
            _ if matches!(
                self.finding,
                Finding::Beyond { .. } | Finding::Broken { .. } | Finding::Spent { is_certain: true, .. }
            ) =>
            {
                79
            }
            _ if matches!(self.finding, Finding::Misconfigured(_)) => 78,
            _ if self.notes.iter().any(is_unusable) => 78,
            _ if self.notes.iter().any(is_refused)
                || self.notes.iter().any(|note| matches!(note, Note::Token(_))) =>
            {
                77
            }
            (_, Some(Verdict::Unusable(_))) => 69,
            (_, Some(Verdict::Unknown(_))) => 75,
            _ if self.notes.iter().any(passes) => 75,
            _ if self.notes.iter().any(|note| matches!(note, Note::Configuration(_))) => 78,
            _ if matches!(self.finding, Finding::Unmended { .. } | Finding::Spent { .. }) => 75,
            _ => 1,
        }
    }

    fn is_warning_of_the_end_alone(&self) -> bool {
        let is_in_order = matches!(
            self.finding,
            Finding::SetupToken { .. }
                | Finding::Login { .. }
                | Finding::Stale { .. }
                | Finding::Refreshing(_)
        );
        self.lapsing.is_some()
            && self.status == Status::Warn
            && is_in_order
            && self.verdict().is_none_or(Verdict::is_alive)
            && self.notes.iter().all(Note::is_in_order)
    }

    /// What real inference showed in this run of the credential it was about.
    pub fn verdict(&self) -> Option<&Verdict> {
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
            Note::Store(Failure::Busy { .. }) => Some("the store is busy"),
            Note::Store(Failure::Unreachable { .. }) => Some("the store cannot be reached"),
            _ => None,
        });
        let of_claude = self.verdict().and_then(|verdict| match verdict {
            Verdict::Unknown(why) | Verdict::Unusable(why) => Some(why.as_str()),
            _ => None,
        });
        let causes: Vec<_> = of_claude.into_iter().chain(of_store).collect();
        (self.status == Status::Warn && !causes.is_empty()).then(|| causes.join("; "))
    }

    /// What was found, in one word; words never change their meaning.
    pub fn finding_word(&self) -> &'static str {
        words::of_finding(&self.finding)
    }

    /// What real inference showed in this run, in one word.
    pub fn verdict_word(&self) -> Option<&'static str> {
        self.verdict().map(words::of_verdict)
    }

    /// Whether this run changed a credential, or a copy of one.
    pub fn has_changed_anything(&self) -> bool {
        matches!(self.finding, Finding::Restored { .. }) || self.notes.iter().any(Note::is_of_a_change)
    }

    /// Whether a login should leave a line in the journal: when something was done, or is not as it should be.
    pub fn is_worth_a_line(&self) -> bool {
        self.status != Status::Ok || !self.notes.is_empty()
    }
}

#[cfg(test)]
mod tests;

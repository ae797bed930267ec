//! Why a person is shown a notice, and how much that asks of them.

use std::fmt;

use crate::credential::expiry::Kind;
use crate::credential::expiry_warning::Stage;

/// Why a person is shown something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server refuses their account or organisation.
    AccountRefused,
    /// The server refuses their setup-token.
    SetupTokenRejected,
    /// The server refuses their login.
    LoginRejected,
    /// Their login is broken, and there is no copy.
    LoginLost,
    /// An old copy of their login lies there.
    LoginSpent,
    /// Their credential lapses soon, or should have.
    Lapsing(Kind, Stage),
}

impl Cause {
    /// In one word, for programs: a word never changes its meaning.
    pub fn word(self) -> &'static str {
        match self {
            Self::AccountRefused => "account-refused",
            Self::SetupTokenRejected => "setup-token-rejected",
            Self::LoginRejected => "login-rejected",
            Self::LoginLost => "login-lost",
            Self::LoginSpent => "login-spent",
            Self::Lapsing(Kind::Login, Stage::Month | Stage::Week) => "login-lapses-in-7-days",
            Self::Lapsing(Kind::Login, Stage::ThreeDays) => "login-lapses-in-3-days",
            Self::Lapsing(Kind::Login, Stage::Day) => "login-lapses-in-1-day",
            Self::Lapsing(Kind::Login, Stage::Passed) => "login-lapsed",
            Self::Lapsing(Kind::SetupToken, Stage::Month) => "setup-token-lapses-in-30-days",
            Self::Lapsing(Kind::SetupToken, Stage::Week | Stage::ThreeDays | Stage::Day) => {
                "setup-token-lapses-in-7-days"
            }
            Self::Lapsing(Kind::SetupToken, Stage::Passed) => "setup-token-lapsed",
        }
    }
}

/// How much a notice asks of its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Nothing.
    Good,
    /// Something within days.
    Lapsing,
    /// Something now.
    MustAct,
}

impl Urgency {
    /// That of a notice with this [`Cause::word`], or of none.
    pub fn of(cause: Option<&str>) -> Self {
        match cause {
            None => Self::Good,
            Some(word) if word.contains("-lapse") => Self::Lapsing,
            Some(_) => Self::MustAct,
        }
    }
}

/// One word, for programs.
impl fmt::Display for Urgency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Good => "good",
            Self::Lapsing => "lapsing",
            Self::MustAct => "must-act",
        })
    }
}

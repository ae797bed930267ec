//! When a credential lapses as a whole, and how sure that is. Pure. Nothing here says that a credential is dead: only the
//! server does, and a date that has passed may have been wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::credential::login::LoginSummary;
use crate::time::timestamp::Timestamp;

/// How long a setup-token lasts from the day it was made: `claude setup-token` asks for 31,536,000 seconds
/// (`docs/design/claude-code.md`).
pub const SETUP_TOKEN_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Before this moment (the first of 2025) there was no credential of today: a date that says so is wrong.
pub const MIN_PLAUSIBLE_TIME: Timestamp = Timestamp::from_millis(1_735_689_600_000);

/// The kinds of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// The setup-token in the env file.
    SetupToken,
    /// The login in `.credentials.json`.
    Login,
}

/// The end of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The moment.
    pub at: Timestamp,
    /// How it is known.
    pub source: ExpirySource,
}

/// How an end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpirySource {
    /// It is written down: in the login itself, or beside the setup-token.
    Declared,
    /// The day on which the setup-token was made is written down, and a year was added.
    FromCreationDate,
    /// This machine saw the setup-token first a year before: it was made then or earlier, and lapses then or earlier.
    UpperBound,
}

/// What is written down about a setup-token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetupTokenDates {
    /// When it was made.
    pub minted_at: Option<Timestamp>,
    /// When it lapses.
    pub expires_at: Option<Timestamp>,
}

impl Expiry {
    /// That of a login: when its person has to sign in again, whatever is refreshed until then. Nothing where the login does
    /// not say, or says what cannot be.
    pub fn for_login(login: &LoginSummary) -> Option<Self> {
        let stated = login.login_expires_at.filter(|at| *at >= MIN_PLAUSIBLE_TIME);
        stated.map(|at| Self { at, source: ExpirySource::Declared })
    }

    /// That of a setup-token, from what is written down about it, else from when it was first seen.
    pub fn for_setup_token(dates: SetupTokenDates, first_seen: Option<Timestamp>) -> Option<Self> {
        let possible = |at: &Timestamp| *at >= MIN_PLAUSIBLE_TIME;
        let stated = dates.expires_at.filter(possible).map(|at| (at, ExpirySource::Declared));
        let a_year_from = |from: Timestamp| from.saturating_add(SETUP_TOKEN_LIFETIME);
        let reckoned =
            || dates.minted_at.filter(possible).map(|at| (a_year_from(at), ExpirySource::FromCreationDate));
        let at_the_latest = || first_seen.map(|at| (a_year_from(at), ExpirySource::UpperBound));
        let (at, certainty) = stated.or_else(reckoned).or_else(at_the_latest)?;
        Some(Self { at, source: certainty })
    }

    /// Whether nobody wrote the date down.
    pub fn is_estimated(&self) -> bool {
        self.source != ExpirySource::Declared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::fingerprint::RefreshTokenId;
    use crate::credential::login::Owner;

    const DAY: u64 = 24 * 60 * 60 * 1000;

    fn at(day: u64) -> Timestamp {
        MIN_PLAUSIBLE_TIME.saturating_add(Duration::from_millis(day * DAY))
    }

    #[test]
    fn a_setup_token_lapses_when_it_is_said_to_else_a_year_after_it_was_made_else_after_it_was_seen() {
        use ExpirySource::{Declared, FromCreationDate, UpperBound};
        let rows = [
            (Some(10), Some(90), Some(50), Some((90, Declared))),
            (None, Some(90), None, Some((90, Declared))),
            (Some(10), None, Some(50), Some((375, FromCreationDate))),
            (None, None, Some(50), Some((415, UpperBound))),
            (None, None, None, None),
        ];
        let absurd = SetupTokenDates {
            minted_at: Some(Timestamp::from_millis(0)),
            expires_at: Some(Timestamp::from_millis(1)),
        };
        assert_eq!(Expiry::for_setup_token(absurd, None), None);
        for (minted, expires, seen, expected) in rows {
            let dates = SetupTokenDates { minted_at: minted.map(at), expires_at: expires.map(at) };
            let lapse = Expiry::for_setup_token(dates, seen.map(at));
            let expected = expected.map(|(day, certainty)| Expiry { at: at(day), source: certainty });
            assert_eq!(lapse, expected, "{dates:?} {seen:?}");
            assert_eq!(lapse.map(|lapse| lapse.is_estimated()), expected.map(|it| it.source != Declared));
        }
    }

    #[test]
    fn a_login_lapses_when_it_says_so_and_nobody_guesses_otherwise() {
        let login = |login_expires_at| LoginSummary {
            generation: RefreshTokenId::from_bytes("r"),
            expires_at: at(1),
            login_expires_at,
            owner: Owner::default(),
        };
        assert_eq!(Expiry::for_login(&login(None)), None);
        assert_eq!(Expiry::for_login(&login(Some(Timestamp::from_millis(0)))), None);
        let stated = Expiry { at: at(30), source: ExpirySource::Declared };
        assert_eq!(Expiry::for_login(&login(Some(at(30)))), Some(stated));
    }
}

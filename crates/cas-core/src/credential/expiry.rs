//! The expiry of a credential and how it is known. Pure. An expiry in the past does not mean that
//! the credential is rejected: only the Anthropic API decides that, and the date may be wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::credential::login::LoginSummary;
use crate::time::timestamp::Timestamp;

/// The lifetime of a setup token: `claude setup-token` requests 31,536,000 seconds
/// (`docs/design/claude-code.md`).
pub const SETUP_TOKEN_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How far beyond a year after its first sight the stated expiry of a pasted token is believed: a
/// year may have 366 days, and end at midnight.
const STATED_YEAR_TOLERANCE: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// 2025-01-01. Credentials of today's form did not exist before, so an earlier date is wrong.
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

/// The expiry of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The moment.
    pub at: Timestamp,
    /// How it is known.
    pub source: ExpirySource,
}

/// How an expiry is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpirySource {
    /// It is stated in the login, or beside the setup token in the store.
    Declared,
    /// The creation date of the setup token is stated, and a year was added.
    FromCreationDate,
    /// One year after this machine first saw the setup token. The token was created then or
    /// earlier, so it expires then or earlier.
    UpperBound,
}

/// The dates that the store has for a setup token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetupTokenDates {
    /// When it was created.
    pub minted_at: Option<Timestamp>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

impl Expiry {
    /// Returns when the user has to sign in again, whatever is refreshed until then. Returns `None`
    /// if the login has no such date or an implausible one.
    pub fn for_login(login: &LoginSummary) -> Option<Self> {
        let stated = login.login_expires_at.filter(|at| *at >= MIN_PLAUSIBLE_TIME);
        stated.map(|at| Self { at, source: ExpirySource::Declared })
    }

    /// Returns the expiry of a setup token, from its dates, or from the time when it was first
    /// seen.
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

    /// Returns the expiry of an access token that Claude Code does not refresh: the stated one, or
    /// one year after it was first seen. No token lasts longer than a setup token, so a later date
    /// is not believed.
    pub fn for_unrefreshed_token(stated: Option<Timestamp>, first_seen: Timestamp) -> Self {
        let latest = first_seen.saturating_add(SETUP_TOKEN_LIFETIME);
        let is_possible =
            |at: &Timestamp| *at >= MIN_PLAUSIBLE_TIME && *at <= latest.saturating_add(STATED_YEAR_TOLERANCE);
        match stated.filter(is_possible) {
            Some(at) => Self { at, source: ExpirySource::Declared },
            None => Self { at: latest, source: ExpirySource::UpperBound },
        }
    }

    /// Returns true if the date is not stated anywhere.
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
    fn setup_token_expiry_comes_from_dates_then_first_sight() {
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
            let expiry = Expiry::for_setup_token(dates, seen.map(at));
            let expected = expected.map(|(day, certainty)| Expiry { at: at(day), source: certainty });
            assert_eq!(expiry, expected, "{dates:?} {seen:?}");
            assert_eq!(expiry.map(|expiry| expiry.is_estimated()), expected.map(|it| it.source != Declared));
        }
    }

    #[test]
    fn unrefreshed_token_expires_within_a_year_of_its_first_sight() {
        use ExpirySource::{Declared, UpperBound};
        for (stated, expected) in [
            (Some(at(40)), (at(40), Declared)),
            (Some(at(375)), (at(375), Declared)),
            (Some(at(376)), (at(376), Declared)),
            (Some(at(4000)), (at(375), UpperBound)),
            (Some(Timestamp::from_millis(0)), (at(375), UpperBound)),
            (None, (at(375), UpperBound)),
        ] {
            let expiry = Expiry::for_unrefreshed_token(stated, at(10));
            assert_eq!((expiry.at, expiry.source), expected, "{stated:?}");
        }
    }

    #[test]
    fn login_expiry_is_never_estimated() {
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

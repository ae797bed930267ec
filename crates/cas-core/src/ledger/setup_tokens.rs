//! The setup tokens that this machine has seen: their first sight, their dates, the store that held
//! them, and the last conclusive verification. Part of the ledger. Tokens are identified by their
//! fingerprints.

use serde::{Deserialize, Serialize};

use crate::credential::expiry::{Expiry, MIN_PLAUSIBLE_TIME, SetupTokenDates};
use crate::credential::fingerprint::Fingerprint;
use crate::credential::login::UnrefreshedToken;
use crate::credential::verification::Verification;
use crate::time::timestamp::Timestamp;

/// The number of tokens that are kept: those that were recorded last.
const MAX_TOKENS: usize = 16;

/// The number of earlier stores that are kept for a token.
const MAX_EARLIER_STORES: usize = 8;

/// The tokens, in the order in which they were first seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeenTokens(Vec<SeenToken>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SeenToken {
    token: Fingerprint,
    first_seen: Timestamp,
    #[serde(default)]
    minted_at: Option<Timestamp>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    /// [`crate::config::Config::store_id`] of the store that held it last.
    #[serde(default)]
    store: Option<Fingerprint>,
    /// The stores that held it before, oldest first.
    #[serde(default)]
    earlier_stores: Vec<Fingerprint>,
    /// Whether the account or organization was refused when it was last verified.
    #[serde(default)]
    is_account_refused: bool,
    /// Whether its last conclusive verification was successful.
    #[serde(default)]
    is_valid: Option<bool>,
}

impl SeenTokens {
    /// Records the setup token of the env file or of the login file. The tokens that were recorded
    /// last are kept.
    pub fn record(&mut self, token: Fingerprint, now: Timestamp) {
        let known = self.0.iter().position(|known| known.token == token).map(|index| self.0.remove(index));
        let first_seen = known.as_ref().map_or(now, |known| earlier(known.first_seen, now));
        let known = known.unwrap_or_else(|| SeenToken {
            token,
            first_seen,
            minted_at: None,
            expires_at: None,
            store: None,
            earlier_stores: Vec::new(),
            is_account_refused: false,
            is_valid: None,
        });
        self.0.push(SeenToken { first_seen, ..known });
        let excess = self.0.len().saturating_sub(MAX_TOKENS);
        self.0.drain(..excess);
    }

    /// Records the setup token of `store` and its dates. Dates that were recorded for another
    /// token belong to that one: an administrator who replaces a token by hand may leave them in
    /// the document.
    pub fn record_from_store(
        &mut self,
        token: Fingerprint,
        dates: SetupTokenDates,
        store: Fingerprint,
        now: Timestamp,
    ) {
        self.record(token, now);
        let is_left_over = dates != SetupTokenDates::default()
            && self.0.iter().any(|known| known.token != token && known.dates() == dates);
        let dates = if is_left_over { SetupTokenDates::default() } else { dates };
        if let Some(known) = self.0.iter_mut().find(|known| known.token == token) {
            (known.minted_at, known.expires_at) = (dates.minted_at, dates.expires_at);
            known.record_store(store);
        }
    }

    /// Records a verification. Only a conclusive one changes anything. A refusal of the account or
    /// the organization says nothing about the token and is recorded separately.
    pub fn record_verification(&mut self, token: Fingerprint, verdict: &Verification) {
        let Some(known) = self.0.iter_mut().find(|known| known.token == token) else { return };
        match verdict {
            verdict if verdict.is_alive() => known.is_valid = Some(true),
            Verification::Rejected { account_level: false } => known.is_valid = Some(false),
            Verification::Rejected { account_level: true } => {
                known.is_account_refused = true;
                return;
            }
            _ => return,
        }
        known.is_account_refused = false;
    }

    /// Returns whether the last conclusive verification of this token was successful.
    pub fn is_valid(&self, token: Fingerprint) -> Option<bool> {
        self.0.iter().find(|known| known.token == token)?.is_valid
    }

    /// Returns true if the account or organization was refused when this token was last verified.
    pub fn is_account_refused(&self, token: Fingerprint) -> bool {
        self.0.iter().any(|known| known.token == token && known.is_account_refused)
    }

    /// Returns true if this store held this token.
    pub fn was_in_store(&self, token: Fingerprint, store: Fingerprint) -> bool {
        let is_held = |known: &SeenToken| known.store == Some(store) || known.earlier_stores.contains(&store);
        self.0.iter().any(|known| known.token == token && is_held(known))
    }

    /// Returns the expiry of this token, as far as it is known.
    pub fn expiry(&self, token: Fingerprint) -> Option<Expiry> {
        let known = self.0.iter().find(|known| known.token == token)?;
        Expiry::for_setup_token(known.dates(), Some(known.first_seen))
    }

    /// Returns true if the Anthropic API rejected an access token that is not refreshed, and Claude
    /// Code has no refresh token to try.
    pub fn is_rejected(&self, token: UnrefreshedToken) -> bool {
        self.is_valid(token.fingerprint) == Some(false) && !token.has_refresh_token
    }

    /// Returns the expiry of an access token in the login file that is not refreshed.
    pub fn unrefreshed_token_expiry(&self, token: UnrefreshedToken, now: Timestamp) -> Expiry {
        Expiry::for_unrefreshed_token(token.expires_at, self.first_seen(token.fingerprint).unwrap_or(now))
    }

    /// Returns when this machine first saw this token.
    pub fn first_seen(&self, token: Fingerprint) -> Option<Timestamp> {
        self.0.iter().find(|known| known.token == token).map(|known| known.first_seen)
    }
}

impl SeenToken {
    fn record_store(&mut self, store: Fingerprint) {
        self.earlier_stores.retain(|earlier| *earlier != store);
        let previous = self.store.replace(store).filter(|previous| *previous != store);
        self.earlier_stores.extend(previous);
        let excess = self.earlier_stores.len().saturating_sub(MAX_EARLIER_STORES);
        self.earlier_stores.drain(..excess);
    }

    fn dates(&self) -> SetupTokenDates {
        SetupTokenDates { minted_at: self.minted_at, expires_at: self.expires_at }
    }
}

/// Returns the earlier of two sightings, and ignores times that are implausibly early because the
/// clock was wrong.
fn earlier(first_seen: Timestamp, now: Timestamp) -> Timestamp {
    match (first_seen < MIN_PLAUSIBLE_TIME, now < MIN_PLAUSIBLE_TIME) {
        (true, false) => now,
        (false, false) => first_seen.min(now),
        (_, true) => first_seen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::expiry::{ExpirySource, SETUP_TOKEN_LIFETIME};

    const NOW: u64 = 1_790_000_000_000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(NOW + millis)
    }

    fn token(name: &str) -> Fingerprint {
        Fingerprint::from_bytes(name)
    }

    #[test]
    fn setup_token_first_sight_ignores_implausible_clocks() {
        // A machine without a battery-backed clock starts at the epoch.
        let rows: [(&[u64], u64); 5] = [
            (&[NOW + 5, NOW + 9, NOW + 7], NOW + 5),
            (&[NOW + 9, NOW + 5], NOW + 5),
            (&[0, NOW, NOW + 5], NOW),
            (&[NOW, 0], NOW),
            (&[0, 9], 0),
        ];
        for (times, expected) in rows {
            let mut seen = SeenTokens::default();
            for time in times {
                seen.record(token("t"), Timestamp::from_millis(*time));
            }
            assert_eq!(seen.first_seen(token("t")), Some(Timestamp::from_millis(expected)), "{times:?}");
        }
    }

    #[test]
    fn dates_left_from_an_earlier_token_are_ignored() {
        let dates = SetupTokenDates { minted_at: Some(at(0)), expires_at: Some(at(7)) };
        let mut seen = SeenTokens::default();
        seen.record_from_store(token("one"), dates, token("store"), at(1));
        seen.record_from_store(token("two"), dates, token("store"), at(2));
        let stated = Expiry { at: at(7), source: ExpirySource::Declared };
        let estimated =
            Expiry { at: at(2).saturating_add(SETUP_TOKEN_LIFETIME), source: ExpirySource::UpperBound };
        assert_eq!((seen.expiry(token("one")), seen.expiry(token("two"))), (Some(stated), Some(estimated)));
        let corrected = SetupTokenDates { expires_at: Some(at(9)), ..dates };
        seen.record_from_store(token("two"), corrected, token("store"), at(3));
        assert_eq!(seen.expiry(token("two")).map(|expiry| expiry.at), Some(at(9)));
        seen.record(token("two"), at(4));
        assert_eq!(
            seen.expiry(token("two")).map(|expiry| expiry.at),
            Some(at(9)),
            "also if only the env file is read"
        );
    }

    #[test]
    fn every_store_that_held_a_token_is_remembered() {
        let mut seen = SeenTokens::default();
        for store in ["one", "two", "two", "three"] {
            seen.record_from_store(token("t"), SetupTokenDates::default(), token(store), at(1));
        }
        for (store, expected) in [("one", true), ("two", true), ("three", true), ("four", false)] {
            assert_eq!(seen.was_in_store(token("t"), token(store)), expected, "{store}");
        }
        for count in 0..100 {
            let store = token(&count.to_string());
            seen.record_from_store(token("t"), SetupTokenDates::default(), store, at(1));
        }
        assert_eq!(seen.0.first().map(|known| known.earlier_stores.len()), Some(MAX_EARLIER_STORES));
    }

    #[test]
    fn seen_tokens_are_bounded_and_those_in_use_are_kept() {
        let mut seen = SeenTokens::default();
        for count in 0..100 {
            seen.record(token(&count.to_string()), at(count));
            seen.record(token("in use"), at(count));
        }
        assert_eq!(seen.first_seen(token("in use")), Some(at(0)));
        assert_eq!(seen.0.len(), MAX_TOKENS);
        assert_eq!(seen.first_seen(token("99")), Some(at(99)));
        assert_eq!(seen.expiry(token("0")), None);
    }
}

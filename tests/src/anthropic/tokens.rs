//! The tokens that the simulation has issued: families of single-use, rotating refresh tokens with
//! their access tokens, and setup tokens, which never rotate. This module has no clock and no I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The scopes of a login made by `claude auth login`. Without `user:inference` the client prints
/// "Not logged in".
pub const SCOPES: [&str; 4] =
    ["user:inference", "user:profile", "user:sessions:claude_code", "user:mcp_servers"];

/// What a sign-in or a refresh gives to the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The family, named `USER-N` after its N-th sign-in.
    pub family: String,
    /// The text sent as Bearer.
    pub access_token: String,
    /// The text that can be exchanged once.
    pub refresh_token: String,
    /// How long the access token is accepted, in seconds.
    pub expires_in: u64,
}

impl Login {
    /// Returns the `claudeAiOauth` object as Claude Code stores it. `expires_at` is in milliseconds
    /// since the epoch; the client uses it, and the server does not enforce it.
    pub fn oauth_object(&self, expires_at: i64) -> Value {
        json!({
            "accessToken": self.access_token,
            "refreshToken": self.refresh_token,
            "expiresAt": expires_at,
            "scopes": SCOPES,
            "subscriptionType": "enterprise",
            "rateLimitTier": "default_claude_max_5x",
        })
    }
}

/// The account of a login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The email of the account.
    pub email: String,
    /// The account's name, a UUID.
    pub uuid: String,
    /// The name of the organization.
    pub organization: String,
}

impl Account {
    /// Returns the default account of a login.
    pub fn personal() -> Self {
        Self {
            email: "person@example.com".to_owned(),
            uuid: "00000000-0000-4000-8000-000000000001".to_owned(),
            organization: "00000000-0000-4000-8000-0000000000aa".to_owned(),
        }
    }
}

/// How long an access token of a sign-in in a browser is accepted.
const SIGN_IN_LIFETIME: Duration = Duration::from_secs(8 * 3600);

/// The effect of a consumed refresh token on its family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reuse {
    /// All its tokens end, as RFC 9700 §4.14.2 recommends.
    #[default]
    RevokesTheFamily,
    /// The consumed token is rejected; the newest one stays valid.
    IsRefused,
}

/// What the server knows about an access token or a setup token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenStatus {
    Valid,
    Expired,
    Revoked,
    Unknown,
}

/// A refresh token was not exchanged: the response is `invalid_grant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidGrant;

/// Everything issued so far.
#[derive(Default)]
pub(super) struct Tokens {
    families: BTreeMap<String, Family>,
    setup_tokens: BTreeSet<String>,
    /// The sign-ins in a browser by their code, which can be exchanged once.
    codes: BTreeMap<String, Account>,
    pub(super) reuse: Reuse,
}

struct Family {
    account: Account,
    lifetime: Duration,
    issued: u32,
    access: BTreeMap<String, Instant>,
    current: String,
    spent: BTreeSet<String>,
    revoked: bool,
}

impl Tokens {
    /// Signs in `user` (a name of `[A-Za-z0-9_-]`, so that tokens are well-formed).
    pub(super) fn sign_in(&mut self, user: &str, lifetime: Duration, now: Instant) -> Login {
        self.sign_in_to(Account::personal(), user, lifetime, now)
    }

    fn sign_in_to(&mut self, account: Account, user: &str, lifetime: Duration, now: Instant) -> Login {
        let number = (1..).find(|number| !self.families.contains_key(&format!("{user}-{number}")));
        let name = format!("{user}-{}", number.unwrap_or_default());
        let family = self.families.entry(name.clone()).or_insert(Family {
            account,
            lifetime,
            issued: 0,
            access: BTreeMap::new(),
            current: String::new(),
            spent: BTreeSet::new(),
            revoked: false,
        });
        family.issue(&name, now)
    }

    /// Simulates a sign-in to this account in a browser, which displays `code`.
    pub(super) fn show_code(&mut self, code: &str, account: Account) {
        self.codes.insert(code.to_owned(), account);
    }

    /// Exchanges a code for a new family, once.
    pub(super) fn redeem(&mut self, code: &str, now: Instant) -> Result<(Login, Account), InvalidGrant> {
        let account = self.codes.remove(code).ok_or(InvalidGrant)?;
        let user = account.email.split('@').next().unwrap_or_default().to_owned();
        Ok((self.sign_in_to(account.clone(), &user, SIGN_IN_LIFETIME, now), account))
    }

    /// Returns the account of an issued access token.
    pub(super) fn account(&self, token: &str) -> Option<&Account> {
        self.families.values().find(|family| family.access.contains_key(token)).map(|family| &family.account)
    }

    /// Exchanges a refresh token for the next pair, or rejects it and changes its family as
    /// [`Reuse`] specifies.
    pub(super) fn refresh(&mut self, refresh_token: &str, now: Instant) -> Result<Login, InvalidGrant> {
        for (name, family) in &mut self.families {
            if family.spent.contains(refresh_token) {
                family.revoked |= self.reuse == Reuse::RevokesTheFamily;
                return Err(InvalidGrant);
            }
            if family.current == refresh_token && !family.revoked {
                return Ok(family.issue(name, now));
            }
        }
        Err(InvalidGrant)
    }

    /// Makes the server accept `token` until it is revoked.
    pub(super) fn accept_setup_token(&mut self, token: &str) {
        self.setup_tokens.insert(token.to_owned());
    }

    pub(super) fn standing(&self, token: &str, now: Instant) -> TokenStatus {
        if self.setup_tokens.contains(token) {
            return TokenStatus::Valid;
        }
        let family = self.families.values().find(|family| family.access.contains_key(token));
        match family.and_then(|family| Some((family.revoked, *family.access.get(token)?))) {
            None => TokenStatus::Unknown,
            Some((true, _)) => TokenStatus::Revoked,
            Some((false, until)) if until <= now => TokenStatus::Expired,
            Some((false, _)) => TokenStatus::Valid,
        }
    }

    /// Makes all access tokens end earlier by this time.
    pub(super) fn age(&mut self, by: Duration) {
        let ends = self.families.values_mut().flat_map(|family| family.access.values_mut());
        ends.for_each(|until| *until = until.checked_sub(by).unwrap_or(*until));
    }

    /// Returns true if this refresh token can be exchanged.
    pub(super) fn accepts(&self, refresh_token: &str) -> bool {
        self.families.values().any(|family| family.current == refresh_token && !family.revoked)
    }

    /// Returns the newest refresh token of a family that was not revoked.
    pub(super) fn current(&self, family: &str) -> Option<String> {
        let family = self.families.get(family).filter(|family| !family.revoked)?;
        Some(family.current.clone())
    }

    /// Expires the access tokens of a family; its refresh token stays valid. Returns false if there
    /// is no such family.
    pub(super) fn expire(&mut self, family: &str, now: Instant) -> bool {
        let family = self.families.get_mut(family);
        family.is_some_and(|family| {
            family.access.values_mut().for_each(|until| *until = now);
            true
        })
    }

    /// Revokes every token of a family, as signing out everywhere does. Returns false if there is
    /// no such family.
    pub(super) fn revoke(&mut self, family: &str) -> bool {
        self.families.get_mut(family).is_some_and(|family| {
            family.revoked = true;
            true
        })
    }

    /// Revokes the family of a refresh token, as `claude auth logout` requests.
    pub(super) fn revoke_by_token(&mut self, refresh_token: &str) {
        if let Some(family) = self.families.values_mut().find(|family| family.current == refresh_token) {
            family.revoked = true;
        }
    }
}

impl Family {
    fn issue(&mut self, name: &str, now: Instant) -> Login {
        self.issued += 1;
        let login = Login {
            family: name.to_owned(),
            access_token: format!("sk-ant-oat01-{name}-{}", self.issued),
            refresh_token: format!("sk-ant-ort01-{name}-{}", self.issued),
            expires_in: self.lifetime.as_secs(),
        };
        self.access.insert(login.access_token.clone(), now + self.lifetime);
        let spent = std::mem::replace(&mut self.current, login.refresh_token.clone());
        if !spent.is_empty() {
            self.spent.insert(spent);
        }
        login
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn refresh_token_works_once() {
        let now = Instant::now();
        let mut tokens = Tokens { reuse: Reuse::IsRefused, ..Tokens::default() };
        let first = tokens.sign_in("alice", HOUR, now);
        let second = tokens.refresh(&first.refresh_token, now).expect("the first exchange");
        assert_ne!(first.refresh_token, second.refresh_token);
        assert_eq!(tokens.refresh(&first.refresh_token, now), Err(InvalidGrant));
        assert!(tokens.refresh(&second.refresh_token, now).is_ok());
        assert_eq!(tokens.refresh("sk-ant-ort01-nobody", now), Err(InvalidGrant));
        assert_ne!(tokens.sign_in("alice", HOUR, now).family, first.family);
    }

    #[test]
    fn code_works_once_and_gives_tokens_of_its_account() {
        let now = Instant::now();
        let mut tokens = Tokens::default();
        let account = Account { email: "bob@example.com".to_owned(), ..Account::personal() };
        tokens.show_code("code", account.clone());
        let (login, whose) = tokens.redeem("code", now).expect("the first exchange");
        assert_eq!((login.family.as_str(), &whose), ("bob-1", &account));
        assert_eq!(tokens.account(&login.access_token), Some(&account));
        assert_eq!(tokens.redeem("code", now), Err(InvalidGrant));
    }

    #[test]
    fn reuse_of_a_consumed_token_revokes_its_family() {
        let now = Instant::now();
        let mut tokens = Tokens::default();
        let (alice, bob) = (tokens.sign_in("alice", HOUR, now), tokens.sign_in("bob", HOUR, now));
        let newest = tokens.refresh(&alice.refresh_token, now).expect("the first exchange");
        assert_eq!(tokens.refresh(&alice.refresh_token, now), Err(InvalidGrant));
        assert_eq!(tokens.refresh(&newest.refresh_token, now), Err(InvalidGrant));
        assert_eq!(tokens.standing(&newest.access_token, now), TokenStatus::Revoked);
        assert_eq!(tokens.standing(&bob.access_token, now), TokenStatus::Valid);
    }

    #[test]
    fn access_token_expires_and_setup_token_does_not() {
        let now = Instant::now();
        let mut tokens = Tokens::default();
        let login = tokens.sign_in("alice", HOUR, now);
        tokens.accept_setup_token("sk-ant-oat01-setup");
        let later = now + HOUR;
        assert_eq!(tokens.standing(&login.access_token, now), TokenStatus::Valid);
        assert_eq!(tokens.standing(&login.access_token, later), TokenStatus::Expired);
        assert_eq!(tokens.standing("sk-ant-oat01-setup", later), TokenStatus::Valid);
        assert_eq!(tokens.standing("sk-ant-oat01-other", now), TokenStatus::Unknown);
        assert!(tokens.expire(&login.family, now) && !tokens.expire("bob-1", now));
        assert_eq!(tokens.standing(&login.access_token, now), TokenStatus::Expired);
    }
}

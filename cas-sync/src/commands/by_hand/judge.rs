//! Whether the credential that Claude Code will use lasts, from what is known on this machine. Pure.

use std::time::Duration;

use cas_core::config::StoreKind;
use cas_core::credential::expiry::{Expiry, ExpirySource};
use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::LoginFileState;
use cas_core::ledger::GenerationState;
use cas_core::outcome::state_report::{Credential, StateReport};
use cas_core::planner::{Facts, copies};
use cas_core::time::format;
use cas_core::time::timestamp::Timestamp;

/// What a script wants to be sure of.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckRequirements {
    /// It lasts at least so long.
    pub(super) min_remaining: Duration,
    /// It answered within that time.
    pub(super) verified_within: Option<Duration>,
}

/// What there is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It does all that is demanded.
    Ok,
    /// A person has to sign in, or to make a new setup-token, before that.
    ActionRequired,
    /// Nobody knows yet; a sync, or `cas-sync verify`, finds out.
    Retry,
    /// Nothing on this machine will tell.
    Unknown,
}

impl Answer {
    /// In one word, the same for ever.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "lasts",
            Self::ActionRequired => "person-must-act",
            Self::Retry => "later",
            Self::Unknown => "unknown",
        }
    }

    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::ActionRequired => 79,
            Self::Retry => 75,
            Self::Unknown => 1,
        }
    }
}

/// The answer, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CheckResult {
    pub(super) answer: Answer,
    /// One line for people, which ends in what to do.
    pub(super) text: String,
    /// The credential in use, if it can be told apart.
    pub(super) credential: Option<Credential>,
    /// When it was last shown to work.
    pub(super) verified_at: Option<Timestamp>,
}

const SIGN_IN: &str = "run `cas-sync login`";
const NEW_TOKEN: &str = "make a new one with `claude setup-token` and hand it in with `cas-sync token set`";

/// Judges what is in force: the setup-token where there is one, else the login.
pub(super) fn judge(facts: &Facts, known: Option<&StateReport>, demand: &CheckRequirements) -> CheckResult {
    let credential = match (facts.active_token(), facts.login.login()) {
        (Some(token), _) => {
            Some(Credential::of_setup_token(token, facts.ledger.setup_tokens.lapse(token).as_ref()))
        }
        (None, Some(login)) => Some(Credential::of_login(login, Expiry::for_login(login).as_ref())),
        (None, None) => None,
    };
    let verified_at = credential.as_ref().and_then(|found| known?.verified_at(found));
    let (answer, text) = match (facts.active_token(), &facts.login) {
        (Some(token), _) => {
            let lapse = facts.ledger.setup_tokens.lapse(token);
            of_setup_token(
                facts,
                lapse,
                credential.as_ref().is_some_and(|found| is_rejected(known, found)),
                demand,
            )
        }
        (None, LoginFileState::Valid(login) | LoginFileState::AccessTokenExpired(login)) => {
            of_login(facts, login, demand)
        }
        (None, _) => of_no_login(facts, known),
    };
    let (answer, text) = match (answer, demand.verified_within) {
        (Answer::Ok, Some(span)) => of_verification(facts.now, verified_at, span, text),
        _ => (answer, text),
    };
    CheckResult { answer, text, credential, verified_at }
}

fn is_rejected(known: Option<&StateReport>, credential: &Credential) -> bool {
    known.is_some_and(|known| {
        let is_this = known.credential.as_ref().is_some_and(|of| of.fingerprint == credential.fingerprint);
        is_this && known.verdict.as_deref() == Some("rejected")
    })
}

fn of_setup_token(
    facts: &Facts,
    lapse: Option<Expiry>,
    is_rejected: bool,
    demand: &CheckRequirements,
) -> (Answer, String) {
    if is_rejected {
        return (Answer::ActionRequired, format!("the setup-token was rejected by the server: {NEW_TOKEN}"));
    }
    let Some(lapse) = lapse else {
        let why = "how long the setup-token lasts is not known yet: `cas-sync run` finds out what is";
        return (Answer::Retry, why.into());
    };
    lasting("setup-token", lapse, facts.now, demand, NEW_TOKEN)
}

/// The end of the access token says nothing: Claude Code refreshes it, unless the refresh token is spent.
fn of_login(facts: &Facts, login: &LoginSummary, demand: &CheckRequirements) -> (Answer, String) {
    match (facts.ledger.fate(login.generation), Expiry::for_login(login)) {
        (Some(GenerationState::Rejected), _) => {
            (Answer::ActionRequired, format!("the login was rejected by the server: {SIGN_IN}"))
        }
        (Some(GenerationState::Superseded), _) => {
            let lapse = Expiry { at: login.expires_at, source: ExpirySource::Declared };
            lasting("login, an old copy that cannot be refreshed,", lapse, facts.now, demand, SIGN_IN)
        }
        (_, Some(lapse)) => lasting("login", lapse, facts.now, demand, SIGN_IN),
        (_, None) => (
            Answer::Unknown,
            "the login does not say when it ends; a newer Claude Code writes that when you sign in".into(),
        ),
    }
}

fn lasting(
    what: &str,
    lapse: Expiry,
    now: Timestamp,
    demand: &CheckRequirements,
    remedy: &str,
) -> (Answer, String) {
    let until = match lapse.source {
        ExpirySource::Declared => lapse.at.to_string(),
        ExpirySource::FromCreationDate => format!("{} (a year after it was made)", lapse.at),
        ExpirySource::UpperBound => {
            format!("{} at the latest (a year after it was first seen here)", lapse.at)
        }
    };
    match lapse.at.checked_duration_since(now).filter(|left| !left.is_zero()) {
        None => (Answer::ActionRequired, format!("the {what} lapsed {until}: {remedy}")),
        Some(left) if left < demand.min_remaining => (
            Answer::ActionRequired,
            format!("the {what} lapses in {}, {until}: {remedy}", format::format_duration(left)),
        ),
        Some(left) => {
            (Answer::Ok, format!("the {what} lasts another {}, until {until}", format::format_duration(left)))
        }
    }
}

/// What is not there may be put back: at the next login, from this machine or the store.
fn of_no_login(facts: &Facts, known: Option<&StateReport>) -> (Answer, String) {
    let state = match &facts.login {
        LoginFileState::NotRefreshable(why) => {
            return (Answer::Unknown, format!("the login cannot be refreshed: {why}"));
        }
        LoginFileState::Unreadable(why) => {
            return (Answer::Unknown, format!("the login cannot be read: {why}"));
        }
        LoginFileState::ClearedByClient => "the login was emptied",
        LoginFileState::Invalid(_) => "the login file is damaged",
        _ => "there is no login",
    };
    let has_copy = copies(facts).iter().any(|copy| copy.obstacle.is_none());
    let is_hopeless =
        known.is_some_and(|known| ["beyond-repair", "no-login"].contains(&known.finding.as_str()));
    if has_copy {
        return (Answer::Retry, format!("{state}, and a good copy is here: run `cas-sync restore`"));
    }
    if facts.settings.oauth_backup && facts.settings.store == StoreKind::Vault && !is_hopeless {
        return (Answer::Retry, format!("{state}, and the store may have a copy: run `cas-sync restore`"));
    }
    (Answer::ActionRequired, format!("{state}, and there is no copy to put back: {SIGN_IN}"))
}

fn of_verification(
    now: Timestamp,
    verified_at: Option<Timestamp>,
    span: Duration,
    text: String,
) -> (Answer, String) {
    let Some(at) = verified_at else {
        return (Answer::Retry, format!("{text}; it was not verified yet: run `cas-sync verify`"));
    };
    let ago = match at > now {
        true => "after now, by the clock".to_owned(),
        false => format::format_relative(at, now),
    };
    match now.checked_duration_since(at) {
        Some(age) if age <= span => (Answer::Ok, format!("{text}; verified {ago}")),
        _ => (Answer::Retry, format!("{text}; last verified {ago}: run `cas-sync verify`")),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;

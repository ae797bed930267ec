//! Whether the credential that Claude Code will use lasts, from what is known on this machine. Pure.

use std::time::Duration;

use cas_core::config::StoreKind;
use cas_core::credential::expiry::{Certainty, Lapse};
use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::LocalLogin;
use cas_core::ledger::Fate;
use cas_core::outcome::state_report::{Credential, State};
use cas_core::planner::{Facts, copies};
use cas_core::time::format;
use cas_core::time::timestamp::Timestamp;

/// What a script wants to be sure of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// It lasts at least so long.
    pub(super) min_remaining: Duration,
    /// It answered within that time.
    pub(super) verified_within: Option<Duration>,
}

/// What there is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It does all that is demanded.
    Lasts,
    /// A person has to sign in, or to make a new setup-token, before that.
    PersonMustAct,
    /// Nobody knows yet; a sync, or `cas-sync verify`, finds out.
    AskLater,
    /// Nothing on this machine will tell.
    CannotTell,
}

impl Answer {
    /// In one word, the same for ever.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Lasts => "lasts",
            Self::PersonMustAct => "person-must-act",
            Self::AskLater => "later",
            Self::CannotTell => "unknown",
        }
    }

    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Lasts => 0,
            Self::PersonMustAct => 79,
            Self::AskLater => 75,
            Self::CannotTell => 1,
        }
    }
}

/// The answer, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
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
pub(super) fn judge(facts: &Facts, known: Option<&State>, demand: &Demand) -> Judgement {
    let credential = match (facts.active_token(), facts.login.login()) {
        (Some(token), _) => {
            Some(Credential::of_setup_token(token, facts.ledger.setup_tokens.lapse(token).as_ref()))
        }
        (None, Some(login)) => Some(Credential::of_login(login, Lapse::of_login(login).as_ref())),
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
        (None, LocalLogin::Healthy(login) | LocalLogin::Stale(login)) => of_login(facts, login, demand),
        (None, _) => of_no_login(facts, known),
    };
    let (answer, text) = match (answer, demand.verified_within) {
        (Answer::Lasts, Some(span)) => of_verification(facts.now, verified_at, span, text),
        _ => (answer, text),
    };
    Judgement { answer, text, credential, verified_at }
}

fn is_rejected(known: Option<&State>, credential: &Credential) -> bool {
    known.is_some_and(|known| {
        let is_this = known.credential.as_ref().is_some_and(|of| of.fingerprint == credential.fingerprint);
        is_this && known.verdict.as_deref() == Some("rejected")
    })
}

fn of_setup_token(
    facts: &Facts,
    lapse: Option<Lapse>,
    is_rejected: bool,
    demand: &Demand,
) -> (Answer, String) {
    if is_rejected {
        return (Answer::PersonMustAct, format!("the setup-token was rejected by the server: {NEW_TOKEN}"));
    }
    let Some(lapse) = lapse else {
        let why = "how long the setup-token lasts is not known yet: `cas-sync run` finds out what is";
        return (Answer::AskLater, why.into());
    };
    lasting("setup-token", lapse, facts.now, demand, NEW_TOKEN)
}

/// The end of the access token says nothing: Claude Code refreshes it, unless the refresh token is spent.
fn of_login(facts: &Facts, login: &LoginSummary, demand: &Demand) -> (Answer, String) {
    match (facts.ledger.fate(login.generation), Lapse::of_login(login)) {
        (Some(Fate::Rejected), _) => {
            (Answer::PersonMustAct, format!("the login was rejected by the server: {SIGN_IN}"))
        }
        (Some(Fate::Superseded), _) => {
            let lapse = Lapse { at: login.expires_at, certainty: Certainty::Stated };
            lasting("login, an old copy that cannot be refreshed,", lapse, facts.now, demand, SIGN_IN)
        }
        (_, Some(lapse)) => lasting("login", lapse, facts.now, demand, SIGN_IN),
        (_, None) => (
            Answer::CannotTell,
            "the login does not say when it ends; a newer Claude Code writes that when you sign in".into(),
        ),
    }
}

fn lasting(what: &str, lapse: Lapse, now: Timestamp, demand: &Demand, remedy: &str) -> (Answer, String) {
    let until = match lapse.certainty {
        Certainty::Stated => lapse.at.to_string(),
        Certainty::Reckoned => format!("{} (a year after it was made)", lapse.at),
        Certainty::AtTheLatest => format!("{} at the latest (a year after it was first seen here)", lapse.at),
    };
    match lapse.at.since(now).filter(|left| !left.is_zero()) {
        None => (Answer::PersonMustAct, format!("the {what} lapsed {until}: {remedy}")),
        Some(left) if left < demand.min_remaining => (
            Answer::PersonMustAct,
            format!("the {what} lapses in {}, {until}: {remedy}", format::length(left)),
        ),
        Some(left) => {
            (Answer::Lasts, format!("the {what} lasts another {}, until {until}", format::length(left)))
        }
    }
}

/// What is not there may be put back: at the next login, from this machine or the store.
fn of_no_login(facts: &Facts, known: Option<&State>) -> (Answer, String) {
    let state = match &facts.login {
        LocalLogin::Partial(why) => {
            return (Answer::CannotTell, format!("the login cannot be refreshed: {why}"));
        }
        LocalLogin::Unreadable(why) => {
            return (Answer::CannotTell, format!("the login cannot be read: {why}"));
        }
        LocalLogin::Tombstone => "the login was emptied",
        LocalLogin::Damaged(_) => "the login file is damaged",
        _ => "there is no login",
    };
    let has_copy = copies(facts).iter().any(|copy| copy.obstacle.is_none());
    let is_hopeless =
        known.is_some_and(|known| ["beyond-repair", "no-login"].contains(&known.finding.as_str()));
    if has_copy {
        return (Answer::AskLater, format!("{state}, and a good copy is here: run `cas-sync restore`"));
    }
    if facts.settings.oauth_backup && facts.settings.store == StoreKind::Vault && !is_hopeless {
        return (Answer::AskLater, format!("{state}, and the store may have a copy: run `cas-sync restore`"));
    }
    (Answer::PersonMustAct, format!("{state}, and there is no copy to put back: {SIGN_IN}"))
}

fn of_verification(
    now: Timestamp,
    verified_at: Option<Timestamp>,
    span: Duration,
    text: String,
) -> (Answer, String) {
    let Some(at) = verified_at else {
        return (Answer::AskLater, format!("{text}; it was not verified yet: run `cas-sync verify`"));
    };
    let ago = match at > now {
        true => "after now, by the clock".to_owned(),
        false => format::from_now(at, now),
    };
    match now.since(at) {
        Some(age) if age <= span => (Answer::Lasts, format!("{text}; verified {ago}")),
        _ => (Answer::AskLater, format!("{text}; last verified {ago}: run `cas-sync verify`")),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;

//! Checks whether the active credential stays valid long enough, from facts of this machine. Pure.

use std::time::Duration;

use cas_core::config::StoreKind;
use cas_core::credential::expiry::{Expiry, ExpirySource};
use cas_core::credential::login::{LoginSummary, NotRefreshable, UnrefreshedToken};
use cas_core::credential::login_file::LoginFileState;
use cas_core::ledger::GenerationState;
use cas_core::outcome::ExitStatus;
use cas_core::outcome::state_report::{Credential, StateReport};
use cas_core::planner::{Facts, backups};
use cas_core::time::format;
use cas_core::time::timestamp::Timestamp;

/// The requirements of `cas-sync check`.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckRequirements {
    /// The minimum remaining validity.
    pub(super) min_remaining: Duration,
    /// The maximum age of its last successful verification.
    pub(super) verified_within: Option<Duration>,
}

/// The answer of `cas-sync check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The credential meets the requirements.
    Ok,
    /// The user must sign in or create a new setup token.
    ActionRequired,
    /// Not known yet: a sync or `cas-sync verify` finds out.
    Retry,
    /// Cannot be determined on this machine.
    Unknown,
}

impl Answer {
    /// Returns the stable JSON word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ActionRequired => "action-required",
            Self::Retry => "retry",
            Self::Unknown => "unknown",
        }
    }

    pub(super) fn exit_status(self) -> ExitStatus {
        match self {
            Self::Ok => ExitStatus::Success,
            Self::ActionRequired => ExitStatus::SignInRequired,
            Self::Retry => ExitStatus::TryLater,
            Self::Unknown => ExitStatus::Failure,
        }
    }
}

/// The answer and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CheckResult {
    pub(super) answer: Answer,
    /// One line that ends with the remedy.
    pub(super) text: String,
    /// The active credential, if it is known.
    pub(super) credential: Option<Credential>,
    /// Time of its last successful verification.
    pub(super) verified_at: Option<Timestamp>,
}

impl CheckResult {
    /// Returns the result where Claude Code uses a credential that is not managed; why. An action
    /// that the managed credential requires stays required: another user can have set the other
    /// one.
    pub(super) fn with_unmanaged(self, why: &str) -> Self {
        match self.answer {
            Answer::ActionRequired => Self { text: format!("{}; {why}", self.text), ..self },
            _ => Self { answer: Answer::Unknown, text: why.to_owned(), credential: None, verified_at: None },
        }
    }
}

const SIGN_IN: &str = "run `cas-sync login`";
const NEW_TOKEN: &str = "create a new one with `claude setup-token` and store it with `cas-sync token set`";

/// Evaluates the active credential: the setup token if there is one, else the login.
pub(super) fn judge(
    facts: &Facts,
    known: Option<&StateReport>,
    requirements: &CheckRequirements,
) -> CheckResult {
    let credential = match (facts.active_token(), facts.login.login()) {
        (Some(token), _) => {
            Some(Credential::for_setup_token(token, facts.ledger.setup_tokens.expiry(token).as_ref()))
        }
        (None, Some(login)) => Some(Credential::for_login(login, Expiry::for_login(login).as_ref())),
        (None, None) => facts.login.unrefreshed_token().map(|token| {
            let expiry = facts.ledger.setup_tokens.unrefreshed_token_expiry(token, facts.now);
            Credential::for_unrefreshed_token(token, Some(&expiry))
        }),
    };
    let verified_at = credential.as_ref().and_then(|found| known?.verified_at(found));
    if let Some(problem) = &facts.client_state {
        return CheckResult { answer: Answer::Unknown, text: problem.to_string(), credential, verified_at };
    }
    let (answer, text) = match (facts.active_token(), &facts.login) {
        (Some(token), _) => {
            let expiry = facts.ledger.setup_tokens.expiry(token);
            judge_setup_token(
                facts,
                expiry,
                credential.as_ref().is_some_and(|found| is_rejected(known, found)),
                requirements,
            )
        }
        (None, LoginFileState::Valid(login) | LoginFileState::AccessTokenExpired(login)) => {
            judge_login(facts, login, requirements)
        }
        (None, LoginFileState::NotRefreshable(NotRefreshable { token: Some(token), .. })) => {
            judge_unrefreshed_token(facts, *token, requirements)
        }
        (None, _) => judge_missing_login(facts, known),
    };
    let (answer, text) = match (answer, requirements.verified_within) {
        (Answer::Ok, Some(max_age)) => judge_verification(facts.now, verified_at, max_age, text),
        _ => (answer, text),
    };
    CheckResult { answer, text, credential, verified_at }
}

fn is_rejected(known: Option<&StateReport>, credential: &Credential) -> bool {
    known.is_some_and(|known| {
        let is_this =
            known.credential.as_ref().is_some_and(|reported| reported.fingerprint == credential.fingerprint);
        is_this && known.verification.as_deref() == Some("rejected")
    })
}

fn judge_setup_token(
    facts: &Facts,
    expiry: Option<Expiry>,
    is_rejected: bool,
    requirements: &CheckRequirements,
) -> (Answer, String) {
    if is_rejected {
        return (
            Answer::ActionRequired,
            format!("the setup token was rejected by the Anthropic API: {NEW_TOKEN}"),
        );
    }
    let Some(expiry) = expiry else {
        let why = "the expiry of the setup token is not known yet: run `cas-sync run`";
        return (Answer::Retry, why.into());
    };
    judge_expiry("setup token", expiry, facts.now, requirements, NEW_TOKEN)
}

/// The expiry of the access token does not matter: Claude Code refreshes it, unless the login was
/// superseded.
fn judge_login(facts: &Facts, login: &LoginSummary, requirements: &CheckRequirements) -> (Answer, String) {
    match (facts.ledger.generation_state(login.generation), Expiry::for_login(login)) {
        (Some(GenerationState::Rejected), _) => {
            (Answer::ActionRequired, format!("the login was rejected by the Anthropic API: {SIGN_IN}"))
        }
        (Some(GenerationState::Superseded), _) => {
            let expiry = Expiry { at: login.expires_at, source: ExpirySource::Declared };
            judge_expiry(
                "superseded login, which cannot be refreshed,",
                expiry,
                facts.now,
                requirements,
                SIGN_IN,
            )
        }
        (_, Some(expiry)) => judge_expiry("login", expiry, facts.now, requirements, SIGN_IN),
        (_, None) => (
            Answer::Unknown,
            "the login has no expiry; a newer Claude Code writes one when you sign in".into(),
        ),
    }
}

/// Judges a login that is not refreshed, which expires with its access token.
fn judge_unrefreshed_token(
    facts: &Facts,
    token: UnrefreshedToken,
    requirements: &CheckRequirements,
) -> (Answer, String) {
    let seen = &facts.ledger.setup_tokens;
    if seen.is_rejected(token) {
        return (Answer::ActionRequired, format!("the login was rejected by the Anthropic API: {SIGN_IN}"));
    }
    let expiry = seen.unrefreshed_token_expiry(token, facts.now);
    judge_expiry("login, which is not refreshed,", expiry, facts.now, requirements, SIGN_IN)
}

fn judge_expiry(
    what: &str,
    expiry: Expiry,
    now: Timestamp,
    requirements: &CheckRequirements,
    remedy: &str,
) -> (Answer, String) {
    let until = match expiry.source {
        ExpirySource::Declared => expiry.at.to_string(),
        ExpirySource::FromCreationDate => format!("{} (a year after it was created)", expiry.at),
        ExpirySource::UpperBound => {
            format!("{} at the latest (a year after it was first seen here)", expiry.at)
        }
    };
    match expiry.at.checked_duration_since(now).filter(|left| !left.is_zero()) {
        None => (Answer::ActionRequired, format!("the {what} expired {until}: {remedy}")),
        Some(left) if left < requirements.min_remaining => (
            Answer::ActionRequired,
            format!("the {what} expires in {}, {until}: {remedy}", format::format_duration(left)),
        ),
        Some(left) => {
            (Answer::Ok, format!("the {what} is valid for {}, until {until}", format::format_duration(left)))
        }
    }
}

/// A missing login may be restored at the next login, from the local history or the store.
fn judge_missing_login(facts: &Facts, known: Option<&StateReport>) -> (Answer, String) {
    let state = match &facts.login {
        LoginFileState::NotRefreshable(login) => {
            return (Answer::Unknown, format!("the login cannot be refreshed: {}", login.why));
        }
        LoginFileState::Unreadable(why) => {
            return (Answer::Unknown, format!("the login file cannot be read: {why}"));
        }
        LoginFileState::ClearedByClient => "the login was cleared",
        LoginFileState::Invalid(_) => "the login file is invalid",
        _ => "there is no login",
    };
    let has_backup = backups(facts).iter().any(|backup| backup.ineligible.is_none());
    let is_unrecoverable =
        known.is_some_and(|known| ["unrecoverable", "no-login"].contains(&known.finding.as_str()));
    if has_backup {
        return (Answer::Retry, format!("{state}, and this machine has a backup: run `cas-sync restore`"));
    }
    if facts.settings.oauth_backup && facts.settings.store == StoreKind::Vault && !is_unrecoverable {
        return (Answer::Retry, format!("{state}, and the store may have a backup: run `cas-sync restore`"));
    }
    (Answer::ActionRequired, format!("{state}, and there is no backup to restore: {SIGN_IN}"))
}

fn judge_verification(
    now: Timestamp,
    verified_at: Option<Timestamp>,
    max_age: Duration,
    text: String,
) -> (Answer, String) {
    let Some(at) = verified_at else {
        return (Answer::Retry, format!("{text}; not verified yet: run `cas-sync verify`"));
    };
    let ago = match at > now {
        true => "in the future, by this clock".to_owned(),
        false => format::format_relative(at, now),
    };
    match now.checked_duration_since(at) {
        Some(age) if age <= max_age => (Answer::Ok, format!("{text}; verified {ago}")),
        _ => (Answer::Retry, format!("{text}; last verified {ago}: run `cas-sync verify`")),
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;

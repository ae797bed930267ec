//! `state.json` in the state directory: the result of the last sync for programs. It is rendered
//! from the same [`Outcome`] as the log line. Contains no secret.

use serde::{Deserialize, Deserializer, Serialize};

use super::notice::UserAction;
use super::{Detail, Finding, Outcome, codes};
use crate::credential::expiry::Expiry;
use crate::credential::fingerprint::Fingerprint;
use crate::credential::login::{LoginSummary, UnrefreshedToken};
use crate::credential::verification::Verification;
use crate::time::timestamp::Timestamp;

pub use crate::credential::expiry::CredentialKind;

/// The name of the file.
pub const FILE_NAME: &str = "state.json";

/// The version of the schema. Members may be added. No member is removed or changes its meaning.
pub const SCHEMA: u32 = 1;

/// The result of a sync. Times are in milliseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The user.
    pub user: String,
    /// When the sync began.
    pub at_ms: Timestamp,
    /// The status word of the log line.
    pub status: String,
    /// The text of the log line.
    pub text: String,
    /// The exit status.
    pub exit_code: u8,
    /// The code of the finding. Codes and members of version 0.1.0 are converted.
    #[serde(default, deserialize_with = "current_code")]
    pub finding: String,
    /// The codes of the details.
    #[serde(default, alias = "notes", deserialize_with = "current_codes")]
    pub details: Vec<String>,
    /// The credential that Claude Code would use.
    pub credential: Option<Credential>,
    /// The code of the verification of this run or of a later `cas-sync verify`, or null if there
    /// was none.
    #[serde(default, alias = "verdict", deserialize_with = "optional_code")]
    pub verification: Option<String>,
    /// When this credential, or the one it was refreshed from, was last verified as valid.
    pub verified_at_ms: Option<Timestamp>,
    /// The cause of a temporary outage.
    pub outage: Option<String>,
    /// The start of that outage.
    pub outage_since_ms: Option<Timestamp>,
    /// The credential for which the user has to act, if the action is about one.
    #[serde(default)]
    pub notice_about: Option<Fingerprint>,
    /// The code of the notice's reason, while there is a notice.
    #[serde(default, alias = "notice_cause", deserialize_with = "optional_code")]
    pub notice_reason: Option<String>,
}

/// A credential without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Its kind.
    pub kind: CredentialKind,
    /// The truncated SHA-256 of the setup token, or of the login's refresh token. For a login that
    /// is not refreshed, that of its access token.
    pub fingerprint: Fingerprint,
    /// The expiry of the login's access token.
    pub access_token_expires_at_ms: Option<Timestamp>,
    /// When the user has to sign in again, if the login states it.
    pub login_expires_at_ms: Option<Timestamp>,
    /// The account, if the login names it.
    #[serde(default)]
    pub account: Option<String>,
    /// The expiry of the login or the setup token, if it is known. A refresh does not extend it.
    #[serde(default, alias = "lapses_at_ms")]
    pub expires_at_ms: Option<Timestamp>,
    /// Whether that date is an estimate: one year after the setup token was created, or at the
    /// latest one year after it was first seen.
    #[serde(default, alias = "lapse_is_estimated")]
    pub expiry_is_estimated: bool,
}

impl Credential {
    /// Describes the setup token with this fingerprint.
    pub fn for_setup_token(token: Fingerprint, expiry: Option<&Expiry>) -> Self {
        Self {
            kind: CredentialKind::SetupToken,
            fingerprint: token,
            access_token_expires_at_ms: None,
            login_expires_at_ms: None,
            account: None,
            expires_at_ms: expiry.map(|expiry| expiry.at),
            expiry_is_estimated: expiry.is_some_and(Expiry::is_estimated),
        }
    }

    /// Describes an access token in the login file that is not refreshed.
    pub fn for_unrefreshed_token(token: UnrefreshedToken, expiry: Option<&Expiry>) -> Self {
        Self {
            kind: CredentialKind::Login,
            access_token_expires_at_ms: token.expires_at,
            ..Self::for_setup_token(token.fingerprint, expiry)
        }
    }

    /// Describes this login.
    pub fn for_login(login: &LoginSummary, expiry: Option<&Expiry>) -> Self {
        Self {
            kind: CredentialKind::Login,
            fingerprint: login.generation,
            access_token_expires_at_ms: Some(login.expires_at),
            login_expires_at_ms: login.login_expires_at,
            account: login.owner.account.clone(),
            expires_at_ms: expiry.map(|expiry| expiry.at),
            expiry_is_estimated: expiry.is_some_and(Expiry::is_estimated),
        }
    }
}

/// Reads a code, also one of version 0.1.0.
///
/// # Errors
/// If it is not a string.
pub fn current_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|code| codes::current_code(&code).to_owned())
}

fn optional_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let code = Option::<String>::deserialize(deserializer)?;
    Ok(code.map(|code| codes::current_code(&code).to_owned()))
}

fn current_codes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let codes = Vec::<String>::deserialize(deserializer)?;
    Ok(codes.iter().map(|code| codes::current_code(code).to_owned()).collect())
}

impl StateReport {
    /// Creates the report of a run that began at `now`. `before` is the report of the previous run.
    pub fn from_outcome(outcome: &Outcome, user: &str, now: Timestamp, before: Option<&Self>) -> Self {
        let credential = credential(outcome);
        let is_alive = outcome.verdict().is_some_and(Verification::is_alive);
        let known = before.filter(|before| is_same_login(before.credential.as_ref(), credential.as_ref()));
        let outage = outcome.outage();
        let lasting = before.filter(|before| outage.is_some() && before.outage == outage);
        Self {
            schema: SCHEMA,
            user: user.to_owned(),
            at_ms: now,
            status: outcome.status.to_string(),
            text: outcome.to_string(),
            exit_code: outcome.exit_code(),
            finding: codes::finding_code(&outcome.finding).to_owned(),
            details: codes::detail_codes(outcome),
            verification: outcome.verdict().map(codes::verification_code).map(str::to_owned),
            verified_at_ms: if is_alive { Some(now) } else { known.and_then(|before| before.verified_at_ms) },
            outage_since_ms: match lasting {
                Some(before) => before.outage_since_ms,
                None => outage.as_ref().map(|_| now),
            },
            notice_about: notice_about(outcome, credential.as_ref(), before),
            notice_reason: None, // set after the notice is written
            credential,
            outage,
        }
    }

    /// Returns when this credential, or the one it was refreshed from, was last verified as valid.
    pub fn verified_at(&self, credential: &Credential) -> Option<Timestamp> {
        self.verified_at_ms.filter(|_| is_same_login(self.credential.as_ref(), Some(credential)))
    }

    /// Returns this report with the result of a later `cas-sync verify`, or `None` if that is
    /// inconclusive. The result of the last sync stays, because a verification checks nothing else.
    #[must_use]
    pub fn with_verification(&self, outcome: &Outcome, now: Timestamp) -> Option<Self> {
        let verdict = outcome.verdict().filter(|verdict| verdict.is_alive() || verdict.is_rejected())?;
        let credential = credential(outcome)?;
        let before = self.verified_at(&credential);
        Some(Self {
            verification: Some(codes::verification_code(verdict).to_owned()),
            verified_at_ms: if verdict.is_alive() { Some(now) } else { before },
            credential: Some(credential),
            ..self.clone()
        })
    }

    /// Returns true if `outcome`, from which this report was created, should be logged in the
    /// journal. A persistent outage without any change is logged once, everything else after every
    /// run.
    pub fn should_log(&self, outcome: &Outcome, before: Option<&Self>) -> bool {
        let situation = |state: &Self| (state.outage.clone(), state.finding.clone(), state.details.clone());
        let is_new = before.is_none_or(|before| situation(before) != situation(self));
        self.outage.is_none() || is_new || outcome.notes.iter().any(Detail::is_change)
    }
}

fn notice_about(
    outcome: &Outcome,
    credential: Option<&Credential>,
    before: Option<&StateReport>,
) -> Option<Fingerprint> {
    let earlier = before.and_then(|before| before.notice_about);
    match outcome.notice().action {
        UserAction::Required(_) => credential.map(|credential| credential.fingerprint).or(earlier),
        UserAction::None => None,
        UserAction::NoneUnlessFor(found) => earlier.filter(|about| *about == found),
        UserAction::Unknown => earlier,
    }
}

fn credential(outcome: &Outcome) -> Option<Credential> {
    let expiry = outcome.expiry.as_ref();
    if let Finding::SetupToken { token, .. } = outcome.finding {
        return Some(Credential::for_setup_token(token, expiry));
    }
    if let Finding::UnrefreshedToken { token, .. } = outcome.finding {
        return Some(Credential::for_unrefreshed_token(token, expiry));
    }
    outcome.login().map(|login| Credential::for_login(login, expiry))
}

/// Returns true if both are the same setup token, or logins of the same sign-in. A login changes
/// its refresh token every eight hours; its account and its expiry stay the same.
fn is_same_login(before: Option<&Credential>, now: Option<&Credential>) -> bool {
    let (Some(before), Some(now)) = (before, now) else { return false };
    let sign_in = |login: &Credential| login.account.clone().zip(login.login_expires_at_ms);
    let is_same_sign_in =
        now.kind == CredentialKind::Login && sign_in(now).is_some() && sign_in(before) == sign_in(now);
    before.kind == now.kind && (before.fingerprint == now.fingerprint || is_same_sign_in)
}

#[cfg(test)]
mod tests {
    use super::super::{Detail, Status};
    use super::*;
    use crate::store::StoreError;

    fn outcome(verdict: Verification) -> Outcome {
        let status = if verdict.is_alive() { Status::Ok } else { Status::Warn };
        let finding = Finding::SetupToken { token: Fingerprint::from_bytes("t"), verdict: Some(verdict) };
        Outcome::new(status, finding)
    }

    fn after(outcome: &Outcome, at: u64, before: Option<&StateReport>) -> StateReport {
        StateReport::from_outcome(outcome, "alice", Timestamp::from_millis(at), before)
    }

    #[test]
    fn persistent_outage_is_logged_at_its_start_and_end() {
        let overloaded = outcome(Verification::Inconclusive("the API is overloaded".into()));
        let unreachable = outcome(Verification::Inconclusive("the network could not be reached".into()));
        let fine = outcome(Verification::Ok);
        let mut before = None;
        for (at, outcome, is_logged) in [
            (1, &fine, true),
            (2, &fine, true),
            (3, &overloaded, true),
            (4, &overloaded, false),
            (5, &unreachable, true),
            (6, &unreachable, false),
            (7, &fine, true),
            (8, &unreachable, true),
        ] {
            let state = after(outcome, at, before.as_ref());
            assert_eq!(state.should_log(outcome, before.as_ref()), is_logged, "at {at}");
            before = Some(state);
        }
        let last = before.expect("eight runs");
        assert_eq!(last.verified_at_ms, Some(Timestamp::from_millis(7)), "the last success");
        assert_eq!(last.outage_since_ms, Some(Timestamp::from_millis(8)));
        let later = after(&unreachable, 9, Some(&last));
        assert_eq!(later.outage_since_ms, Some(Timestamp::from_millis(8)), "the outage began then");
    }

    #[test]
    fn change_during_a_persistent_outage_is_logged() {
        let overloaded = || outcome(Verification::Inconclusive("the API is overloaded".into()));
        let mut first = overloaded();
        let before = after(&first, 1, None);
        let mut second = overloaded();
        second.notes.push(Detail::NotBackedUp("it belongs to another organization".into()));
        let state = after(&second, 2, Some(&before));
        assert!(state.should_log(&second, Some(&before)), "another problem was added");
        assert!(!after(&second, 3, Some(&state)).should_log(&second, Some(&state)), "it was logged before");
        first.notes.push(Detail::EnvFileWritten);
        let written = after(&first, 4, Some(&state));
        assert!(
            after(&first, 5, Some(&written)).should_log(&first, Some(&written)),
            "every change is logged"
        );
    }

    #[test]
    fn failure_that_the_user_must_fix_is_logged_every_time() {
        let rejected =
            Outcome { status: Status::Fail, ..outcome(Verification::Rejected { account_level: false }) };
        let refused = StoreError::Refused { reason: "403".into(), remedy: "ask".into() };
        let mut at_store = Outcome { status: Status::Fail, ..outcome(Verification::Ok) };
        at_store.notes.push(Detail::Store(refused));
        for outcome in [rejected, at_store] {
            let first = after(&outcome, 1, None);
            assert!(after(&outcome, 2, Some(&first)).should_log(&outcome, Some(&first)));
        }
    }

    #[test]
    fn verification_by_hand_keeps_the_result_of_the_last_sync() {
        let refused = StoreError::Refused { reason: "403".into(), remedy: "ask".into() };
        let mut failed =
            Outcome { status: Status::Fail, ..outcome(Verification::Inconclusive("529".into())) };
        failed.notes.push(Detail::Store(refused));
        let state = after(&failed, 1, None);
        let at = Timestamp::from_millis;
        let verified =
            state.with_verification(&outcome(Verification::Ok), at(2)).expect("a conclusive result");
        let result = |state: &StateReport| {
            (state.status.clone(), state.text.clone(), state.at_ms, state.details.clone())
        };
        assert_eq!(result(&verified), result(&state));
        assert_eq!((verified.verification.as_deref(), verified.verified_at_ms), (Some("ok"), Some(at(2))));
        let rejected = Verification::Rejected { account_level: false };
        let rejected_state =
            verified.with_verification(&outcome(rejected), at(3)).expect("a conclusive result");
        assert_eq!(
            (rejected_state.verification.as_deref(), rejected_state.verified_at_ms),
            (Some("rejected"), Some(at(2)))
        );
        for uncertain in
            [Verification::Inconclusive("529".into()), Verification::ClientUnusable("old".into())]
        {
            assert_eq!(rejected_state.with_verification(&outcome(uncertain), at(4)), None);
        }
        let other = Credential::for_setup_token(Fingerprint::from_bytes("another"), None);
        assert_eq!(rejected_state.verified_at(&other), None, "another credential was not verified");
    }

    #[test]
    fn state_report_round_trips_and_names_its_schema() {
        let state = after(&outcome(Verification::RateLimited), 1, None);
        let json = serde_json::to_string(&state).expect("it is JSON");
        assert!(json.starts_with(r#"{"schema":1,"user":"alice","at_ms":1,"status":"OK","#), "{json}");
        assert_eq!(serde_json::from_str::<StateReport>(&json).expect("readable"), state);
    }

    #[test]
    fn state_report_of_version_0_1_0_is_converted() {
        let former = r#"{"schema":1,"user":"alice","at_ms":1,"status":"WARN","text":"t","exit_code":75,
            "finding":"beyond-repair","notes":["backed-up","copies-remain","lapsing"],"credential":null,
            "verdict":"limited","verified_at_ms":null,"outage":null,"outage_since_ms":null,
            "notice_cause":"login-lapses-in-3-days"}"#;
        let read = serde_json::from_str::<StateReport>(former).expect("readable");
        assert_eq!(read.finding, "unrecoverable");
        assert_eq!(read.details, ["backed-up", "backups-remain", "expires-soon"]);
        assert_eq!(read.verification.as_deref(), Some("rate-limited"));
        assert_eq!(read.notice_reason.as_deref(), Some("login-expires-in-3-days"));
        let current = serde_json::to_value(&read).expect("JSON");
        for former in ["notes", "verdict", "notice_cause"] {
            assert_eq!(current.get(former), None);
        }
    }
}

//! `state.json` in the state directory: how the last sync ended, for programs. Rendered from the same [`Outcome`] as the log
//! line, so that the two cannot disagree. Holds no secret.

use serde::{Deserialize, Serialize};

use super::notice::UserAction;
use super::{Detail, Finding, Outcome, codes};
use crate::credential::expiry::Expiry;
use crate::credential::fingerprint::Fingerprint;
use crate::credential::login::LoginSummary;
use crate::credential::verification::Verification;
use crate::time::timestamp::Timestamp;

pub use crate::credential::expiry::CredentialKind;

/// The name of the file.
pub const FILE_NAME: &str = "state.json";

/// The version of its schema: members may be added to it, and none changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// How a sync ended. Times are milliseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Whose login it is about.
    pub user: String,
    /// When the sync began.
    pub at_ms: Timestamp,
    /// The status word of the log line.
    pub status: String,
    /// The text of the log line.
    pub text: String,
    /// The exit code.
    pub exit_code: u8,
    /// What was found, in one word.
    #[serde(default)]
    pub finding: String,
    /// What else is worth knowing, in one word each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Which credential Claude Code would use.
    pub credential: Option<Credential>,
    /// What real inference showed in this run, or in a verification by hand since, in one word; nothing if it was not asked.
    pub verdict: Option<String>,
    /// When this very credential, or the one it was refreshed from, was last shown to work.
    pub verified_at_ms: Option<Timestamp>,
    /// What stands in the way and passes by itself.
    pub outage: Option<String>,
    /// Since when it does.
    pub outage_since_ms: Option<Timestamp>,
    /// The credential for which the person has to act, while they have to and it is about one.
    #[serde(default)]
    pub notice_about: Option<Fingerprint>,
    /// Why there is a notice for the person, in one word, while there is one.
    #[serde(default)]
    pub notice_cause: Option<String>,
}

/// A credential, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// What it is.
    pub kind: CredentialKind,
    /// The truncated SHA-256 of the setup-token, or of the login's refresh token.
    pub fingerprint: Fingerprint,
    /// The end of the login's access token.
    pub access_token_expires_at_ms: Option<Timestamp>,
    /// When the person has to sign in again, if the login says so.
    pub login_expires_at_ms: Option<Timestamp>,
    /// The account it was signed in to, if the login says so.
    #[serde(default)]
    pub account: Option<String>,
    /// When it lapses as a whole, whatever is refreshed until then: the login's own end, or the setup-token's. Nothing where
    /// that is not known.
    #[serde(default, alias = "lapses_at_ms")]
    pub expires_at_ms: Option<Timestamp>,
    /// Whether nobody wrote that date down: of a setup-token a year after it was made, or, at the latest, a year after it was
    /// first seen.
    #[serde(default, alias = "lapse_is_estimated")]
    pub expiry_is_estimated: bool,
}

impl Credential {
    /// The setup-token of this fingerprint.
    pub fn of_setup_token(token: Fingerprint, lapse: Option<&Expiry>) -> Self {
        Self {
            kind: CredentialKind::SetupToken,
            fingerprint: token,
            access_token_expires_at_ms: None,
            login_expires_at_ms: None,
            account: None,
            expires_at_ms: lapse.map(|lapse| lapse.at),
            expiry_is_estimated: lapse.is_some_and(Expiry::is_estimated),
        }
    }

    /// This login.
    pub fn of_login(login: &LoginSummary, lapse: Option<&Expiry>) -> Self {
        Self {
            kind: CredentialKind::Login,
            fingerprint: login.generation,
            access_token_expires_at_ms: Some(login.expires_at),
            login_expires_at_ms: login.login_expires_at,
            account: login.owner.account.clone(),
            expires_at_ms: lapse.map(|lapse| lapse.at),
            expiry_is_estimated: lapse.is_some_and(Expiry::is_estimated),
        }
    }
}

impl StateReport {
    /// What there is to say after a run that began at `now`, following on what was said after the one before.
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
            finding: codes::of_finding(&outcome.finding).to_owned(),
            notes: codes::of_notes(outcome),
            verdict: outcome.verdict().map(codes::of_verdict).map(str::to_owned),
            verified_at_ms: if is_alive { Some(now) } else { known.and_then(|before| before.verified_at_ms) },
            outage_since_ms: match lasting {
                Some(before) => before.outage_since_ms,
                None => outage.as_ref().map(|_| now),
            },
            notice_about: notice_about(outcome, credential.as_ref(), before),
            notice_cause: None, // until it is known what became of the notice
            credential,
            outage,
        }
    }

    /// When this credential, or the one it was refreshed from, was last shown to work, as far as this state knows.
    pub fn verified_at(&self, credential: &Credential) -> Option<Timestamp> {
        self.verified_at_ms.filter(|_| is_same_login(self.credential.as_ref(), Some(credential)))
    }

    /// The same state, with what a verification by hand has shown since, if it has shown anything certain. How the last sync
    /// ended stays told as it is: a verification looked at nothing else.
    #[must_use]
    pub fn with_verification(&self, outcome: &Outcome, now: Timestamp) -> Option<Self> {
        let verdict = outcome.verdict().filter(|verdict| verdict.is_alive() || verdict.is_rejected())?;
        let credential = credential(outcome)?;
        let before = self.verified_at(&credential);
        Some(Self {
            verdict: Some(codes::of_verdict(verdict).to_owned()),
            verified_at_ms: if verdict.is_alive() { Some(now) } else { before },
            credential: Some(credential),
            ..self.clone()
        })
    }

    /// Whether those on call should hear of `outcome`, which this is the state after: a standing outage in which nothing was
    /// done and nothing else is new is told once, everything else after every run.
    pub fn should_log(&self, outcome: &Outcome, before: Option<&Self>) -> bool {
        let situation = |state: &Self| (state.outage.clone(), state.finding.clone(), state.notes.clone());
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
    let lapse = outcome.lapse.as_ref();
    if let Finding::SetupToken { token, .. } = outcome.finding {
        return Some(Credential::of_setup_token(token, lapse));
    }
    outcome.login().map(|login| Credential::of_login(login, lapse))
}

/// A setup-token stays itself; a login changes its refresh token every eight hours and stays the same sign-in, which can be
/// told from its account and the day on which it ends.
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
    fn a_standing_outage_is_news_once_and_so_is_its_end() {
        let overloaded = outcome(Verification::Inconclusive("the API is overloaded".into()));
        let unreachable = outcome(Verification::Inconclusive("the network could not be reached".into()));
        let fine = outcome(Verification::Ok);
        let mut before = None;
        for (at, outcome, is_news) in [
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
            assert_eq!(state.should_log(outcome, before.as_ref()), is_news, "at {at}");
            before = Some(state);
        }
        let last = before.expect("eight runs");
        assert_eq!(last.verified_at_ms, Some(Timestamp::from_millis(7)), "as it was last shown");
        assert_eq!(last.outage_since_ms, Some(Timestamp::from_millis(8)));
        let later = after(&unreachable, 9, Some(&last));
        assert_eq!(later.outage_since_ms, Some(Timestamp::from_millis(8)), "it began then");
    }

    #[test]
    fn what_is_new_beside_a_standing_outage_is_told() {
        let overloaded = || outcome(Verification::Inconclusive("the API is overloaded".into()));
        let mut first = overloaded();
        let before = after(&first, 1, None);
        let mut second = overloaded();
        second.notes.push(Detail::NotBackedUp("it belongs to another organisation".into()));
        let state = after(&second, 2, Some(&before));
        assert!(state.should_log(&second, Some(&before)), "something else is wrong as well");
        assert!(!after(&second, 3, Some(&state)).should_log(&second, Some(&state)), "and told");
        first.notes.push(Detail::EnvFileWritten);
        let written = after(&first, 4, Some(&state));
        assert!(after(&first, 5, Some(&written)).should_log(&first, Some(&written)), "every change is");
    }

    #[test]
    fn what_a_person_has_to_mend_is_told_every_time() {
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
    fn a_verification_by_hand_says_nothing_of_the_last_sync() {
        let refused = StoreError::Refused { reason: "403".into(), remedy: "ask".into() };
        let mut failed =
            Outcome { status: Status::Fail, ..outcome(Verification::Inconclusive("529".into())) };
        failed.notes.push(Detail::Store(refused));
        let state = after(&failed, 1, None);
        let at = Timestamp::from_millis;
        let verified = state.with_verification(&outcome(Verification::Ok), at(2)).expect("something certain");
        let told = |state: &StateReport| {
            (state.status.clone(), state.text.clone(), state.at_ms, state.notes.clone())
        };
        assert_eq!(told(&verified), told(&state));
        assert_eq!((verified.verdict.as_deref(), verified.verified_at_ms), (Some("ok"), Some(at(2))));
        let rejected = Verification::Rejected { account_level: false };
        let dead = verified.with_verification(&outcome(rejected), at(3)).expect("something certain");
        assert_eq!((dead.verdict.as_deref(), dead.verified_at_ms), (Some("rejected"), Some(at(2))));
        for uncertain in
            [Verification::Inconclusive("529".into()), Verification::ClientUnusable("old".into())]
        {
            assert_eq!(dead.with_verification(&outcome(uncertain), at(4)), None);
        }
        let other = Credential::of_setup_token(Fingerprint::from_bytes("another"), None);
        assert_eq!(dead.verified_at(&other), None, "nothing is known of another one");
    }

    #[test]
    fn it_can_be_read_again_and_names_its_schema() {
        let state = after(&outcome(Verification::RateLimited), 1, None);
        let json = serde_json::to_string(&state).expect("it is JSON");
        assert!(json.starts_with(r#"{"schema":1,"user":"alice","at_ms":1,"status":"OK","#), "{json}");
        assert_eq!(serde_json::from_str::<StateReport>(&json).expect("readable"), state);
    }
}

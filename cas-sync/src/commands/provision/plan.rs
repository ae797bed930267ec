//! Decides the next step for one user from the known facts. The functions are pure: equal facts
//! give the same step. `apply` executes the steps; a dry run simulates them.

use cas_core::store::StoreError;
use cas_vault::TokenInfo;

pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The lifetime of a token after its last renewal (`packaging/vault/token-role.json`).
const PERIOD_MS: u64 = 32 * DAY_MS;

/// A token that expires within this period is renewed or replaced. The sync renews after 7 of 32
/// days, so a token this old was not renewed by it.
const ENDS_SOON_MS: u64 = 7 * DAY_MS;

/// Reported for a user whose document is marked as offboarded. Another user of the same name must
/// not read that document. USER stands for the user name.
pub(super) const OFFBOARDED: &str = "their document in the store is marked as offboarded; `cas-sync provision --adopt USER` accepts the account; for another user, first delete the document with `cas-sync provision --offboard USER --delete-document`";

/// The state that the roster requests for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Desired {
    /// The user must be enrolled.
    Enrolled,
    /// The user must not be enrolled. Contains the roster key that says so.
    Disabled(&'static str),
    /// An earlier roster listed the user and this one does not. `doubt` says why this can be a
    /// mistake in the roster; then nothing changes.
    Removed { doubt: Option<String> },
}

/// What happens to the stored document of an offboarded user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offboarding {
    /// Mark the document as offboarded.
    Mark,
    /// Delete the document.
    Delete,
}

/// What is known about a user's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenState {
    /// The local store needs no token.
    NotRequired,
    /// There is no token file, or it does not contain a valid token. Contains the reason.
    Absent(String),
    /// The home cannot hold a token. Contains the reason.
    HomeUnusable(String),
    /// Vault did not answer. Contains the error.
    Unknown(StoreError),
    /// Vault knows the token.
    Present(TokenInfo),
}

/// The result of a policy check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PolicyCheck {
    /// There is no check, or it is too old.
    Pending,
    /// The token permits all required requests and none of the forbidden ones.
    Ok,
    /// The token permits forbidden requests. Contains their descriptions.
    TooBroad(Vec<String>),
    /// The token cannot read or write the document, or cannot renew itself.
    TooNarrow,
    /// The document is marked as offboarded.
    Offboarded,
}

/// The state of a step that is tried at most once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    NotTried,
    Done,
    Failed(StoreError),
}

/// The conditions that are constant during one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunContext {
    pub(super) now_ms: u64,
    /// The host name that the tokens of this machine carry.
    pub(super) host: String,
    /// The Vault server and the location of the documents on it.
    pub(super) place: String,
    /// Why no administrator's token is available.
    pub(super) no_admin: Option<String>,
    /// True if existing policies may be replaced.
    pub(super) rewrite_policies: bool,
}

/// What is known about one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) wanted: Desired,
    /// Why this user cannot be provisioned on this machine.
    pub(super) unservable: Option<String>,
    pub(super) is_enrolled: bool,
    /// Why enrollment or unenrollment failed.
    pub(super) enrollment_failed: Option<String>,
    pub(super) token: TokenState,
    pub(super) proof: PolicyCheck,
    pub(super) renewal: Attempt,
    pub(super) minting: Attempt,
    pub(super) policy: Attempt,
    /// Accessors of tokens that may be revoked. Excludes the current token while the user is
    /// enrolled.
    pub(super) former: Vec<String>,
    pub(super) revocation: Attempt,
    /// What happens to the document of a user whom `--offboard` selects. None with the local store.
    pub(super) offboarding: Option<Offboarding>,
    pub(super) document: Attempt,
}

/// The next step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Renew,
    /// Mints a token, and creates the policy if it is missing. Contains the reason.
    Mint(String),
    Prove,
    RewritePolicy,
    Enroll,
    Unenroll,
    /// Marks or deletes the stored document.
    Offboard(Offboarding),
    /// Revokes all tokens of the user except the current one.
    Revoke,
    Done(ProvisionResult),
}

/// The final result for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProvisionResult {
    /// The user is in the requested state.
    Ok,
    /// The user is in the requested state, but the token permits forbidden requests. Contains their
    /// descriptions.
    PolicyTooBroad(Vec<String>),
    /// The user was skipped. Contains the reason.
    Skipped(String),
    /// The roster does not list the user, but unenrolling was refused. Contains the reason.
    RemovalVetoed(String),
    /// The next step needs an administrator's token. Contains the reason.
    NeedsAdmin(String),
    /// Vault rejected a request or did not answer.
    Failed(StoreError),
}

/// Returns the next step for this user.
pub(super) fn next(facts: &Facts, means: &RunContext) -> Step {
    if let Some(why) = &facts.enrollment_failed {
        return skipped(why);
    }
    match &facts.wanted {
        Desired::Enrolled => look_after(facts, means),
        Desired::Disabled(_) if facts.is_enrolled => Step::Unenroll,
        Desired::Disabled(_) => Step::Done(ProvisionResult::Ok),
        Desired::Removed { doubt: Some(why) } => Step::Done(ProvisionResult::RemovalVetoed(why.clone())),
        Desired::Removed { doubt: None } if facts.is_enrolled => Step::Unenroll,
        Desired::Removed { doubt: None } => offboarded(facts, means),
    }
}

/// Plans the document before the tokens. If the run stops in between, the next run still finds the
/// record of this user.
fn offboarded(facts: &Facts, means: &RunContext) -> Step {
    match (facts.offboarding, &facts.document, &means.no_admin) {
        (Some(_), Attempt::Failed(failure), _) => Step::Done(ProvisionResult::Failed(failure.clone())),
        (Some(offboarding), Attempt::NotTried, None) => Step::Offboard(offboarding),
        (Some(offboarding), Attempt::NotTried, Some(no_admin)) => {
            let what = match offboarding {
                Offboarding::Mark => "marked as offboarded",
                Offboarding::Delete => "deleted",
            };
            Step::Done(ProvisionResult::NeedsAdmin(format!("their document is to be {what}; {no_admin}")))
        }
        (None, ..) | (Some(_), Attempt::Done, _) => revoked(facts, means, ProvisionResult::Ok),
    }
}

fn look_after(facts: &Facts, means: &RunContext) -> Step {
    if let Some(why) = &facts.unservable {
        return skipped(why);
    }
    if let Attempt::Failed(failure) = &facts.minting {
        return Step::Done(ProvisionResult::Failed(failure.clone()));
    }
    let standing = match &facts.token {
        TokenState::NotRequired => return enrolled(facts, means, ProvisionResult::Ok),
        TokenState::HomeUnusable(why) => return skipped(why),
        TokenState::Unknown(failure) => return Step::Done(ProvisionResult::Failed(failure.clone())),
        TokenState::Absent(_) if facts.minting == Attempt::Done => return useless(facts, means),
        TokenState::Absent(why) => return replace(means, why),
        TokenState::Present(standing) => standing,
    };
    if let Some(why) = &standing.foreign {
        // A second new token would not help.
        if facts.minting == Attempt::Done {
            return skipped(&format!("the new token does not count as their own: {why}"));
        }
        return replace(means, &format!("the token there is not their own: {why}"));
    }
    let passing = match ends_soon(standing, means.now_ms) {
        true if standing.is_renewable && facts.renewal == Attempt::NotTried => return Step::Renew,
        true => Some("their token ends within a week and cannot be renewed"),
        false if !standing.is_orphan => Some("their token ends together with the one it was made with"),
        false => None,
    };
    match (passing, &means.no_admin) {
        (Some(why), None) if facts.minting == Attempt::NotTried => replace(means, why),
        // The token is valid until then.
        (Some(why), Some(no_admin)) => {
            proved(facts, means, ProvisionResult::NeedsAdmin(format!("{why}; {no_admin}")))
        }
        _ => proved(facts, means, ProvisionResult::Ok),
    }
}

/// Plans for a token that belongs to this user. The policy is checked before the user is enrolled.
fn proved(facts: &Facts, means: &RunContext, ending: ProvisionResult) -> Step {
    if let Attempt::Failed(failure) = &facts.policy {
        return Step::Done(ProvisionResult::Failed(failure.clone()));
    }
    match &facts.proof {
        PolicyCheck::Pending => Step::Prove,
        PolicyCheck::Ok => enrolled(facts, means, ending),
        PolicyCheck::TooBroad(_) if may_rewrite(facts, means) => Step::RewritePolicy,
        PolicyCheck::TooBroad(what) => enrolled(facts, means, ProvisionResult::PolicyTooBroad(what.clone())),
        PolicyCheck::TooNarrow => useless(facts, means),
        PolicyCheck::Offboarded => skipped(OFFBOARDED),
    }
}

/// Plans for a token that cannot serve this user.
fn useless(facts: &Facts, means: &RunContext) -> Step {
    if may_rewrite(facts, means) {
        return Step::RewritePolicy;
    }
    let advice = match facts.policy {
        Attempt::NotTried => {
            "the policy of their token does not let it read and write their document and renew itself: `cas-sync provision --rewrite-policies` replaces it"
        }
        _ => {
            "their token is of no use although its policy was replaced: see whether it has other policies, and the token role"
        }
    };
    Step::Done(ProvisionResult::NeedsAdmin(advice.into()))
}

fn may_rewrite(facts: &Facts, means: &RunContext) -> bool {
    means.no_admin.is_none() && means.rewrite_policies && facts.policy == Attempt::NotTried
}

fn enrolled(facts: &Facts, means: &RunContext, ending: ProvisionResult) -> Step {
    if facts.is_enrolled { revoked(facts, means, ending) } else { Step::Enroll }
}

/// Plans revocation as the last step, after another token was checked or the user was unenrolled.
fn revoked(facts: &Facts, means: &RunContext, ending: ProvisionResult) -> Step {
    if facts.to_revoke().is_empty() {
        return Step::Done(ending);
    }
    match (&facts.revocation, &means.no_admin) {
        (Attempt::Failed(failure), _) => Step::Done(ProvisionResult::Failed(failure.clone())),
        (Attempt::NotTried, None) => Step::Revoke,
        (Attempt::Done, _) => Step::Done(ending),
        // Report only one reason at a time.
        (Attempt::NotTried, Some(_)) if ending != ProvisionResult::Ok => Step::Done(ending),
        (Attempt::NotTried, Some(no_admin)) => {
            let what =
                if facts.wanted == Desired::Enrolled { "an earlier token of theirs" } else { "their token" };
            Step::Done(ProvisionResult::NeedsAdmin(format!("{what} is to be revoked; {no_admin}")))
        }
    }
}

fn replace(means: &RunContext, why: &str) -> Step {
    match &means.no_admin {
        Some(no_admin) => Step::Done(ProvisionResult::NeedsAdmin(format!("{why}; {no_admin}"))),
        None => Step::Mint(why.to_owned()),
    }
}

fn ends_soon(standing: &TokenInfo, now_ms: u64) -> bool {
    standing.expires_at_ms.is_some_and(|moment| moment < now_ms.saturating_add(ENDS_SOON_MS))
}

fn skipped(why: &str) -> Step {
    Step::Done(ProvisionResult::Skipped(why.to_owned()))
}

impl Facts {
    /// Returns the accessors of tokens that this user no longer uses.
    pub(super) fn to_revoke(&self) -> Vec<String> {
        let serves = |accessor: &String| {
            let is_held = matches!(&self.token, TokenState::Present(held) if held.accessor == *accessor);
            is_held && self.wanted == Desired::Enrolled
        };
        self.former.iter().filter(|accessor| !serves(accessor)).cloned().collect()
    }

    /// Returns true if the facts confirm that `step` succeeded.
    pub(super) fn show(&self, step: &Step) -> bool {
        match step {
            Step::Renew => self.renewal == Attempt::Done,
            Step::Mint(_) => self.minting == Attempt::Done,
            Step::Prove => self.proof != PolicyCheck::Pending,
            Step::RewritePolicy => self.policy == Attempt::Done,
            Step::Enroll => self.is_enrolled,
            Step::Unenroll => !self.is_enrolled,
            Step::Offboard(_) => self.document == Attempt::Done,
            Step::Revoke => self.revocation == Attempt::Done,
            Step::Done(_) => true,
        }
    }

    /// Returns the facts as they would be after a successful `step`.
    #[must_use]
    pub(super) fn simulate(mut self, step: &Step, now_ms: u64) -> Self {
        match step {
            Step::Renew => {
                self.renewal = Attempt::Done;
                if let TokenState::Present(held) = &mut self.token {
                    held.expires_at_ms = Some(now_ms.saturating_add(PERIOD_MS));
                }
            }
            Step::Mint(_) => {
                (self.minting, self.proof) = (Attempt::Done, PolicyCheck::Pending);
                self.token = TokenState::Present(TokenInfo {
                    accessor: String::new(),
                    foreign: None,
                    expires_at_ms: Some(now_ms.saturating_add(PERIOD_MS)),
                    is_renewable: true,
                    is_orphan: true,
                    host: None,
                });
            }
            Step::Prove => self.proof = PolicyCheck::Ok,
            Step::RewritePolicy => (self.policy, self.proof) = (Attempt::Done, PolicyCheck::Pending),
            Step::Enroll => self.is_enrolled = true,
            Step::Unenroll => self.is_enrolled = false,
            Step::Offboard(_) => self.document = Attempt::Done,
            Step::Revoke => (self.revocation, self.former) = (Attempt::Done, Vec::new()),
            Step::Done(_) => {}
        }
        self
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

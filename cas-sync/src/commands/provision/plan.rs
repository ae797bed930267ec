//! Decides the next step for one user from the known facts. The functions are pure: equal facts
//! give the same step. `apply` executes the steps; a dry run simulates them.

use cas_core::store::StoreError;
use cas_vault::TokenInfo;

pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The lifetime of a token after its last renewal (`packaging/vault/token-role.json`).
const TOKEN_PERIOD_MS: u64 = 32 * DAY_MS;

/// A token that expires within this period is renewed or replaced. The sync renews after 7 of 32
/// days, so a token this old was not renewed by it.
const RENEWAL_WINDOW_MS: u64 = 7 * DAY_MS;

/// Reported for a user whose document is marked as offboarded. Another user of the same name must
/// not read that document. USER stands for the user name.
pub(super) const OFFBOARDED: &str = "the document in the store is marked as offboarded; `cas-sync provision --adopt USER` accepts the account; for another user, first delete the document with `cas-sync provision --offboard USER --delete-document`";

/// The state that the roster requests for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Desired {
    /// The user must be enrolled.
    Enrolled,
    /// The user must not be enrolled. Contains the roster key.
    Disabled(&'static str),
    /// An earlier roster listed the user and this one does not. `doubt` is the reason why this can
    /// be a mistake in the roster; then nothing changes.
    Removed { doubt: Option<String> },
}

/// The action for the stored document of an offboarded user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offboarding {
    /// Mark the document as offboarded.
    Mark,
    /// Delete the document.
    Delete,
}

/// The state of a user's token.
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
    pub(super) document_location: String,
    /// Why no administrator's token is available.
    pub(super) admin_unavailable: Option<String>,
    /// True if existing policies may be replaced.
    pub(super) rewrite_policies: bool,
}

/// The facts about one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) desired: Desired,
    /// Why this user cannot be provisioned on this machine.
    pub(super) skip_reason: Option<String>,
    pub(super) is_enrolled: bool,
    /// Why enrollment or unenrollment failed.
    pub(super) enrollment_failed: Option<String>,
    pub(super) token: TokenState,
    pub(super) policy_check: PolicyCheck,
    pub(super) renewal: Attempt,
    pub(super) minting: Attempt,
    pub(super) policy: Attempt,
    /// Accessors of tokens that may be revoked. `tokens_to_revoke` omits the current
    /// one while the user is enrolled.
    pub(super) former: Vec<String>,
    pub(super) revocation: Attempt,
    /// The action for the document of a user that `--offboard` selects. None with the local store.
    pub(super) offboarding: Option<Offboarding>,
    pub(super) document: Attempt,
}

/// The next step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Renew,
    /// Mints a token, and creates the policy if it is missing. Contains the reason.
    Mint(String),
    CheckPolicy,
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
pub(super) fn next_step(facts: &Facts, context: &RunContext) -> Step {
    if let Some(why) = &facts.enrollment_failed {
        return skip(why);
    }
    match &facts.desired {
        Desired::Enrolled => plan_enrolled(facts, context),
        Desired::Disabled(_) if facts.is_enrolled => Step::Unenroll,
        Desired::Disabled(_) => Step::Done(ProvisionResult::Ok),
        Desired::Removed { doubt: Some(why) } => Step::Done(ProvisionResult::RemovalVetoed(why.clone())),
        Desired::Removed { doubt: None } if facts.is_enrolled => Step::Unenroll,
        Desired::Removed { doubt: None } => plan_removed(facts, context),
    }
}

/// Plans the document before the tokens. If the run stops in between, the next run still finds the
/// record of this user.
fn plan_removed(facts: &Facts, context: &RunContext) -> Step {
    match (facts.offboarding, &facts.document, &context.admin_unavailable) {
        (Some(_), Attempt::Failed(failure), _) => Step::Done(ProvisionResult::Failed(failure.clone())),
        (Some(offboarding), Attempt::NotTried, None) => Step::Offboard(offboarding),
        (Some(offboarding), Attempt::NotTried, Some(admin_unavailable)) => {
            let what = match offboarding {
                Offboarding::Mark => "marked as offboarded",
                Offboarding::Delete => "deleted",
            };
            Step::Done(ProvisionResult::NeedsAdmin(format!(
                "the document must be {what}; {admin_unavailable}"
            )))
        }
        (None, ..) | (Some(_), Attempt::Done, _) => plan_revocation(facts, context, ProvisionResult::Ok),
    }
}

fn plan_enrolled(facts: &Facts, context: &RunContext) -> Step {
    if let Some(why) = &facts.skip_reason {
        return skip(why);
    }
    if let Attempt::Failed(failure) = &facts.minting {
        return Step::Done(ProvisionResult::Failed(failure.clone()));
    }
    let info = match &facts.token {
        TokenState::NotRequired => return plan_enrollment(facts, context, ProvisionResult::Ok),
        TokenState::HomeUnusable(why) => return skip(why),
        TokenState::Unknown(failure) => return Step::Done(ProvisionResult::Failed(failure.clone())),
        TokenState::Absent(_) if facts.minting == Attempt::Done => {
            return plan_unusable_token(facts, context);
        }
        TokenState::Absent(why) => return plan_new_token(context, why),
        TokenState::Present(info) => info,
    };
    if let Some(why) = &info.foreign {
        // A second new token would not help.
        if facts.minting == Attempt::Done {
            return skip(&format!("the new token does not belong to the user: {why}"));
        }
        return plan_new_token(context, &format!("the token does not belong to the user: {why}"));
    }
    let replacement_reason = match is_expiring(info, context.now_ms) {
        true if info.is_renewable && facts.renewal == Attempt::NotTried => return Step::Renew,
        true => Some("the token expires within a week and cannot be renewed"),
        false if !info.is_orphan => Some("the token expires together with the token that created it"),
        false => None,
    };
    match (replacement_reason, &context.admin_unavailable) {
        (Some(why), None) if facts.minting == Attempt::NotTried => plan_new_token(context, why),
        // The token is valid until then.
        (Some(why), Some(admin_unavailable)) => plan_policy_check(
            facts,
            context,
            ProvisionResult::NeedsAdmin(format!("{why}; {admin_unavailable}")),
        ),
        _ => plan_policy_check(facts, context, ProvisionResult::Ok),
    }
}

/// Plans for a token that belongs to this user. The policy is checked before the user is enrolled.
fn plan_policy_check(facts: &Facts, context: &RunContext, result: ProvisionResult) -> Step {
    if let Attempt::Failed(failure) = &facts.policy {
        return Step::Done(ProvisionResult::Failed(failure.clone()));
    }
    match &facts.policy_check {
        PolicyCheck::Pending => Step::CheckPolicy,
        PolicyCheck::Ok => plan_enrollment(facts, context, result),
        PolicyCheck::TooBroad(_) if can_rewrite(facts, context) => Step::RewritePolicy,
        PolicyCheck::TooBroad(what) => {
            plan_enrollment(facts, context, ProvisionResult::PolicyTooBroad(what.clone()))
        }
        PolicyCheck::TooNarrow => plan_unusable_token(facts, context),
        PolicyCheck::Offboarded => skip(OFFBOARDED),
    }
}

/// Plans for a token that cannot serve this user.
fn plan_unusable_token(facts: &Facts, context: &RunContext) -> Step {
    if can_rewrite(facts, context) {
        return Step::RewritePolicy;
    }
    let advice = match facts.policy {
        Attempt::NotTried => {
            "the policy does not allow the token to read and write the document and to renew itself; run `cas-sync provision --rewrite-policies`"
        }
        _ => {
            "the token is unusable although its policy was replaced; check its other policies and the token role"
        }
    };
    Step::Done(ProvisionResult::NeedsAdmin(advice.into()))
}

fn can_rewrite(facts: &Facts, context: &RunContext) -> bool {
    context.admin_unavailable.is_none() && context.rewrite_policies && facts.policy == Attempt::NotTried
}

fn plan_enrollment(facts: &Facts, context: &RunContext, result: ProvisionResult) -> Step {
    if facts.is_enrolled { plan_revocation(facts, context, result) } else { Step::Enroll }
}

/// Plans revocation as the last step, after another token was checked or the user was unenrolled.
fn plan_revocation(facts: &Facts, context: &RunContext, result: ProvisionResult) -> Step {
    if facts.tokens_to_revoke().is_empty() {
        return Step::Done(result);
    }
    match (&facts.revocation, &context.admin_unavailable) {
        (Attempt::Failed(failure), _) => Step::Done(ProvisionResult::Failed(failure.clone())),
        (Attempt::NotTried, None) => Step::Revoke,
        (Attempt::Done, _) => Step::Done(result),
        // Report only one reason at a time.
        (Attempt::NotTried, Some(_)) if result != ProvisionResult::Ok => Step::Done(result),
        (Attempt::NotTried, Some(admin_unavailable)) => {
            let what = if facts.desired == Desired::Enrolled { "an earlier token" } else { "the token" };
            Step::Done(ProvisionResult::NeedsAdmin(format!("{what} must be revoked; {admin_unavailable}")))
        }
    }
}

fn plan_new_token(context: &RunContext, why: &str) -> Step {
    match &context.admin_unavailable {
        Some(admin_unavailable) => {
            Step::Done(ProvisionResult::NeedsAdmin(format!("{why}; {admin_unavailable}")))
        }
        None => Step::Mint(why.to_owned()),
    }
}

fn is_expiring(info: &TokenInfo, now_ms: u64) -> bool {
    info.expires_at_ms.is_some_and(|time| time < now_ms.saturating_add(RENEWAL_WINDOW_MS))
}

fn skip(why: &str) -> Step {
    Step::Done(ProvisionResult::Skipped(why.to_owned()))
}

impl Facts {
    /// Returns the accessors of tokens that this user no longer uses.
    pub(super) fn tokens_to_revoke(&self) -> Vec<String> {
        let is_current = |accessor: &String| {
            let is_held = matches!(&self.token, TokenState::Present(held) if held.accessor == *accessor);
            is_held && self.desired == Desired::Enrolled
        };
        self.former.iter().filter(|accessor| !is_current(accessor)).cloned().collect()
    }

    /// Returns true if the facts confirm that `step` succeeded.
    pub(super) fn confirm(&self, step: &Step) -> bool {
        match step {
            Step::Renew => self.renewal == Attempt::Done,
            Step::Mint(_) => self.minting == Attempt::Done,
            Step::CheckPolicy => self.policy_check != PolicyCheck::Pending,
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
                    held.expires_at_ms = Some(now_ms.saturating_add(TOKEN_PERIOD_MS));
                }
            }
            Step::Mint(_) => {
                (self.minting, self.policy_check) = (Attempt::Done, PolicyCheck::Pending);
                self.token = TokenState::Present(TokenInfo {
                    accessor: String::new(),
                    foreign: None,
                    expires_at_ms: Some(now_ms.saturating_add(TOKEN_PERIOD_MS)),
                    is_renewable: true,
                    is_orphan: true,
                    host: None,
                });
            }
            Step::CheckPolicy => self.policy_check = PolicyCheck::Ok,
            Step::RewritePolicy => (self.policy, self.policy_check) = (Attempt::Done, PolicyCheck::Pending),
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

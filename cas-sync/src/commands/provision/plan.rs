//! Decides what is to be done for one person, step by step, from what is known. Pure: the same facts, the same step; what
//! the steps do is in `apply`, and a dry run only imagines that they were done.

use cas_core::store::StoreError;
use cas_vault::TokenInfo;

pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How long a token lives from its last renewal on (`packaging/vault/token-role.json`).
const PERIOD_MS: u64 = 32 * DAY_MS;

/// A token that ends within this time is renewed, or else replaced. The sync renews after a week, of 32 days.
const ENDS_SOON_MS: u64 = 7 * DAY_MS;

/// What the roster wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Desired {
    /// To be looked after.
    Enrolled,
    /// Not to be; the key that says so.
    Disabled(&'static str),
    /// It was, by an earlier roster, and is in this one no more. `doubt`: why this may be a mistake in the roster; nothing is done
    /// then.
    Removed { doubt: Option<String> },
}

/// What is known of somebody's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenState {
    /// The store is on this machine: there are no tokens.
    NotRequired,
    /// There is none, or what is there is none; why.
    Absent(String),
    /// The home does not take one; why.
    HomeUnusable(String),
    /// The server was not heard; why.
    Unknown(StoreError),
    /// The server knows it.
    Present(TokenInfo),
}

/// What a proof showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PolicyCheck {
    /// None is at hand, or it is old.
    Pending,
    /// The token may do what it must and nothing that it must not.
    Ok,
    /// What it may do besides.
    TooBroad(Vec<String>),
    /// It may not even read or write its document, or renew itself.
    TooNarrow,
}

/// How far something went that is tried once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    NotTried,
    Done,
    Failed(StoreError),
}

/// What can be had in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunContext {
    pub(super) now_ms: u64,
    /// This machine, as its tokens name it.
    pub(super) host: String,
    /// The server, and the place of the documents there.
    pub(super) place: String,
    /// Why there is no admin's token.
    pub(super) no_admin: Option<String>,
    /// Whether policies may be replaced.
    pub(super) rewrite_policies: bool,
}

/// What is known of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) wanted: Desired,
    /// Why this person cannot be served here at all.
    pub(super) unservable: Option<String>,
    pub(super) is_enrolled: bool,
    /// Why enrolling, or its undoing, failed.
    pub(super) enrollment_failed: Option<String>,
    pub(super) token: TokenState,
    pub(super) proof: PolicyCheck,
    pub(super) renewal: Attempt,
    pub(super) minting: Attempt,
    pub(super) policy: Attempt,
    /// Tokens that may be revoked: not the one that lies there, while the person is looked after.
    pub(super) former: Vec<String>,
    pub(super) revocation: Attempt,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Renew,
    /// A new token, and the policy where there is none; why.
    Mint(String),
    Prove,
    RewritePolicy,
    Enroll,
    Unenroll,
    /// Ends all tokens of theirs but the one that serves them.
    Revoke,
    Done(ProvisionResult),
}

/// How it ends for one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProvisionResult {
    /// As the roster wants it.
    Ok,
    /// As the roster wants it, but the token may do more than it should; what.
    PolicyTooBroad(Vec<String>),
    /// This person was left out; why.
    Skipped(String),
    /// This person is not in the roster, and was not let go; why not.
    RemovalVetoed(String),
    /// Somebody with an admin's token has to run this; what for.
    NeedsAdmin(String),
    /// The server said no, or nothing.
    Failed(StoreError),
}

/// What to do next for this person.
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
        Desired::Removed { doubt: None } => revoked(facts, means, ProvisionResult::Ok),
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
        // A second one would be no better.
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
        // It serves until then.
        (Some(why), Some(no_admin)) => {
            proved(facts, means, ProvisionResult::NeedsAdmin(format!("{why}; {no_admin}")))
        }
        _ => proved(facts, means, ProvisionResult::Ok),
    }
}

/// The token is theirs. What it may do is looked at before anybody is enrolled with it.
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
    }
}

/// With the token there the person could not be looked after.
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

/// Last of all, when another token is shown to serve, or none is to.
fn revoked(facts: &Facts, means: &RunContext, ending: ProvisionResult) -> Step {
    if facts.to_revoke().is_empty() {
        return Step::Done(ending);
    }
    match (&facts.revocation, &means.no_admin) {
        (Attempt::Failed(failure), _) => Step::Done(ProvisionResult::Failed(failure.clone())),
        (Attempt::NotTried, None) => Step::Revoke,
        (Attempt::Done, _) => Step::Done(ending),
        // One thing at a time is enough to wait for.
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
    /// The accessors of the tokens that serve this person no more.
    pub(super) fn to_revoke(&self) -> Vec<String> {
        let serves = |accessor: &String| {
            let is_held = matches!(&self.token, TokenState::Present(held) if held.accessor == *accessor);
            is_held && self.wanted == Desired::Enrolled
        };
        self.former.iter().filter(|accessor| !serves(accessor)).cloned().collect()
    }

    /// Whether they show that `step` was done, and not only tried.
    pub(super) fn show(&self, step: &Step) -> bool {
        match step {
            Step::Renew => self.renewal == Attempt::Done,
            Step::Mint(_) => self.minting == Attempt::Done,
            Step::Prove => self.proof != PolicyCheck::Pending,
            Step::RewritePolicy => self.policy == Attempt::Done,
            Step::Enroll => self.is_enrolled,
            Step::Unenroll => !self.is_enrolled,
            Step::Revoke => self.revocation == Attempt::Done,
            Step::Done(_) => true,
        }
    }

    /// The facts as they would be if `step` had been done as it should.
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
            Step::Revoke => (self.revocation, self.former) = (Attempt::Done, Vec::new()),
            Step::Done(_) => {}
        }
        self
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

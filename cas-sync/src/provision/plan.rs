//! Decides what is to be done for one person, step by step, from what is known. Pure: the same facts, the same step; what
//! the steps do is in `apply`, and a dry run only imagines that they were done.

use cas_core::store::Failure;
use cas_core::store::vault::Standing;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A token that ends within this time is renewed, or else replaced. The sync renews after a week, of 32 days.
const ENDS_SOON_MS: u64 = 7 * DAY_MS;

/// How long a proof that the policy is not too wide is believed: somebody may change the policy meanwhile.
pub(super) const PROOF_LASTS_MS: u64 = 7 * DAY_MS;

/// What the roster wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// To be looked after.
    Yes,
    /// Not to be; the key that says so.
    Off(&'static str),
    /// It was, by an earlier roster, and is in this one no more. With the reason where that is not to be believed.
    Gone { doubt: Option<String> },
}

/// What is known of somebody's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenState {
    /// The store is on this machine: there are no tokens.
    NotNeeded,
    /// There is none, or what is there is none; why.
    Absent(String),
    /// The home does not take one; why.
    Unfit(String),
    /// The server was not heard; why.
    Unknown(Failure),
    /// The server knows it.
    Held(Standing),
}

/// What a proof showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// None is at hand, or it is old.
    Due,
    /// The token may do what it must and nothing that it must not.
    Good,
    /// What it may do besides.
    Wide(Vec<String>),
    /// It may not even read its document.
    Useless,
}

/// How far something went that is tried once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Try {
    NotYet,
    Done,
    Failed(Failure),
}

/// What is known of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) wanted: Wanted,
    /// Why this person cannot be served here at all.
    pub(super) unservable: Option<String>,
    pub(super) is_enrolled: bool,
    /// Why enrolling, or its undoing, failed.
    pub(super) enrolment_failed: Option<String>,
    pub(super) token: TokenState,
    pub(super) proof: Proof,
    pub(super) renewal: Try,
    pub(super) minting: Try,
    pub(super) policy: Try,
    /// The token to revoke when the person has gone.
    pub(super) accessor: Option<String>,
    pub(super) revocation: Try,
}

/// What can be had in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Means {
    pub(super) now_ms: u64,
    /// Why there is no admin's token.
    pub(super) no_admin: Option<String>,
    /// Whether policies may be replaced.
    pub(super) rewrite_policies: bool,
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
    Disenroll,
    Revoke,
    Done(Ending),
}

/// How it ends for one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As the roster wants it.
    Well,
    /// As the roster wants it, but the token may do more than it should; what.
    TooWide(Vec<String>),
    /// This person was left out; why.
    Skipped(String),
    /// Somebody with an admin's token has to run this; what for.
    WaitsForAdmin(String),
    /// The server said no, or nothing.
    Failed(Failure),
}

/// What to do next for this person.
pub(super) fn next(facts: &Facts, means: &Means) -> Step {
    if let Some(why) = &facts.enrolment_failed {
        return skipped(why);
    }
    match &facts.wanted {
        Wanted::Yes => look_after(facts, means),
        Wanted::Off(_) if facts.is_enrolled => Step::Disenroll,
        Wanted::Off(_) => Step::Done(Ending::Well),
        Wanted::Gone { doubt: Some(why) } => skipped(why),
        Wanted::Gone { doubt: None } => let_go(facts, means),
    }
}

fn look_after(facts: &Facts, means: &Means) -> Step {
    if let Some(why) = &facts.unservable {
        return skipped(why);
    }
    let standing = match &facts.token {
        TokenState::NotNeeded => return enrolled(facts, Ending::Well),
        TokenState::Unfit(why) => return skipped(why),
        TokenState::Unknown(failure) => return Step::Done(Ending::Failed(failure.clone())),
        TokenState::Absent(why) => return replace(facts, means, why),
        TokenState::Held(standing) => standing,
    };
    if let Some(why) = &standing.foreign {
        return replace(facts, means, &format!("the token there is not their own: {why}"));
    }
    if ends_soon(standing, means.now_ms) && facts.minting == Try::NotYet {
        if standing.is_renewable && facts.renewal == Try::NotYet {
            return Step::Renew;
        }
        return replace(facts, means, "their token ends within a week and cannot be renewed");
    }
    if !standing.is_orphan && means.no_admin.is_none() && facts.minting == Try::NotYet {
        return replace(facts, means, "their token ends together with the one it was made with");
    }
    proved(facts, means)
}

/// The token is theirs and lasts. What it may do is looked at before anybody is enrolled with it.
fn proved(facts: &Facts, means: &Means) -> Step {
    let may_rewrite = means.no_admin.is_none() && means.rewrite_policies && facts.policy == Try::NotYet;
    if let Try::Failed(failure) = &facts.policy {
        return Step::Done(Ending::Failed(failure.clone()));
    }
    match &facts.proof {
        Proof::Due => Step::Prove,
        Proof::Wide(_) | Proof::Useless if may_rewrite => Step::RewritePolicy,
        Proof::Good => enrolled(facts, Ending::Well),
        Proof::Wide(what) => enrolled(facts, Ending::TooWide(what.clone())),
        Proof::Useless => Step::Done(Ending::WaitsForAdmin(
            "the policy of their token does not let it read their document: `cas-sync provision --rewrite-policies` replaces it".into(),
        )),
    }
}

fn enrolled(facts: &Facts, ending: Ending) -> Step {
    if facts.is_enrolled { Step::Done(ending) } else { Step::Enroll }
}

fn replace(facts: &Facts, means: &Means, why: &str) -> Step {
    match (&facts.minting, &means.no_admin) {
        (Try::Failed(failure), _) => Step::Done(Ending::Failed(failure.clone())),
        (_, Some(no_admin)) => Step::Done(Ending::WaitsForAdmin(format!("{why}; {no_admin}"))),
        (Try::NotYet, None) => Step::Mint(why.to_owned()),
        (Try::Done, None) => skipped("the new token is no better than the old one: see the token role"),
    }
}

fn let_go(facts: &Facts, means: &Means) -> Step {
    if facts.is_enrolled {
        return Step::Disenroll;
    }
    match (&facts.accessor, &facts.revocation, &means.no_admin) {
        (None, ..) | (_, Try::Done, _) => Step::Done(Ending::Well),
        (_, Try::Failed(failure), _) => Step::Done(Ending::Failed(failure.clone())),
        (Some(_), Try::NotYet, None) => Step::Revoke,
        (Some(_), Try::NotYet, Some(no_admin)) => {
            Step::Done(Ending::WaitsForAdmin(format!("their token is to be revoked; {no_admin}")))
        }
    }
}

fn ends_soon(standing: &Standing, now_ms: u64) -> bool {
    standing.expires_at_ms.is_some_and(|moment| moment < now_ms.saturating_add(ENDS_SOON_MS))
}

fn skipped(why: &str) -> Step {
    Step::Done(Ending::Skipped(why.to_owned()))
}

impl Facts {
    /// Whether they show that `step` was done, and not only tried.
    pub(super) fn show(&self, step: &Step) -> bool {
        match step {
            Step::Renew => self.renewal == Try::Done,
            Step::Mint(_) => self.minting == Try::Done,
            Step::Prove => self.proof != Proof::Due,
            Step::RewritePolicy => self.policy == Try::Done,
            Step::Enroll => self.is_enrolled,
            Step::Disenroll => !self.is_enrolled,
            Step::Revoke => self.revocation == Try::Done,
            Step::Done(_) => true,
        }
    }

    /// The facts as they would be if `step` had been done as it should.
    #[must_use]
    pub(super) fn imagined(mut self, step: &Step, now_ms: u64) -> Self {
        match step {
            Step::Renew | Step::Mint(_) => {
                self.token = TokenState::Held(Standing {
                    accessor: String::new(),
                    foreign: None,
                    expires_at_ms: Some(now_ms.saturating_add(32 * DAY_MS)),
                    is_renewable: true,
                    is_orphan: true,
                });
                if *step == Step::Renew { self.renewal = Try::Done } else { self.minting = Try::Done }
            }
            Step::Prove => self.proof = Proof::Good,
            Step::RewritePolicy => (self.policy, self.proof) = (Try::Done, Proof::Due),
            Step::Enroll => self.is_enrolled = true,
            Step::Disenroll => self.is_enrolled = false,
            Step::Revoke => self.revocation = Try::Done,
            Step::Done(_) => {}
        }
        self
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

//! Decides what is to be done for one person, step by step, from what is known. Pure: the same facts, the same step; what
//! the steps do is in `apply`, and a dry run only imagines that they were done.

use cas_core::store::Failure;
use cas_vault::Standing;

use super::context::Means;

pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How long a token lives from its last renewal on (`packaging/vault/token-role.json`).
const PERIOD_MS: u64 = 32 * DAY_MS;

/// A token that ends within this time is renewed, or else replaced. The sync renews after a week, of 32 days.
const ENDS_SOON_MS: u64 = 7 * DAY_MS;

/// Why nothing is done for a user whose document is marked. Another user of the same name must not get what is in it.
pub(super) const OFFBOARDED: &str = "their document in the store is marked as offboarded; if it is the same user, run `cas-sync provision --adopt` with the name, else first `cas-sync provision --offboard` with the name and `--delete-document`";

/// What the roster wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// To be looked after.
    Yes,
    /// Not to be; the key that says so.
    Off(&'static str),
    /// It was, by an earlier roster, and is in this one no more. `doubt`: why this may be a mistake in the roster; nothing is done
    /// then.
    Gone { doubt: Option<String> },
}

/// What becomes of the document of a user who is offboarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offboarding {
    /// It is marked.
    Mark,
    /// It is deleted.
    Delete,
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
    /// It may not even read or write its document, or renew itself.
    Useless,
    /// The document is marked as offboarded.
    Offboarded,
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
    /// Tokens that may be revoked: not the one that lies there, while the person is looked after.
    pub(super) former: Vec<String>,
    pub(super) revocation: Try,
    /// What is to become of the document, where the user is offboarded by name or by the option and there is a server.
    pub(super) offboarding: Option<Offboarding>,
    pub(super) document: Try,
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
    /// Marks or deletes their document.
    Offboard(Offboarding),
    /// Ends all tokens of theirs but the one that serves them.
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
    /// This person is not in the roster, and was not let go; why not.
    Kept(String),
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
        Wanted::Gone { doubt: Some(why) } => Step::Done(Ending::Kept(why.clone())),
        Wanted::Gone { doubt: None } if facts.is_enrolled => Step::Disenroll,
        Wanted::Gone { doubt: None } => offboarded(facts, means),
    }
}

/// The document comes before the tokens: whoever runs this again without it being marked finds the user still recorded.
fn offboarded(facts: &Facts, means: &Means) -> Step {
    match (facts.offboarding, &facts.document, &means.no_admin) {
        (Some(_), Try::Failed(failure), _) => Step::Done(Ending::Failed(failure.clone())),
        (Some(offboarding), Try::NotYet, None) => Step::Offboard(offboarding),
        (Some(offboarding), Try::NotYet, Some(no_admin)) => {
            let what = match offboarding {
                Offboarding::Mark => "marked as offboarded",
                Offboarding::Delete => "deleted",
            };
            Step::Done(Ending::WaitsForAdmin(format!("their document is to be {what}; {no_admin}")))
        }
        (None, ..) | (Some(_), Try::Done, _) => revoked(facts, means, Ending::Well),
    }
}

fn look_after(facts: &Facts, means: &Means) -> Step {
    if let Some(why) = &facts.unservable {
        return skipped(why);
    }
    if let Try::Failed(failure) = &facts.minting {
        return Step::Done(Ending::Failed(failure.clone()));
    }
    let standing = match &facts.token {
        TokenState::NotNeeded => return enrolled(facts, means, Ending::Well),
        TokenState::Unfit(why) => return skipped(why),
        TokenState::Unknown(failure) => return Step::Done(Ending::Failed(failure.clone())),
        TokenState::Absent(_) if facts.minting == Try::Done => return useless(facts, means),
        TokenState::Absent(why) => return replace(means, why),
        TokenState::Held(standing) => standing,
    };
    if let Some(why) = &standing.foreign {
        // A second one would be no better.
        if facts.minting == Try::Done {
            return skipped(&format!("the new token does not count as their own: {why}"));
        }
        return replace(means, &format!("the token there is not their own: {why}"));
    }
    let passing = match ends_soon(standing, means.now_ms) {
        true if standing.is_renewable && facts.renewal == Try::NotYet => return Step::Renew,
        true => Some("their token ends within a week and cannot be renewed"),
        false if !standing.is_orphan => Some("their token ends together with the one it was made with"),
        false => None,
    };
    match (passing, &means.no_admin) {
        (Some(why), None) if facts.minting == Try::NotYet => replace(means, why),
        // It serves until then.
        (Some(why), Some(no_admin)) => {
            proved(facts, means, Ending::WaitsForAdmin(format!("{why}; {no_admin}")))
        }
        _ => proved(facts, means, Ending::Well),
    }
}

/// The token is theirs. What it may do is looked at before anybody is enrolled with it.
fn proved(facts: &Facts, means: &Means, ending: Ending) -> Step {
    if let Try::Failed(failure) = &facts.policy {
        return Step::Done(Ending::Failed(failure.clone()));
    }
    match &facts.proof {
        Proof::Due => Step::Prove,
        Proof::Good => enrolled(facts, means, ending),
        Proof::Wide(_) if may_rewrite(facts, means) => Step::RewritePolicy,
        Proof::Wide(what) => enrolled(facts, means, Ending::TooWide(what.clone())),
        Proof::Useless => useless(facts, means),
        Proof::Offboarded => skipped(OFFBOARDED),
    }
}

/// With the token there the person could not be looked after.
fn useless(facts: &Facts, means: &Means) -> Step {
    if may_rewrite(facts, means) {
        return Step::RewritePolicy;
    }
    let advice = match facts.policy {
        Try::NotYet => {
            "the policy of their token does not let it read and write their document and renew itself: `cas-sync provision --rewrite-policies` replaces it"
        }
        _ => {
            "their token is of no use although its policy was replaced: see whether it has other policies, and the token role"
        }
    };
    Step::Done(Ending::WaitsForAdmin(advice.into()))
}

fn may_rewrite(facts: &Facts, means: &Means) -> bool {
    means.no_admin.is_none() && means.rewrite_policies && facts.policy == Try::NotYet
}

fn enrolled(facts: &Facts, means: &Means, ending: Ending) -> Step {
    if facts.is_enrolled { revoked(facts, means, ending) } else { Step::Enroll }
}

/// Last of all, when another token is shown to serve, or none is to.
fn revoked(facts: &Facts, means: &Means, ending: Ending) -> Step {
    if facts.to_revoke().is_empty() {
        return Step::Done(ending);
    }
    match (&facts.revocation, &means.no_admin) {
        (Try::Failed(failure), _) => Step::Done(Ending::Failed(failure.clone())),
        (Try::NotYet, None) => Step::Revoke,
        (Try::Done, _) => Step::Done(ending),
        // One thing at a time is enough to wait for.
        (Try::NotYet, Some(_)) if ending != Ending::Well => Step::Done(ending),
        (Try::NotYet, Some(no_admin)) => {
            let what = if facts.wanted == Wanted::Yes { "an earlier token of theirs" } else { "their token" };
            Step::Done(Ending::WaitsForAdmin(format!("{what} is to be revoked; {no_admin}")))
        }
    }
}

fn replace(means: &Means, why: &str) -> Step {
    match &means.no_admin {
        Some(no_admin) => Step::Done(Ending::WaitsForAdmin(format!("{why}; {no_admin}"))),
        None => Step::Mint(why.to_owned()),
    }
}

fn ends_soon(standing: &Standing, now_ms: u64) -> bool {
    standing.expires_at_ms.is_some_and(|moment| moment < now_ms.saturating_add(ENDS_SOON_MS))
}

fn skipped(why: &str) -> Step {
    Step::Done(Ending::Skipped(why.to_owned()))
}

impl Facts {
    /// The accessors of the tokens that serve this person no more.
    pub(super) fn to_revoke(&self) -> Vec<String> {
        let serves = |accessor: &String| {
            let is_held = matches!(&self.token, TokenState::Held(held) if held.accessor == *accessor);
            is_held && self.wanted == Wanted::Yes
        };
        self.former.iter().filter(|accessor| !serves(accessor)).cloned().collect()
    }

    /// Whether they show that `step` was done, and not only tried.
    pub(super) fn show(&self, step: &Step) -> bool {
        match step {
            Step::Renew => self.renewal == Try::Done,
            Step::Mint(_) => self.minting == Try::Done,
            Step::Prove => self.proof != Proof::Due,
            Step::RewritePolicy => self.policy == Try::Done,
            Step::Enroll => self.is_enrolled,
            Step::Disenroll => !self.is_enrolled,
            Step::Offboard(_) => self.document == Try::Done,
            Step::Revoke => self.revocation == Try::Done,
            Step::Done(_) => true,
        }
    }

    /// The facts as they would be if `step` had been done as it should.
    #[must_use]
    pub(super) fn imagined(mut self, step: &Step, now_ms: u64) -> Self {
        match step {
            Step::Renew => {
                self.renewal = Try::Done;
                if let TokenState::Held(held) = &mut self.token {
                    held.expires_at_ms = Some(now_ms.saturating_add(PERIOD_MS));
                }
            }
            Step::Mint(_) => {
                (self.minting, self.proof) = (Try::Done, Proof::Due);
                self.token = TokenState::Held(Standing {
                    accessor: String::new(),
                    foreign: None,
                    expires_at_ms: Some(now_ms.saturating_add(PERIOD_MS)),
                    is_renewable: true,
                    is_orphan: true,
                    host: None,
                });
            }
            Step::Prove => self.proof = Proof::Good,
            Step::RewritePolicy => (self.policy, self.proof) = (Try::Done, Proof::Due),
            Step::Enroll => self.is_enrolled = true,
            Step::Disenroll => self.is_enrolled = false,
            Step::Offboard(_) => self.document = Try::Done,
            Step::Revoke => (self.revocation, self.former) = (Try::Done, Vec::new()),
            Step::Done(_) => {}
        }
        self
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

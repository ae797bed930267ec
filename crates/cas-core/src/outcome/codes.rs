//! One word for everything an outcome can say, for programs: a word never changes its meaning.

use super::{Finding, Note, Outcome};
use crate::credential::verification::Verdict;

pub(super) fn of_finding(finding: &Finding) -> &'static str {
    match finding {
        Finding::SetupToken { .. } => "setup-token",
        Finding::Login { .. } => "login",
        Finding::Stale { .. } => "stale",
        Finding::Refreshing(_) => "refreshing",
        Finding::Spent { .. } => "spent",
        Finding::Restored { .. } => "restored",
        Finding::Beyond { .. } => "beyond-repair",
        Finding::Unmended { .. } => "unmended",
        Finding::Broken { .. } => "broken",
        Finding::NotDone(_) => "not-done",
        Finding::NoLogin => "no-login",
        Finding::LeftAlone(_) => "left-alone",
        Finding::Misconfigured(_) => "misconfigured",
        Finding::Busy => "busy",
    }
}

/// What else there is to say, the nearness of an end included.
pub(super) fn of_notes(outcome: &Outcome) -> Vec<String> {
    let lapsing = outcome.lapsing.map(|_| "lapsing");
    outcome.notes.iter().map(of_note).chain(lapsing).map(str::to_owned).collect()
}

fn of_note(note: &Note) -> &'static str {
    match note {
        Note::EnvFileWritten => "env-file-written",
        Note::EnvFileRemoved => "env-file-removed",
        Note::EnvFile(_) => "env-file-not-used",
        Note::EnvFileUnchanged(_) => "env-file-not-changed",
        Note::SetupTokenField(_) => "setup-token-malformed",
        Note::BackedUp(_) => "backed-up",
        Note::NotBackedUp(_) => "not-backed-up",
        Note::RolledBack => "rolled-back",
        Note::NotRolledBack(_) => "not-rolled-back",
        Note::Store(_) => "store",
        Note::Token(_) => "store-token",
        Note::Configuration(_) => "configuration",
        Note::CopiesRemain(_) => "copies-remain",
    }
}

pub(super) fn of_verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Limited => "limited",
        Verdict::Rejected { account_level: false } => "rejected",
        Verdict::Rejected { account_level: true } => "account-refused",
        Verdict::Unusable(_) => "unusable",
        Verdict::Unknown(_) => "unknown",
    }
}

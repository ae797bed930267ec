//! One word for everything an outcome can say, for programs: a word never changes its meaning.

use super::{Detail, Finding, Outcome};
use crate::credential::verification::Verification;

pub(super) fn of_finding(finding: &Finding) -> &'static str {
    match finding {
        Finding::SetupToken { .. } => "setup-token",
        Finding::Login { .. } => "login",
        Finding::Stale { .. } => "stale",
        Finding::Refreshing(_) => "refreshing",
        Finding::StaleCopy { .. } => "spent",
        Finding::Restored { .. } => "restored",
        Finding::Unrecoverable { .. } => "beyond-repair",
        Finding::RestoreFailed { .. } => "unmended",
        Finding::LoginUnusable { .. } => "broken",
        Finding::RequestRefused(_) => "not-done",
        Finding::NoLogin => "no-login",
        Finding::Skipped(_) => "left-alone",
        Finding::Misconfigured(_) => "misconfigured",
        Finding::AnotherRunActive => "busy",
    }
}

/// What else there is to say, the nearness of an end included.
pub(super) fn of_notes(outcome: &Outcome) -> Vec<String> {
    let lapsing = outcome.lapsing.map(|_| "lapsing");
    outcome.notes.iter().map(of_note).chain(lapsing).map(str::to_owned).collect()
}

fn of_note(note: &Detail) -> &'static str {
    match note {
        Detail::EnvFileWritten => "env-file-written",
        Detail::EnvFileRemoved => "env-file-removed",
        Detail::EnvFileInvalid(_) => "env-file-not-used",
        Detail::EnvFileUpdateFailed(_) => "env-file-not-changed",
        Detail::SetupTokenFieldInvalid(_) => "setup-token-malformed",
        Detail::BackedUp(_) => "backed-up",
        Detail::NotBackedUp(_) => "not-backed-up",
        Detail::RolledBack => "rolled-back",
        Detail::NotRolledBack(_) => "not-rolled-back",
        Detail::Store(_) => "store",
        Detail::StoreToken(_) => "store-token",
        Detail::Configuration(_) => "configuration",
        Detail::BackupsRemain(_) => "copies-remain",
    }
}

pub(super) fn of_verdict(verdict: &Verification) -> &'static str {
    match verdict {
        Verification::Ok => "ok",
        Verification::RateLimited => "limited",
        Verification::Rejected { account_level: false } => "rejected",
        Verification::Rejected { account_level: true } => "account-refused",
        Verification::ClientUnusable(_) => "unusable",
        Verification::Inconclusive(_) => "unknown",
    }
}

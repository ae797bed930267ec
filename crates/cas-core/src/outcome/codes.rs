//! Codes for programs: one word for each part of an outcome. A code never changes its meaning.

use super::{Detail, Finding, Outcome};
use crate::credential::verification::Verification;

pub(super) fn finding_code(finding: &Finding) -> &'static str {
    match finding {
        Finding::SetupToken { .. } => "setup-token",
        Finding::Login { .. } => "login",
        Finding::LastingToken { .. } => "login-not-refreshed",
        Finding::Stale { .. } => "stale",
        Finding::Refreshing(_) => "refreshing",
        Finding::StaleCopy { .. } => "stale-copy",
        Finding::Restored { .. } => "restored",
        Finding::Unrecoverable { .. } => "unrecoverable",
        Finding::RestoreFailed { .. } => "restore-failed",
        Finding::Obstructed { .. } => "obstructed",
        Finding::LoginUnusable { .. } => "login-unusable",
        Finding::RequestRefused(_) => "request-refused",
        Finding::NoLogin => "no-login",
        Finding::SignedOut(_) => "signed-out",
        Finding::Skipped(_) => "skipped",
        Finding::Misconfigured(_) => "misconfigured",
        Finding::AnotherRunActive => "another-run-active",
    }
}

/// Returns the code of a finding for a code that version 0.1.0 wrote.
pub fn current_finding_code(code: &str) -> &str {
    match code {
        "spent" => "stale-copy",
        "beyond-repair" => "unrecoverable",
        "unmended" => "restore-failed",
        "broken" => "login-unusable",
        "not-done" => "request-refused",
        "left-alone" => "skipped",
        "busy" => "another-run-active",
        current => current,
    }
}

/// Returns the codes of the details, and of an expiry warning.
pub(super) fn detail_codes(outcome: &Outcome) -> Vec<String> {
    let warning = outcome.expiry_warning.map(|_| "lapsing");
    outcome.notes.iter().map(detail_code).chain(warning).map(str::to_owned).collect()
}

fn detail_code(detail: &Detail) -> &'static str {
    match detail {
        Detail::EnvFileWritten => "env-file-written",
        Detail::EnvFileRemoved => "env-file-removed",
        Detail::EnvFileInvalid(_) => "env-file-not-used",
        Detail::EnvFileUpdateFailed(_) => "env-file-not-changed",
        Detail::SetupTokenFieldInvalid(_) => "setup-token-malformed",
        Detail::SetupTokenRejected => "new-setup-token-rejected",
        Detail::SetupTokenRefused => "new-setup-token-refused",
        Detail::SetupTokenPostponed(_) => "new-setup-token-not-verified",
        Detail::SetupTokenNotInStore => "setup-token-not-in-store",
        Detail::SetupTokenCarried => "setup-token-stored",
        Detail::SetupTokenNotCarried(_) => "setup-token-not-stored",
        Detail::BackedUp(_) => "backed-up",
        Detail::NotBackedUp(_) => "not-backed-up",
        Detail::RolledBack => "rolled-back",
        Detail::NotRolledBack(_) => "not-rolled-back",
        Detail::Store(_) => "store",
        Detail::StoreToken(_) => "store-token",
        Detail::ClientState(_) => "client-state",
        Detail::Configuration(_) => "configuration",
        Detail::BackupsRemain(_) => "copies-remain",
    }
}

pub(super) fn verification_code(verdict: &Verification) -> &'static str {
    match verdict {
        Verification::Ok => "ok",
        Verification::RateLimited => "limited",
        Verification::Rejected { account_level: false } => "rejected",
        Verification::Rejected { account_level: true } => "account-refused",
        Verification::ClientUnusable(_) => "unusable",
        Verification::Inconclusive(_) => "unknown",
    }
}

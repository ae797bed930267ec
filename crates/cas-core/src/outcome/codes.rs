//! Codes for programs: one word for each part of an outcome. A code never changes its meaning.

use super::{Detail, Finding, Outcome};
use crate::credential::verification::Verification;

pub(super) fn finding_code(finding: &Finding) -> &'static str {
    match finding {
        Finding::SetupToken { .. } => "setup-token",
        Finding::Login { .. } => "login",
        Finding::UnrefreshedToken { .. } => "login-not-refreshed",
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

/// The codes that version 0.1.0 wrote, and the current ones: of findings, details, verifications
/// and notices. `state.json` and `notice.json` of that version are read with them.
const RENAMED: [(&str, &str); 23] = [
    ("spent", "stale-copy"),
    ("beyond-repair", "unrecoverable"),
    ("unmended", "restore-failed"),
    ("broken", "login-unusable"),
    ("not-done", "request-refused"),
    ("left-alone", "skipped"),
    ("busy", "another-run-active"),
    ("env-file-not-used", "env-file-invalid"),
    ("env-file-not-changed", "env-file-update-failed"),
    ("setup-token-malformed", "setup-token-field-invalid"),
    ("copies-remain", "backups-remain"),
    ("lapsing", "expires-soon"),
    ("limited", "rate-limited"),
    ("unusable", "client-unusable"),
    ("unknown", "inconclusive"),
    ("login-spent", "login-superseded"),
    ("login-lapses-in-7-days", "login-expires-in-7-days"),
    ("login-lapses-in-3-days", "login-expires-in-3-days"),
    ("login-lapses-in-1-day", "login-expires-in-1-day"),
    ("login-lapsed", "login-expired"),
    ("setup-token-lapses-in-30-days", "setup-token-expires-in-30-days"),
    ("setup-token-lapses-in-7-days", "setup-token-expires-in-7-days"),
    ("setup-token-lapsed", "setup-token-expired"),
];

/// Returns the current code for a code that may be one of version 0.1.0.
pub fn current_code(code: &str) -> &str {
    RENAMED.iter().find(|(old, _)| *old == code).map_or(code, |(_, current)| current)
}

/// Returns the codes of the details, and of an expiry warning.
pub(super) fn detail_codes(outcome: &Outcome) -> Vec<String> {
    let warning = outcome.expiry_warning.map(|_| "expires-soon");
    outcome.notes.iter().map(detail_code).chain(warning).map(str::to_owned).collect()
}

fn detail_code(detail: &Detail) -> &'static str {
    match detail {
        Detail::EnvFileWritten => "env-file-written",
        Detail::EnvFileRemoved => "env-file-removed",
        Detail::EnvFileInvalid(_) => "env-file-invalid",
        Detail::EnvFileUpdateFailed(_) => "env-file-update-failed",
        Detail::SetupTokenFieldInvalid(_) => "setup-token-field-invalid",
        Detail::SetupTokenRejected => "new-setup-token-rejected",
        Detail::SetupTokenRefused => "new-setup-token-refused",
        Detail::SetupTokenPostponed(_) => "new-setup-token-not-verified",
        Detail::SetupTokenNotInStore => "setup-token-not-in-store",
        Detail::SetupTokenCopied => "setup-token-stored",
        Detail::SetupTokenNotCopied(_) => "setup-token-not-stored",
        Detail::BackedUp(_) => "backed-up",
        Detail::NotBackedUp(_) => "not-backed-up",
        Detail::RolledBack => "rolled-back",
        Detail::NotRolledBack(_) => "not-rolled-back",
        Detail::Store(_) => "store",
        Detail::StoreToken(_) => "store-token",
        Detail::ClientState(_) => "client-state",
        Detail::Configuration(_) => "configuration",
        Detail::BackupsRemain(_) => "backups-remain",
    }
}

pub(super) fn verification_code(verdict: &Verification) -> &'static str {
    match verdict {
        Verification::Ok => "ok",
        Verification::RateLimited => "rate-limited",
        Verification::Rejected { account_level: false } => "rejected",
        Verification::Rejected { account_level: true } => "account-refused",
        Verification::ClientUnusable(_) => "client-unusable",
        Verification::Inconclusive(_) => "inconclusive",
    }
}

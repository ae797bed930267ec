//! The login file and its login.

use std::path::Path;

use cas_core::credential::expiry::{CredentialKind, Expiry};
use cas_core::credential::expiry_warning::{ExpiryWarning, WarningStage};
use cas_core::credential::login::AccessProblem;
use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::LoginFileState;
use cas_core::fs::obstacle::ObstacleKind;
use cas_core::ledger::GenerationState;

use super::super::check::{Check, CheckResult, Finding, Fix, Remedy, as_root, move_aside_as_user};
use super::super::facts::{EnvFile, UserFacts};

pub(super) const CHECKS: [Check<UserFacts>; 11] = [
    Check::new("login-missing", "there is a login", missing),
    Check::new("login-cleared", "the login has not been cleared", cleared),
    Check::new("login-invalid", "Claude Code can read the login", invalid),
    Check::new("login-scope", "the login has the scope user:inference", scope),
    Check::new("login-not-refreshable", "the login can be refreshed", not_refreshable),
    Check::new("login-unreadable", "the login file is a regular file of the user", unreadable),
    Check::new("login-obstructed", "the login file can be replaced", obstructed),
    Check::new("login-rejected", "the login is not rejected or superseded", rejected),
    Check::new("login-expires", "the login does not expire within 7 days", expires),
    Check::new("login-organization", "the login belongs to the expected organization", organization),
    Check::new("state-corrupt", "the ledger and the local history can be read", state_files),
];

const SIGN_IN: &str = "cas-sync login";

/// Installs a login of another account or organization than the current one.
const SWITCH: &str = "cas-sync login --switch-account";

/// The parser's error for a missing scope.
const SCOPE: &str = AccessProblem::MissingScope.as_str();

/// Evaluates the login, if no setup token is active.
fn if_active(facts: &UserFacts, evaluate: impl Fn() -> CheckResult) -> CheckResult {
    match facts.env_file {
        EnvFile::Token { .. } => {
            CheckResult::NotApplicable("the setup token is active instead of the login".into())
        }
        _ => evaluate(),
    }
}

/// Returns a problem. The remedy is a sync if a backup can be restored, else a sign-in.
fn unusable(facts: &UserFacts, cause: String) -> CheckResult {
    CheckResult::from_findings([match facts.login.has_backup && facts.login.obstacle.is_none() {
        true => Finding::problem(cause, Remedy::User("cas-sync run".into())).with_fix(Fix::Sync),
        false => Finding::problem(cause, sign_in(facts)),
    }])
}

fn sign_in(facts: &UserFacts) -> Remedy {
    Remedy::User(match &facts.login.email {
        Some(email) => format!("{SIGN_IN} --email {email}"),
        None => SIGN_IN.into(),
    })
}

fn missing(facts: &UserFacts) -> CheckResult {
    if facts.login.obstacle.as_ref().is_some_and(|obstacle| obstacle.kind == ObstacleKind::NoKey) {
        return CheckResult::Unknown("the key of the encrypted home is not available".into());
    }
    if_active(facts, || match (&facts.login.state, facts.login.sign_out) {
        (_, Some(sign_out)) => CheckResult::NotApplicable(sign_out.to_string()),
        (LoginFileState::Missing, None) => {
            unusable(facts, format!("there is no login in {}", facts.login.path))
        }
        _ => CheckResult::Ok,
    })
}

fn cleared(facts: &UserFacts) -> CheckResult {
    if_active(facts, || match &facts.login.state {
        LoginFileState::ClearedByClient => unusable(
            facts,
            format!("Claude Code cleared the login in {}, because a refresh was refused", facts.login.path),
        ),
        _ => CheckResult::Ok,
    })
}

fn invalid(facts: &UserFacts) -> CheckResult {
    if_active(facts, || match &facts.login.state {
        LoginFileState::Invalid(why) if *why != SCOPE => {
            unusable(facts, format!("Claude Code does not accept the login in {}: {why}", facts.login.path))
        }
        _ => CheckResult::Ok,
    })
}

fn scope(facts: &UserFacts) -> CheckResult {
    if_active(facts, || match &facts.login.state {
        LoginFileState::Invalid(why) if *why == SCOPE => unusable(
            facts,
            format!(
                "the login in {} lacks the scope user:inference: Claude Code reports that it is not logged in",
                facts.login.path
            ),
        ),
        _ => CheckResult::Ok,
    })
}

fn not_refreshable(facts: &UserFacts) -> CheckResult {
    if_active(facts, || match &facts.login.state {
        LoginFileState::NotRefreshable(login) => {
            let why = login.why;
            let cause =
                format!("the login is valid until its access token expires, and cannot be backed up: {why}");
            CheckResult::from_findings([Finding::warning(cause, sign_in(facts))])
        }
        _ => CheckResult::Ok,
    })
}

fn unreadable(facts: &UserFacts) -> CheckResult {
    match &facts.login.state {
        // Owner and mode have separate checks.
        LoginFileState::Unreadable(why) if !facts.has_foreign_entries() && facts.login.obstacle.is_none() => {
            let cause = format!("the login file is not managed: {why}");
            CheckResult::from_findings([Finding::problem(cause, move_aside_as_user(&facts.login.path))])
        }
        _ => CheckResult::Ok,
    }
}

fn obstructed(facts: &UserFacts) -> CheckResult {
    // Owner and mode have separate checks.
    let obstacle = facts.login.obstacle.as_ref().filter(|found| found.kind != ObstacleKind::NoPermission);
    CheckResult::from_findings(obstacle.map(|obstacle| {
        let path = match obstacle.kind {
            ObstacleKind::NoKey => obstacle.path.display().to_string(),
            _ => facts.login.path.clone(),
        };
        let cause = format!("{path} cannot be replaced, because {}", obstacle.kind.cause());
        let directory = Path::new(&facts.login.path).parent().unwrap_or(Path::new("/"));
        let remedy = match obstacle.kind {
            ObstacleKind::Immutable => {
                as_root(&["chattr", "-ia", &directory.to_string_lossy(), &facts.login.path])
            }
            ObstacleKind::MountPoint => as_root(&["umount", &facts.login.path]),
            _ => Remedy::Text(obstacle.remedy()),
        };
        Finding::problem(cause, remedy)
    }))
}

fn rejected(facts: &UserFacts) -> CheckResult {
    if_active(facts, || {
        let cause = match (facts.login.state.login(), facts.login.generation_state) {
            _ if facts.login.unrefreshed_token.is_some_and(|(_, is_rejected)| is_rejected) => {
                "the Anthropic API rejected this login when it was last verified"
            }
            (Some(_), Some(GenerationState::Rejected)) => {
                "the Anthropic API rejected this login when it was last verified"
            }
            (Some(login), Some(GenerationState::Superseded)) if !is_fresh(facts, login) => {
                "the login is superseded: its refresh token was already used"
            }
            _ => return CheckResult::Ok,
        };
        CheckResult::from_findings([Finding::problem(cause, sign_in(facts))])
    })
}

fn is_fresh(facts: &UserFacts, login: &LoginSummary) -> bool {
    cas_core::credential::login_file::is_fresh(login.expires_at, facts.now)
}

fn expires(facts: &UserFacts) -> CheckResult {
    if_active(facts, || {
        let of_login = facts.login.state.login().and_then(Expiry::for_login);
        let expiry = of_login.or(facts.login.unrefreshed_token.map(|(expiry, _)| expiry));
        let warning =
            expiry.and_then(|expiry| ExpiryWarning::check(facts.now, CredentialKind::Login, expiry));
        CheckResult::from_findings(warning.map(|warning| {
            let cause = format!("the login {}", warning.describe());
            match warning.stage() {
                WarningStage::Expired => Finding::problem(cause, sign_in(facts)),
                _ => Finding::warning(cause, sign_in(facts)),
            }
        }))
    })
}

fn organization(facts: &UserFacts) -> CheckResult {
    if_active(facts, || {
        let found = facts.login.state.login().and_then(|login| login.owner.organization.as_deref());
        match (&facts.login.expected_organization, found) {
            (None, _) => CheckResult::NotApplicable("the configuration sets no expected_organization".into()),
            (Some(expected), Some(found)) if expected != found => {
                let cause = format!(
                    "the login belongs to the organization {found}, not {expected}: it is never backed up"
                );
                CheckResult::from_findings([Finding::problem(cause, Remedy::User(SWITCH.into()))])
            }
            _ => CheckResult::Ok,
        }
    })
}

fn state_files(facts: &UserFacts) -> CheckResult {
    CheckResult::from_findings(facts.login.unreadable_state.iter().map(|(path, why)| {
        let cause = format!("backups cannot be restored: {why}");
        Finding::problem(cause, move_aside_as_user(path))
    }))
}

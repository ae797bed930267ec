//! The env file, the client and running processes.

use cas_core::credential::expiry::CredentialKind;
use cas_core::credential::expiry_warning::{ExpiryWarning, WarningStage};

use super::super::check::{Check, CheckResult, Finding, Fix, Remedy, as_user, move_aside_as_user};
use super::super::facts::{Client, EnvFile, Onboarding, UserFacts};
use crate::processes::RestartHint;

pub(super) const CHECKS: [Check<UserFacts>; 8] = [
    Check::new("env-file-malformed", "the env file is missing or holds one token", malformed),
    Check::new("env-file-unusable", "the env file is missing or a regular file of the user", unusable),
    Check::new("setup-token-expires", "the setup token does not expire within 30 days", expires),
    Check::new("claude-missing", "Claude Code is installed", missing),
    Check::new("claude-too-old", "Claude Code reports refusals", too_old),
    Check::new("claude-json-unusable", "Claude Code can use ~/.claude.json", state_file),
    Check::new("onboarding-pending", "Claude Code has completed its first start", onboarding),
    Check::new("old-session", "no process holds an old setup token", sessions),
];

fn malformed(facts: &UserFacts) -> CheckResult {
    match &facts.env_file {
        EnvFile::Malformed { path, why } => {
            let cause = format!("the setup token in {path} is not used: {why}");
            CheckResult::from_findings([Finding::problem(cause, move_aside_as_user(path))])
        }
        _ => CheckResult::Ok,
    }
}

fn unusable(facts: &UserFacts) -> CheckResult {
    match &facts.env_file {
        EnvFile::Unusable { path, why } if !facts.has_foreign_entries() => {
            let cause = format!("the setup token is not used: {why}");
            CheckResult::from_findings([Finding::problem(cause, move_aside_as_user(path))])
        }
        _ => CheckResult::Ok,
    }
}

/// An estimated expiry is a warning: the token may be valid for longer.
fn expires(facts: &UserFacts) -> CheckResult {
    let EnvFile::Token { expiry } = facts.env_file else {
        return CheckResult::NotApplicable("there is no setup token".into());
    };
    let warning =
        expiry.and_then(|expiry| ExpiryWarning::check(facts.now, CredentialKind::SetupToken, expiry));
    CheckResult::from_findings(warning.map(|warning| {
        let cause = format!(
            "the setup token {}; create a new one with `claude setup-token`, then enter it here",
            warning.describe()
        );
        let remedy = Remedy::User("cas-sync token set".into());
        match warning.stage() {
            WarningStage::Expired if !warning.expiry.is_estimated() => Finding::problem(cause, remedy),
            _ => Finding::warning(cause, remedy),
        }
    }))
}

fn missing(facts: &UserFacts) -> CheckResult {
    match facts.client {
        Client::VerifyDisabled => {
            CheckResult::NotApplicable("the configuration disables verification".into())
        }
        Client::Missing(why) => CheckResult::from_findings([Finding::problem(
            format!("cannot verify or refresh logins in the background: {why}"),
            Remedy::Root("npm install --global @anthropic-ai/claude-code".into()),
        )]),
        Client::Found { .. } | Client::NotStarted => CheckResult::Ok,
    }
}

fn too_old(facts: &UserFacts) -> CheckResult {
    match &facts.client {
        Client::VerifyDisabled => {
            CheckResult::NotApplicable("the configuration disables verification".into())
        }
        Client::Missing(_) => CheckResult::Unknown("Claude Code was not found".into()),
        Client::NotStarted => CheckResult::Unknown(
            "root does not start the user's programs; the user's own `cas-sync doctor` checks it".into(),
        ),
        Client::Found { is_new_enough: true, .. } => CheckResult::Ok,
        Client::Found { path, version, .. } => {
            let version = version.as_deref().unwrap_or("an unknown version");
            let cause = format!(
                "{path} is {version} and cannot distinguish a refusal from a proxy's page; 2.1.324 and later can"
            );
            CheckResult::from_findings([Finding::warning(cause, Remedy::User("claude update".into()))])
        }
    }
}

/// No shell command can change the client's file under the client's lock, so the remedy is `--fix`.
/// A file of another user is another finding.
fn state_file(facts: &UserFacts) -> CheckResult {
    CheckResult::from_findings(facts.state_problem.iter().filter(|_| !facts.has_foreign_entries()).map(
        |problem| {
            let words = problem.remedy();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            Finding::problem(problem.cause(), as_user(&words))
        },
    ))
}

fn onboarding(facts: &UserFacts) -> CheckResult {
    match &facts.onboarding {
        Onboarding::Done => CheckResult::Ok,
        Onboarding::Unknown(why) => CheckResult::Unknown(why.clone()),
        Onboarding::Pending => {
            let cause =
                "Claude Code shows its first start instead of a prompt, although there is a credential";
            let remedy = Remedy::User("cas-sync doctor --fix".into());
            let has_token = matches!(facts.env_file, EnvFile::Token { .. });
            let has_credential = has_token || facts.login.state.login().is_some();
            CheckResult::from_findings(
                has_credential.then(|| Finding::warning(cause, remedy).with_fix(Fix::Onboarding)),
            )
        }
    }
}

fn sessions(facts: &UserFacts) -> CheckResult {
    let old = facts.sessions.iter().filter(|session| session.holds.is_old());
    CheckResult::from_findings(old.map(|session| {
        let cause = format!(
            "process {} ({}) holds a setup token that is not active any more",
            session.pid, session.name
        );
        Finding::warning(
            cause,
            match &session.restart {
                RestartHint::User(command) => Remedy::User(command.clone()),
                RestartHint::Text(what) => Remedy::Text(what.clone()),
            },
        )
    }))
}

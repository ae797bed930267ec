//! The setup-token's file, the client, and what runs already.

use cas_core::credential::expiry::CredentialKind;
use cas_core::credential::expiry_warning::{ExpiryWarning, WarningStage};

use super::super::check::{Check, CheckResult, Finding, Fix, Remedy, move_aside_as_user};
use super::super::facts::{Client, EnvFile, Onboarding, PersonFacts};
use crate::processes::RestartHint;

pub(super) const CHECKS: [Check<PersonFacts>; 7] = [
    Check { id: "env-file-malformed", looks_at: "does the env file hold one token", judge: malformed },
    Check { id: "env-file-unusable", looks_at: "is the env file the person's own", judge: unusable },
    Check { id: "setup-token-lapses", looks_at: "when the setup-token lapses", judge: lapses },
    Check { id: "claude-missing", looks_at: "is there a claude to verify with", judge: missing },
    Check { id: "claude-too-old", looks_at: "can that claude tell a refusal", judge: too_old },
    Check {
        id: "onboarding-pending",
        looks_at: "does claude still ask the questions of its first start",
        judge: onboarding,
    },
    Check {
        id: "old-session",
        looks_at: "processes with a token that is not in use any more",
        judge: sessions,
    },
];

fn malformed(facts: &PersonFacts) -> CheckResult {
    match &facts.env_file {
        EnvFile::Malformed { path, why } => {
            let cause = format!("the setup-token in {path} is not used: {why}");
            CheckResult::of([Finding::problem(cause, move_aside_as_user(path))])
        }
        _ => CheckResult::Ok,
    }
}

fn unusable(facts: &PersonFacts) -> CheckResult {
    match &facts.env_file {
        EnvFile::Unusable { path, why } if !facts.has_foreign_entries() => {
            let cause = format!("the setup-token is not used: {why}");
            CheckResult::of([Finding::problem(cause, move_aside_as_user(path))])
        }
        _ => CheckResult::Ok,
    }
}

/// One whose end is only reckoned may work for longer; whether it does, the server says.
fn lapses(facts: &PersonFacts) -> CheckResult {
    let EnvFile::Token { lapse } = facts.env_file else {
        return CheckResult::NotApplicable("there is no setup-token".into());
    };
    let lapsing = lapse.and_then(|lapse| ExpiryWarning::check(facts.now, CredentialKind::SetupToken, lapse));
    CheckResult::of(lapsing.map(|lapsing| {
        let cause = format!(
            "the setup-token {}; `claude setup-token` makes a new one, and this asks for it",
            lapsing.describe()
        );
        let remedy = Remedy::Person("cas-sync token set".into());
        match lapsing.stage() {
            WarningStage::Expired if !lapsing.lapse.is_estimated() => Finding::problem(cause, remedy),
            _ => Finding::warning(cause, remedy),
        }
    }))
}

fn missing(facts: &PersonFacts) -> CheckResult {
    match facts.client {
        Client::NotWanted => CheckResult::NotApplicable("the configuration wants nothing verified".into()),
        Client::Missing(why) => CheckResult::of([Finding::problem(
            format!("no login can be verified or refreshed in the background: {why}"),
            Remedy::Root("npm install --global @anthropic-ai/claude-code".into()),
        )]),
        Client::Found { .. } | Client::NotStarted => CheckResult::Ok,
    }
}

fn too_old(facts: &PersonFacts) -> CheckResult {
    match &facts.client {
        Client::NotWanted => CheckResult::NotApplicable("the configuration wants nothing verified".into()),
        Client::Missing(_) => CheckResult::Unknown("there is no claude".into()),
        Client::NotStarted => {
            CheckResult::Unknown("root starts nobody's program: the person's own doctor says".into())
        }
        Client::Found { is_new_enough: true, .. } => CheckResult::Ok,
        Client::Found { path, version, .. } => {
            let version = version.as_deref().unwrap_or("no version that it would tell");
            let cause = format!(
                "{path} is {version}: it cannot tell a refusal from a proxy's page (2.1.324 and later can)"
            );
            CheckResult::of([Finding::warning(cause, Remedy::Person("claude update".into()))])
        }
    }
}

/// The client's own file is changed by us alone, under the client's lock: no command line of a shell's takes that.
fn onboarding(facts: &PersonFacts) -> CheckResult {
    match &facts.onboarding {
        Onboarding::Done => CheckResult::Ok,
        Onboarding::Unknown(why) => CheckResult::Unknown(why.clone()),
        Onboarding::Pending => {
            let cause =
                "claude begins with its first start instead of a prompt, although there is a credential";
            let remedy = Remedy::Person("cas-sync doctor --fix".into());
            let has_token = matches!(facts.env_file, EnvFile::Token { .. });
            let has_credential = has_token || facts.login.state.login().is_some();
            CheckResult::of(has_credential.then(|| Finding::warning(cause, remedy).with_fix(Fix::Onboarding)))
        }
    }
}

fn sessions(facts: &PersonFacts) -> CheckResult {
    let old = facts.sessions.iter().filter(|session| session.holds.is_old());
    CheckResult::of(old.map(|session| {
        let cause = format!(
            "process {} ({}) holds a setup-token that is not in use any more",
            session.pid, session.name
        );
        Finding::warning(
            cause,
            match &session.restart {
                RestartHint::Person(command) => Remedy::Person(command.clone()),
                RestartHint::Words(what) => Remedy::Text(what.clone()),
            },
        )
    }))
}

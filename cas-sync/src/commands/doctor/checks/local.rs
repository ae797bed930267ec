//! The setup-token's file, the client, and what runs already.

use cas_core::credential::expiry::Kind;
use cas_core::credential::expiry_warning::{Lapsing, Stage};

use super::super::check::{Check, Finding, Fix, Judgement, Remedy, aside_by_person};
use super::super::facts::{Client, EnvFile, Onboarding, PersonFacts};
use crate::commands::sessions::Restart;

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

fn malformed(facts: &PersonFacts) -> Judgement {
    match &facts.env_file {
        EnvFile::Malformed { path, why } => {
            let cause = format!("the setup-token in {path} is not used: {why}");
            Judgement::of([Finding::problem(cause, aside_by_person(path))])
        }
        _ => Judgement::Fine,
    }
}

fn unusable(facts: &PersonFacts) -> Judgement {
    match &facts.env_file {
        EnvFile::Unusable { path, why } if !facts.has_foreign_entries() => {
            let cause = format!("the setup-token is not used: {why}");
            Judgement::of([Finding::problem(cause, aside_by_person(path))])
        }
        _ => Judgement::Fine,
    }
}

/// One whose end is only reckoned may work for longer; whether it does, the server says.
fn lapses(facts: &PersonFacts) -> Judgement {
    let EnvFile::Token { lapse } = facts.env_file else {
        return Judgement::Idle("there is no setup-token".into());
    };
    let lapsing = lapse.and_then(|lapse| Lapsing::at(facts.now, Kind::SetupToken, lapse));
    Judgement::of(lapsing.map(|lapsing| {
        let cause = format!(
            "the setup-token {}; `claude setup-token` makes a new one, and this asks for it",
            lapsing.when()
        );
        let remedy = Remedy::Person("cas-sync token set".into());
        match lapsing.stage() {
            Stage::Passed if !lapsing.lapse.is_estimated() => Finding::problem(cause, remedy),
            _ => Finding::warning(cause, remedy),
        }
    }))
}

fn missing(facts: &PersonFacts) -> Judgement {
    match facts.client {
        Client::NotWanted => Judgement::Idle("the configuration wants nothing verified".into()),
        Client::Missing(why) => Judgement::of([Finding::problem(
            format!("no login can be verified or refreshed in the background: {why}"),
            Remedy::Root("npm install --global @anthropic-ai/claude-code".into()),
        )]),
        Client::Found { .. } | Client::NotStarted => Judgement::Fine,
    }
}

fn too_old(facts: &PersonFacts) -> Judgement {
    match &facts.client {
        Client::NotWanted => Judgement::Idle("the configuration wants nothing verified".into()),
        Client::Missing(_) => Judgement::Unknown("there is no claude".into()),
        Client::NotStarted => {
            Judgement::Unknown("root starts nobody's program: the person's own doctor says".into())
        }
        Client::Found { is_new_enough: true, .. } => Judgement::Fine,
        Client::Found { path, version, .. } => {
            let version = version.as_deref().unwrap_or("no version that it would tell");
            let cause = format!(
                "{path} is {version}: it cannot tell a refusal from a proxy's page (2.1.324 and later can)"
            );
            Judgement::of([Finding::warning(cause, Remedy::Person("claude update".into()))])
        }
    }
}

/// The client's own file is changed by us alone, under the client's lock: no command line of a shell's takes that.
fn onboarding(facts: &PersonFacts) -> Judgement {
    match &facts.onboarding {
        Onboarding::Done => Judgement::Fine,
        Onboarding::Unknown(why) => Judgement::Unknown(why.clone()),
        Onboarding::Pending => {
            let cause =
                "claude begins with its first start instead of a prompt, although there is a credential";
            let remedy = Remedy::Person("cas-sync doctor --fix".into());
            let has_token = matches!(facts.env_file, EnvFile::Token { .. });
            let has_credential = has_token || facts.login.state.login().is_some();
            Judgement::of(has_credential.then(|| Finding::warning(cause, remedy).with_fix(Fix::Onboarding)))
        }
    }
}

fn sessions(facts: &PersonFacts) -> Judgement {
    let old = facts.sessions.iter().filter(|session| session.holds.is_old());
    Judgement::of(old.map(|session| {
        let cause = format!(
            "process {} ({}) holds a setup-token that is not in use any more",
            session.pid, session.name
        );
        Finding::warning(
            cause,
            match &session.restart {
                Restart::Person(command) => Remedy::Person(command.clone()),
                Restart::Words(what) => Remedy::Words(what.clone()),
            },
        )
    }))
}

//! The configuration, Vault and the document of the user.

use std::time::Duration;

use cas_core::time::format;

use super::super::check::{Check, CheckResult, Finding, Remedy, command};
use super::super::facts::{Content, StoreFacts, UserFacts, Vault, VaultFailure};
use crate::os::shell_quote::shell_quote;

pub(super) const CHECKS: [Check<UserFacts>; 12] = [
    Check::new("configuration-invalid", "the configuration is valid", invalid),
    Check::new("configuration-unknown-key", "the configuration has no unknown keys", unknown_key),
    Check::new("store-misconfigured", "the Vault settings are valid", misconfigured),
    Check::new("store-sealed", "Vault is unsealed", sealed),
    Check::new("store-busy", "Vault serves requests", busy),
    Check::new("store-untrusted", "Vault's certificate is trusted", untrusted),
    Check::new("store-unreachable", "Vault answers", unreachable),
    Check::new("store-denied", "Vault allows to read the document", denied),
    Check::new("document-deleted", "the document exists or was never written", deleted),
    Check::new("document-offboarded", "the document is not marked as offboarded", offboarded),
    Check::new(
        "document-organization",
        "the stored login belongs to the expected organization",
        organization,
    ),
    Check::new("clock-skew", "this machine's clock and Vault's agree", clock),
];

const CONFIG_DIR: &str = "/etc/claude-auth-sync";

/// A larger difference makes valid tokens look expired, or expired tokens look valid (seconds).
const MAX_CLOCK_DIFFERENCE: i64 = 120;

/// Evaluates the facts about Vault, if it is configured.
pub(super) fn with_vault(store: &StoreFacts, evaluate: impl Fn(&Vault) -> CheckResult) -> CheckResult {
    match (&store.vault, &store.config_error) {
        (Some(vault), _) => evaluate(vault),
        (None, Some(_)) => CheckResult::Unknown("the configuration is invalid".into()),
        (None, None) => CheckResult::NotApplicable("no Vault server is configured".into()),
    }
}

fn edit(path: &str) -> Remedy {
    Remedy::Root(format!("editor {path}"))
}

fn invalid(facts: &UserFacts) -> CheckResult {
    CheckResult::from_findings(facts.store.config_error.iter().map(|why| {
        let path = why.split_once(": ").map(|(path, _)| path).filter(|path| path.starts_with('/'));
        let path = path.and_then(shell_quote).unwrap_or_else(|| format!("{CONFIG_DIR}/config.toml"));
        Finding::problem(format!("syncs cannot run: {why}"), edit(&path))
    }))
}

/// The command turns the line into a comment; an unknown key has no effect anyway.
fn unknown_key(facts: &UserFacts) -> CheckResult {
    CheckResult::from_findings(facts.store.unknown_keys.iter().map(|unknown| {
        let name = unknown.key.rsplit('.').next().unwrap_or_default();
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let remedy = shell_quote(&unknown.path).filter(|_| is_plain && !name.is_empty()).map(|path| {
            format!(r#"sed --follow-symlinks -i 's/^[[:space:]]*"\{{0,1\}}{name}"\{{0,1\}}[[:space:]]*=/# &/' {path}"#)
        });
        let remedy = remedy.map_or_else(|| Remedy::Text(format!("remove it from {}", unknown.path)), Remedy::Root);
        Finding::warning(unknown.warning.clone(), remedy)
    }))
}

fn on_failure(facts: &UserFacts, finding: impl Fn(&Vault, &VaultFailure) -> Option<Finding>) -> CheckResult {
    with_vault(&facts.store, |vault| {
        CheckResult::from_findings(vault.failure.as_ref().and_then(|failure| finding(vault, failure)))
    })
}

fn misconfigured(facts: &UserFacts) -> CheckResult {
    on_failure(facts, |_, failure| match failure {
        VaultFailure::Misconfigured(why) => Some(Finding::problem(
            format!("cannot connect to Vault: {why}"),
            edit(&format!("{CONFIG_DIR}/config.toml")),
        )),
        _ => None,
    })
}

fn sealed(facts: &UserFacts) -> CheckResult {
    on_failure(facts, |vault, failure| match failure {
        VaultFailure::Sealed(why) => {
            let remedy = Remedy::Text(format!(
                "a holder of the unseal keys runs: bao operator unseal -address={}",
                vault.url
            ));
            Some(Finding::problem(format!("Vault is sealed: {why}"), remedy))
        }
        _ => None,
    })
}

fn busy(facts: &UserFacts) -> CheckResult {
    on_failure(facts, |_, failure| match failure {
        VaultFailure::Busy(why) => {
            let remedy = Remedy::Text(
                "wait for the next sync, which tries again; if it persists, ask the operator of Vault".into(),
            );
            Some(Finding::warning(format!("Vault answers but does not serve requests: {why}"), remedy))
        }
        _ => None,
    })
}

fn untrusted(facts: &UserFacts) -> CheckResult {
    on_failure(facts, |_, failure| match failure {
        VaultFailure::Untrusted(why) => {
            let what = "install the certificate of Vault's CA at the path vault.ca_cert of /etc/claude-auth-sync/config.toml";
            Some(Finding::problem(
                format!("Vault's certificate is not trusted: {why}"),
                Remedy::Text(what.into()),
            ))
        }
        _ => None,
    })
}

fn unreachable(facts: &UserFacts) -> CheckResult {
    on_failure(facts, |vault, failure| match failure {
        VaultFailure::Unreachable(why) => {
            let url = format!("{}/v1/sys/health", vault.url);
            let test = command(&["curl", "--silent", "--show-error", &url]).unwrap_or(url);
            let what =
                format!("test the connection: {test}; if Vault answers, check vault.address and vault.proxy");
            Some(Finding::problem(why.clone(), Remedy::Text(what)))
        }
        _ => None,
    })
}

fn denied(facts: &UserFacts) -> CheckResult {
    on_failure(facts, |_, failure| match failure {
        VaultFailure::Refused(why) => {
            let what = "an administrator checks mount, namespace and policy".to_owned();
            Some(Finding::problem(why.clone(), Remedy::Text(what)))
        }
        _ => None,
    })
}

fn deleted(facts: &UserFacts) -> CheckResult {
    with_vault(&facts.store, |vault| {
        let path = format!("{}/{}", vault.mount, vault.document);
        match vault.content {
            Content::Deleted { version } => {
                let versions = format!("-versions={version}");
                let mount = format!("-mount={}", vault.mount);
                let undelete = command(&["bao", "kv", "undelete", &mount, &versions, &vault.document]);
                let remedy = undelete.map_or_else(Remedy::Text, Remedy::Vault);
                CheckResult::from_findings([Finding::problem(
                    format!("version {version} of {path} was deleted: logins are not backed up or restored"),
                    remedy,
                )])
            }
            Content::Destroyed { version } => CheckResult::from_findings([Finding::problem(
                format!("version {version} of {path} was destroyed: logins are not backed up or restored"),
                Remedy::Text(format!(
                    "an administrator writes a new version with the fields of other tools: bao kv put {path} FIELD=VALUE"
                )),
            )]),
            Content::NotRead => CheckResult::Unknown("the document was not read".into()),
            Content::Read { .. } | Content::Offboarded => CheckResult::Ok,
        }
    })
}

fn offboarded(facts: &UserFacts) -> CheckResult {
    with_vault(&facts.store, |vault| match &vault.content {
        Content::Offboarded => {
            let adopt = command(&["cas-sync", "provision", "--adopt", &facts.user]);
            CheckResult::from_findings([Finding::problem(
                format!(
                    "{}/{} is marked as offboarded, so nothing is read from or written to the store; if the user is back",
                    vault.mount, vault.document
                ),
                adopt.map_or_else(Remedy::Text, Remedy::Root),
            )])
        }
        Content::NotRead => CheckResult::Unknown("the document was not read".into()),
        _ => CheckResult::Ok,
    })
}

fn organization(facts: &UserFacts) -> CheckResult {
    with_vault(&facts.store, |vault| match (&facts.login.expected_organization, &vault.content) {
        (None, _) => CheckResult::NotApplicable("the configuration sets no expected_organization".into()),
        (Some(expected), Content::Read { organization: Some(found) }) if expected != found => {
            let cause = format!(
                "the login in the store belongs to the organization {found}, not {expected}: it is never restored"
            );
            CheckResult::from_findings([Finding::warning(cause, Remedy::User("cas-sync login".into()))])
        }
        (_, Content::Read { .. }) => CheckResult::Ok,
        _ => CheckResult::Unknown("the document was not read".into()),
    })
}

fn clock(facts: &UserFacts) -> CheckResult {
    with_vault(&facts.store, |vault| match vault.clock_ahead {
        None => CheckResult::Unknown("Vault sent no time".into()),
        Some(ahead) if ahead.abs() <= MAX_CLOCK_DIFFERENCE => CheckResult::Ok,
        Some(ahead) => {
            let which = if ahead > 0 { "ahead of" } else { "behind" };
            let difference = format::format_duration(Duration::from_secs(ahead.unsigned_abs()));
            let cause = format!(
                "this machine's clock is {difference} {which} Vault's clock: expiry times of tokens are wrong"
            );
            CheckResult::from_findings([Finding::problem(
                cause,
                Remedy::Root("timedatectl set-ntp true".into()),
            )])
        }
    })
}

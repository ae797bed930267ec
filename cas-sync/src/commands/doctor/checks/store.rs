//! The configuration, the server, and the document in it.

use std::time::Duration;

use cas_core::time::format;

use super::super::check::{Check, CheckResult, Finding, Remedy, command};
use super::super::facts::{Content, PersonFacts, Silence, Store, Vault};
use crate::os::shell_quote::shell_quote;

pub(super) const CHECKS: [Check<PersonFacts>; 11] = [
    Check { id: "configuration-broken", looks_at: "can the configuration be used", judge: broken },
    Check { id: "configuration-key", looks_at: "does it have keys that nobody knows", judge: unknown_key },
    Check {
        id: "store-misconfigured",
        looks_at: "do the settings name a usable server",
        judge: misconfigured,
    },
    Check { id: "store-sealed", looks_at: "is the server unsealed", judge: sealed },
    Check { id: "store-busy", looks_at: "does the server do its work", judge: busy },
    Check { id: "store-untrusted", looks_at: "is the server's certificate believed", judge: untrusted },
    Check { id: "store-unreachable", looks_at: "does the server answer", judge: unreachable },
    Check { id: "store-refuses", looks_at: "does the server let the document be read", judge: refuses },
    Check { id: "document-deleted", looks_at: "was the document deleted or destroyed", judge: deleted },
    Check {
        id: "document-organization",
        looks_at: "is the stored login of the expected organisation",
        judge: organization,
    },
    Check { id: "clock-off", looks_at: "do this machine's clock and the server's agree", judge: clock },
];

const CONFIGURATION: &str = "/etc/claude-auth-sync";

/// A clock that is off by more makes fresh tokens look stale, or the other way round (seconds).
const TOLERATED: i64 = 120;

/// Judges what the server has to do with it.
pub(super) fn at_server(store: &Store, judge: impl Fn(&Vault) -> CheckResult) -> CheckResult {
    match (&store.vault, &store.broken) {
        (Some(vault), _) => judge(vault),
        (None, Some(_)) => CheckResult::Unknown("the configuration cannot be used".into()),
        (None, None) => CheckResult::NotApplicable("no server is configured".into()),
    }
}

fn edit(path: &str) -> Remedy {
    Remedy::Root(format!("editor {path}"))
}

fn broken(facts: &PersonFacts) -> CheckResult {
    CheckResult::of(facts.store.broken.iter().map(|why| {
        let path = why.split_once(": ").map(|(path, _)| path).filter(|path| path.starts_with('/'));
        let path = path.and_then(shell_quote).unwrap_or_else(|| format!("{CONFIGURATION}/config.toml"));
        Finding::problem(format!("no sync can run: {why}"), edit(&path))
    }))
}

/// The line becomes a comment: that is what it is as good as.
fn unknown_key(facts: &PersonFacts) -> CheckResult {
    CheckResult::of(facts.store.unknown_keys.iter().map(|unknown| {
        let name = unknown.key.rsplit('.').next().unwrap_or_default();
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let remedy = shell_quote(&unknown.path).filter(|_| is_plain && !name.is_empty()).map(|path| {
            format!(r#"sed --follow-symlinks -i 's/^[[:space:]]*"\{{0,1\}}{name}"\{{0,1\}}[[:space:]]*=/# &/' {path}"#)
        });
        let remedy = remedy.map_or_else(|| Remedy::Text(format!("take it out of {}", unknown.path)), Remedy::Root);
        Finding::warning(unknown.said.clone(), remedy)
    }))
}

fn silent(facts: &PersonFacts, finding: impl Fn(&Vault, &Silence) -> Option<Finding>) -> CheckResult {
    at_server(&facts.store, |vault| {
        CheckResult::of(vault.silence.as_ref().and_then(|silence| finding(vault, silence)))
    })
}

fn misconfigured(facts: &PersonFacts) -> CheckResult {
    silent(facts, |_, silence| match silence {
        Silence::Misconfigured(why) => Some(Finding::problem(
            format!("no server can be asked: {why}"),
            edit(&format!("{CONFIGURATION}/config.toml")),
        )),
        _ => None,
    })
}

fn sealed(facts: &PersonFacts) -> CheckResult {
    silent(facts, |vault, silence| match silence {
        Silence::Sealed(why) => {
            let remedy = Remedy::Text(format!(
                "whoever holds its keys: bao operator unseal -address={}",
                vault.address
            ));
            Some(Finding::problem(format!("the server is sealed: {why}"), remedy))
        }
        _ => None,
    })
}

fn busy(facts: &PersonFacts) -> CheckResult {
    silent(facts, |_, silence| match silence {
        Silence::Busy(why) => {
            let remedy = Remedy::Text(
                "wait: it is asked again by the next sync; if this lasts, tell whoever runs it".into(),
            );
            Some(Finding::warning(format!("the server is there, but not now: {why}"), remedy))
        }
        _ => None,
    })
}

fn untrusted(facts: &PersonFacts) -> CheckResult {
    silent(facts, |_, silence| match silence {
        Silence::Untrusted(why) => {
            let what = "put the certificate of the server's CA where vault.ca_cert in /etc/claude-auth-sync/config.toml points";
            Some(Finding::problem(format!("the server cannot be believed: {why}"), Remedy::Text(what.into())))
        }
        _ => None,
    })
}

fn unreachable(facts: &PersonFacts) -> CheckResult {
    silent(facts, |vault, silence| match silence {
        Silence::Unreachable(why) => {
            let url = format!("{}/v1/sys/health", vault.address);
            let look = command(&["curl", "--silent", "--show-error", &url]).unwrap_or(url);
            let what = format!(
                "see whether it answers at all: {look}; if it does, check vault.address and vault.proxy"
            );
            Some(Finding::problem(why.clone(), Remedy::Text(what)))
        }
        _ => None,
    })
}

fn refuses(facts: &PersonFacts) -> CheckResult {
    silent(facts, |_, silence| match silence {
        Silence::Refused(why) => {
            let what = "an admin looks at the mount, the namespace and the policy".to_owned();
            Some(Finding::problem(why.clone(), Remedy::Text(what)))
        }
        _ => None,
    })
}

fn deleted(facts: &PersonFacts) -> CheckResult {
    at_server(&facts.store, |vault| {
        let place = format!("{}/{}", vault.mount, vault.document);
        match vault.content {
            Content::Deleted { version } => {
                let versions = format!("-versions={version}");
                let mount = format!("-mount={}", vault.mount);
                let undelete = command(&["bao", "kv", "undelete", &mount, &versions, &vault.document]);
                let remedy = undelete.map_or_else(Remedy::Text, Remedy::Server);
                CheckResult::of([Finding::problem(
                    format!(
                        "version {version} of {place} was deleted, so nothing is read from or written to the store"
                    ),
                    remedy,
                )])
            }
            Content::Destroyed { version } => CheckResult::of([Finding::problem(
                format!(
                    "version {version} of {place} was destroyed, so nothing is read from or written to the store"
                ),
                Remedy::Text(format!(
                    "an admin writes a new version: `bao kv put {place}` with what other tools keep there"
                )),
            )]),
            Content::NotRead => CheckResult::Unknown("the document was not read".into()),
            Content::Read { .. } => CheckResult::Ok,
        }
    })
}

fn organization(facts: &PersonFacts) -> CheckResult {
    at_server(&facts.store, |vault| match (&facts.login.expected_organization, &vault.content) {
        (None, _) => CheckResult::NotApplicable("no organisation is expected by the configuration".into()),
        (Some(expected), Content::Read { organization: Some(found) }) if expected != found => {
            let cause = format!(
                "the login in the store is of the organisation {found}, not of {expected}: it is never put back"
            );
            CheckResult::of([Finding::warning(cause, Remedy::Person("cas-sync login".into()))])
        }
        (_, Content::Read { .. }) => CheckResult::Ok,
        _ => CheckResult::Unknown("the document was not read".into()),
    })
}

fn clock(facts: &PersonFacts) -> CheckResult {
    at_server(&facts.store, |vault| match vault.clock_ahead {
        None => CheckResult::Unknown("the server did not say what time it is".into()),
        Some(ahead) if ahead.abs() <= TOLERATED => CheckResult::Ok,
        Some(ahead) => {
            let which = if ahead > 0 { "ahead of" } else { "behind" };
            let off = format::format_duration(Duration::from_secs(ahead.unsigned_abs()));
            let cause = format!(
                "this machine's clock is {off} {which} the store's, or that one is wrong: tokens seem to end at other times"
            );
            CheckResult::of([Finding::problem(cause, Remedy::Root("timedatectl set-ntp true".into()))])
        }
    })
}

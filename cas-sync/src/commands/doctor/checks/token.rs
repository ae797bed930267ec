//! The user's Vault token.

use std::time::Duration;

use super::super::check::{Check, CheckResult, Finding, Fix, Remedy, as_user, command};
use super::super::facts::{TokenFacts, TokenFile, UserFacts, Vault};
use super::store::with_vault;

pub(super) const CHECKS: [Check<UserFacts>; 9] = [
    Check::new("vault-token-missing", "there is a Vault token", missing),
    Check::new("vault-token-mode", "other users cannot read the Vault token", mode),
    Check::new("vault-token-unusable", "the file of the Vault token holds one token", unusable),
    Check::new("vault-token-rejected", "Vault knows the token", rejected),
    Check::new("vault-token-foreign", "the Vault token belongs to the user", foreign),
    Check::new("vault-token-expires", "the Vault token does not expire within a week", expires),
    Check::new("vault-token-not-renewable", "the Vault token can be renewed", not_renewable),
    Check::new("vault-policy-too-narrow", "the policy allows what a sync does", too_narrow),
    Check::new("vault-policy-too-broad", "the policy allows nothing else", too_broad),
];

/// A renewal extends a correctly minted token far beyond this.
const MIN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Returns the command of an administrator. `VAULT_TOKEN` must hold an administrator's token.
fn provision(facts: &UserFacts, flags: &[&str]) -> Remedy {
    let words = [&["cas-sync", "provision", "--user", facts.user.as_str()], flags].concat();
    command(&words).map_or_else(Remedy::Text, Remedy::Root)
}

fn missing(facts: &UserFacts) -> CheckResult {
    with_vault(&facts.store, |vault| {
        CheckResult::from_findings((vault.token_file == TokenFile::Missing).then(|| {
            let cause = "there is no Vault token: logins are not backed up or restored";
            Finding::problem(cause, provision(facts, &[]))
        }))
    })
}

fn mode(facts: &UserFacts) -> CheckResult {
    with_vault(&facts.store, |vault| match &vault.token_file {
        TokenFile::Open { path, why } => CheckResult::from_findings([Finding::problem(
            format!("{why}: the token is not used, and other users may know it"),
            as_user(&["chmod", "600", path]),
        )
        .with_fix(Fix::Mode { path: path.clone(), mode: 0o600 })]),
        _ => CheckResult::Ok,
    })
}

fn unusable(facts: &UserFacts) -> CheckResult {
    with_vault(&facts.store, |vault| match &vault.token_file {
        TokenFile::Unusable { why, is_replaceable: true } => {
            CheckResult::from_findings([Finding::problem(why.clone(), provision(facts, &[]))])
        }
        TokenFile::Unusable { why, is_replaceable: false } => CheckResult::from_findings([Finding::problem(
            why.clone(),
            Remedy::Text("move the file aside, then provision the user again".into()),
        )]),
        _ => CheckResult::Ok,
    })
}

/// Evaluates the token, if Vault answered.
fn with_token(facts: &UserFacts, evaluate: impl Fn(&TokenFacts) -> CheckResult) -> CheckResult {
    with_vault(&facts.store, |vault: &Vault| match &vault.token {
        Some(token) => evaluate(token),
        None => CheckResult::Unknown("Vault did not describe the token".into()),
    })
}

fn rejected(facts: &UserFacts) -> CheckResult {
    with_token(facts, |token| match token {
        TokenFacts::Ended => CheckResult::from_findings([Finding::problem(
            "Vault does not know the token: it has expired or was revoked",
            provision(facts, &[]),
        )]),
        _ => CheckResult::Ok,
    })
}

fn foreign(facts: &UserFacts) -> CheckResult {
    with_token(facts, |token| match token {
        TokenFacts::Foreign(why) => {
            let cause = format!("the Vault token does not belong to {} and is not used: {why}", facts.user);
            CheckResult::from_findings([Finding::problem(cause, provision(facts, &[]))])
        }
        _ => CheckResult::Ok,
    })
}

fn expires(facts: &UserFacts) -> CheckResult {
    with_token(facts, |token| match token {
        TokenFacts::Own { expires_at: Some(at), never_renewed: None, .. }
            if *at <= facts.now.saturating_add(MIN_LIFETIME) =>
        {
            let cause = format!("the Vault token expires on {at}, and a renewal does not extend it");
            CheckResult::from_findings([Finding::warning(cause, provision(facts, &[]))])
        }
        _ => CheckResult::Ok,
    })
}

/// Provisioning keeps such a token until a week before its expiry, and replaces a missing one at
/// once.
fn not_renewable(facts: &UserFacts) -> CheckResult {
    with_vault(&facts.store, |vault| match &vault.token {
        None => CheckResult::Unknown("Vault did not describe the token".into()),
        Some(TokenFacts::Own { never_renewed: Some(why), expires_at, .. }) => {
            let end = expires_at.map(|at| format!(", and expires on {at}")).unwrap_or_default();
            let (path, aside) = (&vault.token_path, format!("{}.aside", vault.token_path));
            let aside =
                command(&["runuser", "-u", &facts.user, "--", "mv", "--backup=numbered", "-T", path, &aside]);
            let mint = command(&["cas-sync", "provision", "--user", &facts.user]);
            let remedy = match (aside, mint) {
                (Ok(aside), Ok(mint)) => {
                    Remedy::Root(format!("test -n \"$VAULT_TOKEN\" && {aside} && {mint}"))
                }
                (Err(why), _) | (_, Err(why)) => Remedy::Text(why),
            };
            CheckResult::from_findings([Finding::problem(
                format!("the Vault token cannot be renewed{end}: {why}"),
                remedy,
            )])
        }
        Some(_) => CheckResult::Ok,
    })
}

fn too_narrow(facts: &UserFacts) -> CheckResult {
    with_token(facts, |token| match token {
        TokenFacts::Own { has_required_access: Some(false), .. } => {
            CheckResult::from_findings([Finding::problem(
                "the policy of the Vault token does not allow reading or writing the document",
                provision(facts, &["--rewrite-policies"]),
            )])
        }
        TokenFacts::Own { has_required_access: None, .. } => {
            CheckResult::Unknown("Vault did not answer".into())
        }
        _ => CheckResult::Ok,
    })
}

fn too_broad(facts: &UserFacts) -> CheckResult {
    with_token(facts, |token| match token {
        TokenFacts::Own { excess_access, .. } if !excess_access.is_empty() => {
            let cause =
                format!("the policy of the Vault token allows too much: to {}", excess_access.join(", to "));
            CheckResult::from_findings([Finding::warning(cause, provision(facts, &["--rewrite-policies"]))])
        }
        _ => CheckResult::Ok,
    })
}

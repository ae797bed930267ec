//! The person's token at the server.

use std::time::Duration;

use super::super::check::{Check, CheckResult, Finding, Fix, Remedy, as_user, command};
use super::super::facts::{PersonFacts, Token, TokenFile, Vault};
use super::store::at_server;

pub(super) const CHECKS: [Check<PersonFacts>; 9] = [
    Check { id: "vault-token-missing", looks_at: "is there a token for the server", judge: missing },
    Check { id: "vault-token-open", looks_at: "can others read that token", judge: open },
    Check {
        id: "vault-token-unusable",
        looks_at: "does its file hold one token, the person's own",
        judge: unusable,
    },
    Check { id: "vault-token-ended", looks_at: "does the server know the token", judge: ended },
    Check { id: "vault-token-foreign", looks_at: "is the token this person's", judge: foreign },
    Check { id: "vault-token-ending", looks_at: "when the token ends", judge: ending },
    Check { id: "vault-token-unrenewable", looks_at: "can the token be renewed", judge: unrenewable },
    Check { id: "vault-policy-narrow", looks_at: "may the token do what a sync does", judge: narrow },
    Check { id: "vault-policy-wide", looks_at: "may the token do what it must not", judge: wide },
];

/// A renewal takes a token that was minted as it should be far beyond this.
const SOON: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What an admin does about each of them; `VAULT_TOKEN` has to hold an admin's token.
fn provision(facts: &PersonFacts, flags: &[&str]) -> Remedy {
    let words = [&["cas-sync", "provision", "--user", facts.user.as_str()], flags].concat();
    command(&words).map_or_else(Remedy::Text, Remedy::Root)
}

fn missing(facts: &PersonFacts) -> CheckResult {
    at_server(&facts.store, |vault| {
        CheckResult::of((vault.token_file == TokenFile::Missing).then(|| {
            let cause = "there is no token for the server, so nothing is backed up or taken over";
            Finding::problem(cause, provision(facts, &[]))
        }))
    })
}

fn open(facts: &PersonFacts) -> CheckResult {
    at_server(&facts.store, |vault| match &vault.token_file {
        TokenFile::Open { path, why } => CheckResult::of([Finding::problem(
            format!("{why}: it is not used, and others may know it"),
            as_user(&["chmod", "600", path]),
        )
        .with_fix(Fix::Mode { path: path.clone(), mode: 0o600 })]),
        _ => CheckResult::Ok,
    })
}

fn unusable(facts: &PersonFacts) -> CheckResult {
    at_server(&facts.store, |vault| match &vault.token_file {
        TokenFile::Unfit { why, is_replaceable: true } => {
            CheckResult::of([Finding::problem(why.clone(), provision(facts, &[]))])
        }
        TokenFile::Unfit { why, is_replaceable: false } => CheckResult::of([Finding::problem(
            why.clone(),
            Remedy::Text("put it aside, then provision the person again".into()),
        )]),
        _ => CheckResult::Ok,
    })
}

/// Judges what the server said of the token.
fn at_token(facts: &PersonFacts, judge: impl Fn(&Token) -> CheckResult) -> CheckResult {
    at_server(&facts.store, |vault: &Vault| match &vault.token {
        Some(token) => judge(token),
        None => CheckResult::Unknown("the server did not say anything of the token".into()),
    })
}

fn ended(facts: &PersonFacts) -> CheckResult {
    at_token(facts, |token| match token {
        Token::Ended => CheckResult::of([Finding::problem(
            "the server does not know the token: it has expired or was revoked",
            provision(facts, &[]),
        )]),
        _ => CheckResult::Ok,
    })
}

fn foreign(facts: &PersonFacts) -> CheckResult {
    at_token(facts, |token| match token {
        Token::Foreign(why) => {
            let cause = format!("the token is not {}'s own, and is not used: {why}", facts.user);
            CheckResult::of([Finding::problem(cause, provision(facts, &[]))])
        }
        _ => CheckResult::Ok,
    })
}

fn ending(facts: &PersonFacts) -> CheckResult {
    at_token(facts, |token| match token {
        Token::Own { expires_at: Some(at), never_renewed: None, .. }
            if *at <= facts.now.saturating_add(SOON) =>
        {
            let cause = format!("the token ends on {at}, and a renewal takes it no further");
            CheckResult::of([Finding::warning(cause, provision(facts, &[]))])
        }
        _ => CheckResult::Ok,
    })
}

/// Provisioning lets such a token serve until a week before its end; one that is not there it mints at once.
fn unrenewable(facts: &PersonFacts) -> CheckResult {
    at_server(&facts.store, |vault| match &vault.token {
        None => CheckResult::Unknown("the server did not say anything of the token".into()),
        Some(Token::Own { never_renewed: Some(why), expires_at, .. }) => {
            let end = expires_at.map(|at| format!(", and ends on {at}")).unwrap_or_default();
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
            CheckResult::of([Finding::problem(format!("the token can never be renewed{end}: {why}"), remedy)])
        }
        Some(_) => CheckResult::Ok,
    })
}

fn narrow(facts: &PersonFacts) -> CheckResult {
    at_token(facts, |token| match token {
        Token::Own { may_work: Some(false), .. } => CheckResult::of([Finding::problem(
            "the policy of the token does not allow reading or writing the document",
            provision(facts, &["--rewrite-policies"]),
        )]),
        Token::Own { may_work: None, .. } => CheckResult::Unknown("the server did not say".into()),
        _ => CheckResult::Ok,
    })
}

fn wide(facts: &PersonFacts) -> CheckResult {
    at_token(facts, |token| match token {
        Token::Own { too_wide, .. } if !too_wide.is_empty() => {
            let cause =
                format!("the policy of the token allows more than it should: to {}", too_wide.join(", to "));
            CheckResult::of([Finding::warning(cause, provision(facts, &["--rewrite-policies"]))])
        }
        _ => CheckResult::Ok,
    })
}

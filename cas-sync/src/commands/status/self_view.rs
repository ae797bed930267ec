//! The text output of a user's own state.

use cas_core::credential::login_file::LoginFileState;
use cas_core::time::format::{day, format_relative};

use super::self_report::{Schedule, SelfReport, StoreContact};
use crate::precedence::{Candidate, Kind};
use crate::published_state::report::Credential;
use crate::term::Terminal;

/// The column of the values, after the labels.
const INDENT: usize = 14;

/// Returns the lines of the report.
pub(crate) fn lines(own: &SelfReport, terminal: Terminal) -> Vec<String> {
    let summary = own.summary();
    let head = terminal.sanitize(&format!("Claude login of {} on {}: ", own.user, own.machine));
    let mut lines = vec![format!("{head}{}", terminal.colorize(summary.status, &summary.status.to_string()))];
    let parts = [
        ("", vec![summary.reason]),
        ("uses", uses(own)),
        ("verified", vec![verified(own)]),
        ("expires", expires(own)),
        ("backup", backups(own)),
        ("next", vec![next(own)]),
        ("note", notes(own)),
    ];
    let columns = terminal.columns.map(|columns| columns.saturating_sub(INDENT));
    for (label, texts) in parts {
        let texts = texts.iter().filter(|text| !text.is_empty());
        let wrapped = texts.flat_map(|text| terminal.wrap(text, columns));
        for (index, text) in wrapped.enumerate() {
            let label = if index == 0 { label } else { "" };
            let indent = INDENT - 2;
            lines.push(format!("  {label:<indent$}{text}"));
        }
    }
    lines
}

/// Returns the active credential, its source, and what it overrides.
fn uses(own: &SelfReport) -> Vec<String> {
    let effective = &own.effective;
    let Some(chosen) = effective.chosen else { return vec!["nothing".into()] };
    let mut texts = vec![describe(own, chosen)];
    texts.extend(effective.beside.map(|also| format!("and also sends {}", describe(own, also))));
    texts.extend(
        effective.shadowed.iter().map(|overridden| format!("not used: {}", describe(own, *overridden))),
    );
    texts.extend(
        effective.server.map(|place| format!("on another server than Anthropic's, set in {}", place.text())),
    );
    texts
}

fn describe(own: &SelfReport, candidate: Candidate) -> String {
    match candidate.kind {
        Kind::Login => format!("{} ({})", candidate.kind.text(), own.sources.login_file.display()),
        _ => format!("{} ({})", candidate.kind.text(), candidate.reason()),
    }
}

fn verified(own: &SelfReport) -> String {
    let Ok(Some(report)) = &own.report else { return "never, as far as known".into() };
    let answer = match report.verification.as_deref() {
        Some("ok") => "valid",
        Some("rate-limited") => "valid, usage limit reached",
        Some("rejected") => "rejected by the Anthropic API",
        Some("account-refused") => "account refused by the Anthropic API",
        Some("client-unusable") => "claude could not be used",
        Some(_) => "inconclusive",
        None => "not verified",
    };
    let last_try = format!("the last sync, {}: {answer}", format_relative(report.at, own.now));
    match report.verified_at {
        Some(at) if at == report.at => format!("{}: {answer}", format_relative(at, own.now)),
        Some(at) => format!("{}; {last_try}", format_relative(at, own.now)),
        None => format!("never, as far as known; {last_try}"),
    }
}

fn expires(own: &SelfReport) -> Vec<String> {
    let mut texts = Vec::new();
    match &own.sources.login {
        LoginFileState::Valid(login) | LoginFileState::AccessTokenExpired(login) => {
            let refresh = "Claude Code refreshes it";
            let verb = if login.expires_at > own.now { "expires" } else { "expired" };
            texts.push(format!(
                "access token {verb} {}; {refresh}",
                format_relative(login.expires_at, own.now)
            ));
            texts.extend(login.login_expires_at.map(|at| {
                let verb = if at > own.now { "expires" } else { "expired" };
                format!("the login {verb} {} ({}); then sign in again", format_relative(at, own.now), day(at))
            }));
        }
        _ => (),
    }
    let credential =
        own.report.as_ref().ok().and_then(Option::as_ref).and_then(|found| found.credential.as_ref());
    let unrefreshed = own.sources.login.unrefreshed_token().map(|token| token.fingerprint.to_string());
    let is_ours = |found: &&Credential| match found.kind.as_str() {
        "setup-token" => own.sources.env_file.is_some(),
        _ => unrefreshed.is_some() && found.fingerprint == unrefreshed,
    };
    if let Some(credential) = credential.filter(is_ours) {
        let what = if credential.kind == "setup-token" { "setup token" } else { "login" };
        let estimated = if credential.expiry_is_estimated { " at the latest" } else { "" };
        texts.push(match credential.expires_at {
            Some(at) if at <= own.now => {
                format!("the {what} expired {} ({})", format_relative(at, own.now), day(at))
            }
            Some(at) => {
                format!("the {what} expires {}{estimated} ({})", format_relative(at, own.now), day(at))
            }
            None => format!("the expiry of the {what} is not known"),
        });
    }
    texts
}

fn backups(own: &SelfReport) -> Vec<String> {
    let local = match &own.newest_backup {
        Ok(Some((login, at))) => {
            let is_current =
                own.sources.login.login().is_some_and(|found| found.generation == login.generation);
            let which = if is_current { "this login" } else { "another login" };
            format!("on this machine: {which}, saved {}", format_relative(*at, own.now))
        }
        Ok(None) => "on this machine: none".into(),
        Err(why) => format!("on this machine: unknown: {why}"),
    };
    let store = match &own.store {
        StoreContact::Local => "on no other machine: backups are kept locally".into(),
        StoreContact::Unknown(why) => format!("in the store: unknown: {why}"),
        StoreContact::Vault { url, answered_at, failed_at } => {
            let url = url.as_deref().unwrap_or("Vault");
            let answered = answered_at
                .map_or("no answer yet".into(), |at| format!("last answer {}", format_relative(at, own.now)));
            let failed = failed_at.filter(|failed| answered_at.is_none_or(|answered| *failed > answered));
            let failed = failed
                .map_or(String::new(), |at| format!(", then no answer {}", format_relative(at, own.now)));
            format!("at {url}: {answered}{failed}")
        }
    };
    let has_note = |code: &str| matches!(&own.report, Ok(Some(report)) if report.details.iter().any(|note| note == code));
    let failed = if has_note("not-backed-up") { "the last sync could not back up this login" } else { "" };
    vec![local, store, failed.into()]
}

fn next(own: &SelfReport) -> String {
    let Schedule { sync_at, is_watched, unknown } = &own.next;
    if !own.is_enrolled {
        return format!("nothing: {} is not enrolled; as root, run `cas-sync enroll {}`", own.user, own.user);
    }
    if let Some(why) = unknown {
        return format!("unknown: {why}");
    }
    let sync = match sync_at {
        Some(at) => format!("a sync {}", format_relative(*at, own.now)),
        None => "no sync is scheduled".into(),
    };
    let watcher = match is_watched {
        Some(true) => "the watcher runs",
        Some(false) => "the watcher does not run",
        None => "the state of the watcher is unknown",
    };
    format!("{sync}; {watcher}")
}

fn notes(own: &SelfReport) -> Vec<String> {
    let mut texts = Vec::new();
    let is_token = matches!(own.effective.chosen.map(|chosen| chosen.kind), Some(Kind::Token(_)));
    if own.effective.token_not_here && own.effective.chosen.is_some() && !is_token {
        texts.push(
            "there is a setup token, but this session started without it; log in again to use it".into(),
        );
    }
    if let Ok(Some(report)) = &own.report
        && own.has_changed(report)
    {
        texts.push("the credential was refreshed or replaced after the last sync".into());
    }
    texts.extend(own.sources.unknown.iter().map(|(_, why)| why.clone()));
    texts
}

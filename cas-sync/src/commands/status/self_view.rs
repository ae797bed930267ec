//! One's own state on a screenful.

use cas_core::credential::login_file::LoginFileState;
use cas_core::time::format::{day, format_relative};

use super::self_report::{Schedule, SelfReport, Store};
use crate::precedence::{Candidate, Kind};
use crate::term::Terminal;

/// The column in which the texts begin.
const INDENT: usize = 14;

/// The lines for a person.
pub(crate) fn lines(own: &SelfReport, terminal: Terminal) -> Vec<String> {
    let judgement = own.judgement();
    let head = terminal.sanitize(&format!("Claude login of {} on {}: ", own.user, own.machine));
    let mut lines =
        vec![format!("{head}{}", terminal.colorize(judgement.status, &judgement.status.to_string()))];
    let parts = [
        ("", vec![judgement.reason]),
        ("uses", uses(own)),
        ("verified", vec![verified(own)]),
        ("lapses", lapses(own)),
        ("good copy", copies(own)),
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

/// Which credential, why, and what that hides.
fn uses(own: &SelfReport) -> Vec<String> {
    let effective = &own.effective;
    let Some(chosen) = effective.chosen else { return vec!["nothing".into()] };
    let mut texts = vec![named(own, chosen)];
    texts.extend(effective.beside.map(|beside| format!("and sends {} along", named(own, beside))));
    texts.extend(effective.shadowed.iter().map(|hidden| format!("not used: {}", named(own, *hidden))));
    texts.extend(
        effective.server.map(|place| format!("at another server than Anthropic's, as {} says", place.text())),
    );
    texts
}

fn named(own: &SelfReport, candidate: Candidate) -> String {
    match candidate.kind {
        Kind::Login => format!("{} ({})", candidate.kind.text(), own.sources.login_file.display()),
        _ => format!("{} ({})", candidate.kind.text(), candidate.reason()),
    }
}

fn verified(own: &SelfReport) -> String {
    let Ok(Some(standing)) = &own.standing else { return "never, as far as is known".into() };
    let answer = match standing.verdict.as_deref() {
        Some("ok") => "it works",
        Some("limited") => "it works, and its limit is used up",
        Some("rejected") => "the server rejects it",
        Some("account-refused") => "the server refuses the account",
        Some("unusable") => "claude could not be used for it",
        Some(_) => "no certain answer",
        None => "not asked",
    };
    let last_try = format!("the last sync, {}: {answer}", format_relative(standing.at, own.now));
    match standing.verified_at {
        Some(at) if at == standing.at => format!("{}: {answer}", format_relative(at, own.now)),
        Some(at) => format!("{}; {last_try}", format_relative(at, own.now)),
        None => format!("never, as far as is known; {last_try}"),
    }
}

fn lapses(own: &SelfReport) -> Vec<String> {
    let mut texts = Vec::new();
    match &own.sources.login {
        LoginFileState::Valid(login) | LoginFileState::AccessTokenExpired(login) => {
            let by_itself = "Claude Code renews it by itself";
            let verb = if login.expires_at > own.now { "ends" } else { "ended" };
            texts.push(format!(
                "access token {verb} {}; {by_itself}",
                format_relative(login.expires_at, own.now)
            ));
            texts.extend(login.login_expires_at.map(|at| {
                let verb = if at > own.now { "lapses" } else { "lapsed" };
                format!("the login {verb} {} ({}); then sign in again", format_relative(at, own.now), day(at))
            }));
        }
        _ => (),
    }
    let credential =
        own.standing.as_ref().ok().and_then(Option::as_ref).and_then(|found| found.credential.as_ref());
    if let Some(credential) =
        credential.filter(|found| found.kind == "setup-token" && own.sources.env_file.is_some())
    {
        let estimated = if credential.expiry_is_estimated { " at the latest" } else { "" };
        texts.push(match credential.lapses_at {
            Some(at) if at <= own.now => {
                format!("the setup-token lapsed {} ({})", format_relative(at, own.now), day(at))
            }
            Some(at) => {
                format!("the setup-token lapses {}{estimated} ({})", format_relative(at, own.now), day(at))
            }
            None => "when the setup-token lapses is not known".into(),
        });
    }
    texts
}

fn copies(own: &SelfReport) -> Vec<String> {
    let here = match &own.kept {
        Ok(Some((login, at))) => {
            let is_this = own.sources.login.login().is_some_and(|found| found.generation == login.generation);
            let which = if is_this { "this login" } else { "another login than this" };
            format!("on this machine: {which}, kept {}", format_relative(*at, own.now))
        }
        Ok(None) => "on this machine: none".into(),
        Err(why) => format!("on this machine: not known: {why}"),
    };
    let there = match &own.store {
        Store::Local => "in no other place: there is no store but this machine".into(),
        Store::Unknown(why) => format!("in the store: not known: {why}"),
        Store::Server { address, answered_at, failed_at } => {
            let address = address.as_deref().unwrap_or("the server");
            let answered = answered_at.map_or("it has not answered yet".into(), |at| {
                format!("it answered {}", format_relative(at, own.now))
            });
            let failed = failed_at.filter(|failed| answered_at.is_none_or(|answered| *failed > answered));
            let failed =
                failed.map_or(String::new(), |at| format!(", and did not {}", format_relative(at, own.now)));
            format!("at {address}: {answered}{failed}")
        }
    };
    let noted = |word: &str| matches!(&own.standing, Ok(Some(standing)) if standing.notes.iter().any(|note| note == word));
    let failed = if noted("not-backed-up") { "the last sync could not back it up" } else { "" };
    vec![here, there, failed.into()]
}

fn next(own: &SelfReport) -> String {
    let Schedule { sync_at, is_watched, unknown } = &own.next;
    if !own.is_enrolled {
        return format!(
            "nothing by itself: {} is not enrolled; root does that by `cas-sync enroll {}`",
            own.user, own.user
        );
    }
    if let Some(why) = unknown {
        return format!("not known: {why}");
    }
    let sync = match sync_at {
        Some(at) => format!("a sync {}", format_relative(*at, own.now)),
        None => "systemd plans no sync".into(),
    };
    let watch = match is_watched {
        Some(true) => "the watch runs",
        Some(false) => "the watch does not run",
        None => "whether the watch runs is not known",
    };
    format!("{sync}; {watch}")
}

fn notes(own: &SelfReport) -> Vec<String> {
    let mut texts = Vec::new();
    let is_token = matches!(own.effective.chosen.map(|chosen| chosen.kind), Some(Kind::Token(_)));
    if own.effective.token_not_here && own.effective.chosen.is_some() && !is_token {
        texts
            .push("there is a setup-token, and this session began without it; log in again to use it".into());
    }
    if let Ok(Some(standing)) = &own.standing
        && own.has_changed(standing)
    {
        texts.push("the credential was renewed or replaced since the last sync".into());
    }
    texts.extend(own.sources.unknown.iter().map(|(_, why)| why.clone()));
    texts
}

//! What makes Claude Code use another credential or server than the person's login or setup-token. The order in which it
//! chooses is in `docs/design/claude-code.md`.

use super::super::check::{Check, CheckResult, Finding, Remedy};
use super::super::facts::{Override, PersonFacts, Place};
use crate::os::shell_quote::shell_quote;

pub(super) const CHECKS: [Check<PersonFacts>; 6] = [
    Check { id: "shadow-environment", looks_at: "the environment of this shell", judge: environment },
    Check {
        id: "shadow-start-file",
        looks_at: "what shells and sessions read at their start",
        judge: start_files,
    },
    Check { id: "shadow-claude-json", looks_at: "~/.claude.json", judge: own_state },
    Check { id: "shadow-settings", looks_at: "~/.claude/settings.json", judge: settings },
    Check { id: "shadow-managed", looks_at: "the machine's settings in /etc/claude-code", judge: managed },
    Check { id: "shadow-served", looks_at: "the settings that the organisation serves", judge: served },
];

fn environment(facts: &PersonFacts) -> CheckResult {
    found(facts, |shadow| {
        matches!(shadow.place, Place::Environment).then(|| {
            problem(shadow, "is set in this environment", Remedy::Person(format!("unset {}", shadow.name)))
        })
    })
}

/// The line becomes a comment: whoever wrote it finds it again.
fn start_files(facts: &PersonFacts) -> CheckResult {
    found(facts, |shadow| {
        let Place::StartFile { path, line } = &shadow.place else { return None };
        let remedy = shell_quote(path).map(|path| format!("sed --follow-symlinks -i '{line}s/^/# /' {path}"));
        let remedy = remedy.map_or_else(|| Remedy::Text("take that line out".into()), Remedy::Person);
        Some(problem(shadow, &format!("is set in {path}, line {line}"), remedy))
    })
}

fn own_state(facts: &PersonFacts) -> CheckResult {
    found(facts, |shadow| {
        let Place::OwnState { path } = &shadow.place else { return None };
        Some(problem(shadow, &format!("is set in {path}"), renamed(shadow, path, Remedy::Person)))
    })
}

fn settings(facts: &PersonFacts) -> CheckResult {
    found(facts, |shadow| {
        let Place::Settings { path } = &shadow.place else { return None };
        Some(problem(shadow, &format!("is set in {path}"), renamed(shadow, path, Remedy::Person)))
    })
}

fn managed(facts: &PersonFacts) -> CheckResult {
    found(facts, |shadow| {
        let Place::Managed { path } = &shadow.place else { return None };
        Some(problem(shadow, &format!("is set for everybody in {path}"), renamed(shadow, path, Remedy::Root)))
    })
}

fn served(facts: &PersonFacts) -> CheckResult {
    found(facts, |shadow| {
        let remedy = || {
            Remedy::Text("the organisation's administrator takes it out of its Claude Code settings".into())
        };
        matches!(shadow.place, Place::Served)
            .then(|| problem(shadow, "is set in the settings that the organisation serves", remedy()))
    })
}

fn found(facts: &PersonFacts, finding: impl Fn(&Override) -> Option<Finding>) -> CheckResult {
    CheckResult::of(facts.shadows.iter().filter_map(finding))
}

/// What a file calls a variable may be anything, and is no part of a command then.
fn problem(shadow: &Override, is_set: &str, remedy: Remedy) -> Finding {
    let is_name = shadow.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let remedy = if is_name { remedy } else { Remedy::Text("take it out of there".into()) };
    let cause = format!(
        "{} {is_set}: Claude Code uses that instead of the person's own login or setup-token",
        shadow.name
    );
    Finding::problem(cause, remedy)
}

/// Under another name it has no effect, and whoever set it finds it again. The file stays the JSON that it is, however it is
/// laid out, and no tool is needed that may not be there.
fn renamed(shadow: &Override, path: &str, by: fn(String) -> Remedy) -> Remedy {
    let name = &shadow.name;
    let command = shell_quote(path)
        .map(|path| format!(r#"sed --follow-symlinks -i 's/"{name}"\([[:space:]]*:\)/"_{name}"\1/' {path}"#));
    command.map_or_else(|| Remedy::Text(format!("take {name} out of it")), by)
}

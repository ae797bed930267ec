//! Settings that make Claude Code use another credential or server. `docs/design/claude-code.md`
//! has the order in which it chooses.

use super::super::check::{Check, CheckResult, Finding, Remedy};
use super::super::facts::{Override, OverridePlace, UserFacts};
use crate::os::shell_quote::shell_quote;
use crate::precedence::project::ELSEWHERE;
use crate::precedence::settings::SIMPLE;

pub(super) const CHECKS: [Check<UserFacts>; 6] = [
    Check::new("override-environment", "the environment sets no other credential", environment),
    Check::new(
        "override-shell-startup",
        "the start-up files of shells and sessions set no other credential",
        startup_files,
    ),
    Check::new("override-claude-json", "~/.claude.json sets no other credential", claude_json),
    Check::new("override-settings", "~/.claude and ./.claude set no other credential", settings),
    Check::new(
        "override-managed-settings",
        "the managed settings in /etc/claude-code set no other credential",
        managed,
    ),
    Check::new(
        "override-organization-settings",
        "the organization's settings set no other credential",
        remote,
    ),
];

fn environment(facts: &UserFacts) -> CheckResult {
    findings(facts, |setting| {
        matches!(setting.place, OverridePlace::Environment).then(|| {
            problem(setting, "is set in this environment", Remedy::User(format!("unset {}", setting.name)))
        })
    })
}

/// The command turns the line into a comment, so that it can be restored.
fn startup_files(facts: &UserFacts) -> CheckResult {
    findings(facts, |setting| {
        let OverridePlace::StartupFile { path, line } = &setting.place else { return None };
        let remedy = shell_quote(path).map(|path| format!("sed --follow-symlinks -i '{line}s/^/# /' {path}"));
        let remedy = remedy.map_or_else(|| Remedy::Text("remove that line".into()), Remedy::User);
        Some(problem(setting, &format!("is set in {path}, line {line}"), remedy))
    })
}

fn claude_json(facts: &UserFacts) -> CheckResult {
    findings(facts, |setting| {
        let OverridePlace::ClaudeJson { path } = &setting.place else { return None };
        Some(problem(setting, &format!("is set in {path}"), renamed(setting, path, Remedy::User)))
    })
}

fn settings(facts: &UserFacts) -> CheckResult {
    let found = findings(facts, |setting| {
        let OverridePlace::Settings { path, controller } = &setting.place else { return None };
        let (owner, remedy) = match controller {
            // Another user can make the path lead to any file, so no command changes it.
            Some(owner) => (format!(" ({owner})"), Remedy::Text(ELSEWHERE.into())),
            None => (String::new(), renamed(setting, path, Remedy::User)),
        };
        Some(problem(setting, &format!("is set in {path}{owner}"), remedy))
    });
    let unread = facts.overrides.iter().find_map(|setting| match &setting.place {
        OverridePlace::Unread(why) => Some(why.clone()),
        _ => None,
    });
    match (found, unread) {
        (CheckResult::Ok, Some(why)) => CheckResult::Unknown(why),
        (found, _) => found,
    }
}

fn managed(facts: &UserFacts) -> CheckResult {
    findings(facts, |setting| {
        let OverridePlace::Managed { path } = &setting.place else { return None };
        Some(problem(
            setting,
            &format!("is set for all users in {path}"),
            renamed(setting, path, Remedy::Root),
        ))
    })
}

fn remote(facts: &UserFacts) -> CheckResult {
    findings(facts, |setting| {
        let remedy = || {
            Remedy::Text("the organization's administrator removes it from the Claude Code settings".into())
        };
        matches!(setting.place, OverridePlace::Remote)
            .then(|| problem(setting, "is set in the organization's settings", remedy()))
    })
}

fn findings(facts: &UserFacts, finding: impl Fn(&Override) -> Option<Finding>) -> CheckResult {
    CheckResult::from_findings(facts.overrides.iter().filter_map(finding))
}

/// A name with other characters is not printed as part of a command.
fn problem(setting: &Override, is_set: &str, remedy: Remedy) -> Finding {
    let is_name = setting.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let remedy = if is_name { remedy } else { Remedy::Text("remove the setting".into()) };
    let effect = match setting.name.as_str() {
        SIMPLE => "Claude Code uses no login and no setup token",
        _ => "Claude Code uses it instead of the user's login or setup token",
    };
    let cause = format!("{} {is_set}: {effect}", setting.name);
    Finding::problem(cause, remedy)
}

/// Returns a command that renames the setting, which has no effect then and can be restored. `sed`
/// keeps the layout of the JSON and is always installed.
fn renamed(setting: &Override, path: &str, by: fn(String) -> Remedy) -> Remedy {
    let name = &setting.name;
    let command = shell_quote(path)
        .map(|path| format!(r#"sed --follow-symlinks -i 's/"{name}"\([[:space:]]*:\)/"_{name}"\1/' {path}"#));
    command.map_or_else(|| Remedy::Text(format!("remove {name} from {path}")), by)
}

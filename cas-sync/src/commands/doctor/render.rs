//! Text and JSON output: the most severe finding first, without control characters.

use cas_core::outcome::{ExitStatus, Status};
use cas_core::text::is_displayable;
use serde::Serialize;
use serde_json::{Value, json};

use super::Inspection;
use super::check::{CheckResult, Finding, Remedy, Row, Severity};
use super::fix::FixResult;
use crate::os::shell_quote::shell_quote;
use crate::term::Terminal;
use crate::term::wrap::wrap;

/// Maximum length of a line. Commands are not wrapped, because they are pasted.
pub(super) const WIDTH: usize = 80;

/// The content of the output, and whether it is for root.
pub(super) struct DoctorReport<'a> {
    pub(super) inspections: &'a [Inspection],
    pub(super) fixes: &'a [FixResult],
    pub(super) as_root: bool,
}

impl Severity {
    fn label(self) -> &'static str {
        match self {
            Self::Problem => "problem:",
            Self::Warning => "warning:",
        }
    }

    fn as_status(self) -> Status {
        match self {
            Self::Problem => Status::Fail,
            Self::Warning => Status::Warn,
        }
    }
}

/// Returns a failure if there is a problem or a user could not be inspected.
pub(super) fn exit_status(inspections: &[Inspection]) -> ExitStatus {
    let has_problem = |inspection: &Inspection| match &inspection.rows {
        Ok(rows) => findings(rows).iter().any(|(_, finding)| finding.severity == Severity::Problem),
        Err(_) => true,
    };
    ExitStatus::failure_if(inspections.iter().any(has_problem))
}

/// Returns the findings, the most severe first, then in the order of the checks.
fn findings(rows: &[Row]) -> Vec<(&str, &Finding)> {
    let mut all: Vec<(&str, &Finding)> = Vec::new();
    for row in rows {
        if let CheckResult::Problems(findings) = &row.result {
            all.extend(findings.iter().map(|finding| (row.id.as_str(), finding)));
        }
    }
    all.sort_by_key(|(_, finding)| finding.severity);
    all
}

/// A remedy as it is printed.
struct ShownRemedy<'a> {
    command: Option<String>,
    /// The user who must run the command, if that is not the caller.
    run_as: Option<&'a str>,
    text: String,
}

/// Returns the remedy for this caller. The command of a user is never for root: it changes the
/// user's files and can start the user's programs.
fn remedy<'a>(remedy: &Remedy, user: Option<&'a str>, as_root: bool) -> ShownRemedy<'a> {
    let (command, run_as) = match remedy {
        Remedy::Text(what) => return ShownRemedy { command: None, run_as: None, text: what.clone() },
        Remedy::Root(command) if !as_root => (as_admin(command), None),
        Remedy::User(command) => (command.clone(), user.filter(|_| as_root)),
        Remedy::Root(command) | Remedy::Vault(command) => (command.clone(), None),
    };
    match command.chars().all(is_displayable) {
        true => ShownRemedy { command: Some(command.clone()), run_as, text: command },
        false => {
            let text = "the command contains characters that a terminal cannot show; --json has it".into();
            ShownRemedy { command: None, run_as: None, text }
        }
    }
}

/// Returns the command with sudo. `provision` reads the administrator's Vault token from the
/// environment.
fn as_admin(command: &str) -> String {
    let needs_shell = ["&&", "|", ">", ";"].iter().any(|sign| command.contains(sign));
    let sudo = match command.contains("cas-sync provision ") {
        true => "sudo --preserve-env=VAULT_TOKEN",
        false => "sudo",
    };
    match shell_quote(command).filter(|_| needs_shell) {
        Some(command) => format!("{sudo} sh -c {command}"),
        None => format!("{sudo} {command}"),
    }
}

/// Returns the text output.
pub(super) fn render_text(report: &DoctorReport<'_>, verbose: bool, style: Terminal) -> String {
    let mut text = String::new();
    for fix in report.fixes {
        if let Some(error) = &fix.error {
            text += &wrapped(&format!("Not fixed: {}: {error}", fix.action), "", style);
        }
        if let Some(user) = fix.user.as_deref().filter(|_| fix.still_runs) {
            text += &wrapped(
                &format!("The sync of {user} is still running; run doctor again when it has ended."),
                "",
                style,
            );
        }
    }
    let mut passed = 0;
    let mut is_all_ok = true;
    for inspection in report.inspections {
        let name = inspection.user.as_deref().unwrap_or("this machine");
        let rows = match &inspection.rows {
            Ok(rows) => rows,
            Err(why) => {
                is_all_ok = false;
                text += &wrapped(&format!("{name}: {why}"), "", style);
                continue;
            }
        };
        let found = findings(rows);
        passed += rows.iter().filter(|row| row.result == CheckResult::Ok).count();
        if !found.is_empty() || verbose {
            text += &format!("{}\n", style.sanitize(name));
        }
        is_all_ok &= found.is_empty();
        for (id, finding) in found {
            let label = finding.severity.label();
            let colored = style.colorize(finding.severity.as_status(), label);
            let cause = wrapped(&format!("  {label} {} [{id}]", finding.cause), "    ", style);
            text += &cause.replacen(label, &colored, 1);
            let remedy = remedy(&finding.remedy, inspection.user.as_deref(), report.as_root);
            text += &match remedy.command {
                Some(command) if !style.is_unicode && !command.is_ascii() => {
                    "      this terminal cannot show the command; --json has it\n".to_owned()
                }
                // The prefix prevents that root pastes it.
                Some(command) => match remedy.run_as {
                    Some(user) => format!("      ({user}, not root:) {command}\n"),
                    None => format!("      {command}\n"),
                },
                None => wrapped(&format!("      ({})", remedy.text), "      ", style),
            };
        }
        if verbose {
            text += &rows.iter().filter_map(|row| other_result(row, style)).collect::<String>();
        }
    }
    text += &match is_all_ok {
        true => format!("No problems found. {passed} checks passed.\n"),
        false => format!("{passed} other checks passed.\n"),
    };
    text
}

/// Returns the line of a check without findings.
fn other_result(row: &Row, style: Terminal) -> Option<String> {
    let (label, text) = match &row.result {
        CheckResult::Ok => ("ok", row.passed.as_str()),
        CheckResult::NotApplicable(why) => ("not-applicable", why.as_str()),
        CheckResult::Unknown(why) => ("unknown", why.as_str()),
        CheckResult::Problems(_) => return None,
    };
    Some(wrapped(&format!("  {label}  {}: {text}", row.id), "    ", style))
}

/// Wraps the text to [`WIDTH`]. All lines but the first start with `indent`.
fn wrapped(text: &str, indent: &str, style: Terminal) -> String {
    wrap(&style.sanitize(text), WIDTH, indent).join("\n") + "\n"
}

/// Returns the JSON output.
pub(super) fn render_json(report: &DoctorReport<'_>) -> Value {
    #[derive(Serialize)]
    struct JsonFinding<'a> {
        id: &'a str,
        severity: Severity,
        cause: &'a str,
        /// A command to paste, if there is one.
        command: Option<String>,
        /// The user who must run the command, if that is not the caller.
        run_as: Option<&'a str>,
        remedy: String,
        can_be_fixed: bool,
    }
    let inspections = report.inspections.iter().map(|inspection| {
        let rows = inspection.rows.as_deref().unwrap_or_default();
        let findings = findings(rows).into_iter().map(|(id, finding)| {
            let ShownRemedy { command, run_as, text } =
                remedy(&finding.remedy, inspection.user.as_deref(), report.as_root);
            let (severity, cause) = (finding.severity, finding.cause.as_str());
            JsonFinding {
                id,
                severity,
                cause,
                command,
                run_as,
                remedy: text,
                can_be_fixed: finding.fix.is_some(),
            }
        });
        let state = |row: &Row| match &row.result {
            CheckResult::Ok => json!({ "id": row.id, "state": "ok" }),
            CheckResult::NotApplicable(why) => {
                json!({ "id": row.id, "state": "not-applicable", "reason": why })
            }
            CheckResult::Unknown(why) => json!({ "id": row.id, "state": "unknown", "reason": why }),
            CheckResult::Problems(_) => json!({ "id": row.id, "state": "problem" }),
        };
        json!({
            "user": inspection.user,
            "error": inspection.rows.as_ref().err(),
            "findings": findings.collect::<Vec<_>>(),
            "checks": rows.iter().map(state).collect::<Vec<_>>(),
        })
    });
    json!({
        "inspections": inspections.collect::<Vec<_>>(),
        "fixes": report.fixes,
        "exit_code": exit_status(report.inspections),
    })
}

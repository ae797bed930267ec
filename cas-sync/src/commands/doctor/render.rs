//! The words for what was found: for people, worst first, and for programs. Nothing that somebody else has named says
//! anything to a terminal.

use cas_core::outcome::Status;
use cas_core::text::is_displayable;
use serde::Serialize;
use serde_json::{Value, json};

use super::Inspected;
use super::check::{CheckResult, Finding, Remedy, Row, Severity};
use super::fix::FixResult;
use crate::os::shell_quote::shell_quote;
use crate::term::Terminal;
use crate::term::wrap::wrap;

/// The version of the JSON: members may be added to it, and none changes its meaning or goes.
const SCHEMA: u32 = 1;

/// Lines are no longer, but for commands, which are pasted whole.
pub(super) const WIDTH: usize = 80;

/// What there is to tell, and to whom.
pub(super) struct Report<'a> {
    pub(super) looked: &'a [Inspected],
    pub(super) mended: &'a [FixResult],
    pub(super) as_root: bool,
}

impl Severity {
    fn word(self) -> &'static str {
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

/// 1 when something is wrong, or somebody could not be looked at; warnings alone are 0.
pub(super) fn exit_code(looked: &[Inspected]) -> u8 {
    let is_wrong = |looked: &Inspected| match &looked.rows {
        Ok(rows) => findings(rows).iter().any(|(_, finding)| finding.severity == Severity::Problem),
        Err(_) => true,
    };
    u8::from(looked.iter().any(is_wrong))
}

/// The worst first; of the same kind, in the order of the tables.
fn findings(rows: &[Row]) -> Vec<(&str, &Finding)> {
    let mut all: Vec<(&str, &Finding)> = Vec::new();
    for row in rows {
        if let CheckResult::Problems(findings) = &row.judgement {
            all.extend(findings.iter().map(|finding| (row.id.as_str(), finding)));
        }
    }
    all.sort_by_key(|(_, finding)| finding.severity);
    all
}

/// What can be pasted, and by whom; or what to do.
struct Told<'a> {
    command: Option<String>,
    /// Who has to run it, where that is not whoever asks.
    run_as: Option<&'a str>,
    words: String,
}

/// A person's command is for that person, also where root asks: it works on what is theirs, starts what is theirs, and in root's
/// shell that would be root's doing, at root's terminal.
fn remedy<'a>(remedy: &Remedy, user: Option<&'a str>, as_root: bool) -> Told<'a> {
    let (command, run_as) = match remedy {
        Remedy::Text(what) => return Told { command: None, run_as: None, words: what.clone() },
        Remedy::Root(command) if !as_root => (as_admin(command), None),
        Remedy::Person(command) => (command.clone(), user.filter(|_| as_root)),
        Remedy::Root(command) | Remedy::Server(command) => (command.clone(), None),
    };
    match command.chars().all(is_displayable) {
        true => Told { command: Some(command.clone()), run_as, words: command },
        false => {
            let words = "what is to be typed has characters in it that no terminal shows".into();
            Told { command: None, run_as: None, words }
        }
    }
}

/// More than one command is a shell's; provisioning has the admin's token from the environment.
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

/// For people.
pub(super) fn render_text(shown: &Report<'_>, verbose: bool, style: Terminal) -> String {
    let mut text = String::new();
    for mended in shown.mended {
        if let Some(error) = &mended.error {
            text += &wrapped(&format!("Not done: {}: {error}", mended.does), "", style);
        }
        if let Some(user) = mended.user.as_deref().filter(|_| mended.still_runs) {
            text += &wrapped(
                &format!("The sync of {user} is still at work; ask again when it has ended."),
                "",
                style,
            );
        }
    }
    let mut in_order = 0;
    let mut is_all_well = true;
    for looked in shown.looked {
        let name = looked.user.as_deref().unwrap_or("this machine");
        let rows = match &looked.rows {
            Ok(rows) => rows,
            Err(why) => {
                is_all_well = false;
                text += &wrapped(&format!("{name}: {why}"), "", style);
                continue;
            }
        };
        let found = findings(rows);
        in_order += rows.iter().filter(|row| row.judgement == CheckResult::Ok).count();
        if !found.is_empty() || verbose {
            text += &format!("{}\n", style.sanitize(name));
        }
        is_all_well &= found.is_empty();
        for (id, finding) in found {
            let plain = finding.severity.word();
            let coloured = style.colorize(finding.severity.as_status(), plain);
            let cause = wrapped(&format!("  {plain} {} [{id}]", finding.cause), "    ", style);
            text += &cause.replacen(plain, &coloured, 1);
            let told = remedy(&finding.remedy, looked.user.as_deref(), shown.as_root);
            text += &match told.command {
                Some(command) if !style.is_unicode && !command.is_ascii() => {
                    "      its name cannot be shown here; --json has the command\n".to_owned()
                }
                // Not to be pasted as it is.
                Some(command) => match told.run_as {
                    Some(user) => format!("      ({user}, not root:) {command}\n"),
                    None => format!("      {command}\n"),
                },
                None => wrapped(&format!("      ({})", told.words), "      ", style),
            };
        }
        if verbose {
            text += &rows.iter().filter_map(|row| other(row, style)).collect::<String>();
        }
    }
    text += &match is_all_well {
        true => format!("Nothing is wrong. Looked at, and in order: {in_order}.\n"),
        false => format!("Looked at besides, and in order: {in_order}.\n"),
    };
    text
}

/// A row where nothing is amiss.
fn other(row: &Row, style: Terminal) -> Option<String> {
    let (word, why) = match &row.judgement {
        CheckResult::Ok => ("fine:", None),
        CheckResult::NotApplicable(why) => ("not asked:", Some(why)),
        CheckResult::Unknown(why) => ("unknown:", Some(why)),
        CheckResult::Problems(_) => return None,
    };
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    Some(wrapped(&format!("  {word} {}{why} [{}]", row.looks_at, row.id), "    ", style))
}

/// As lines of at most [`WIDTH`] columns, of which all but the first begin with `indent`.
fn wrapped(text: &str, indent: &str, style: Terminal) -> String {
    wrap(&style.sanitize(text), WIDTH, indent).join("\n") + "\n"
}

/// For programs.
pub(super) fn render_json(shown: &Report<'_>) -> Value {
    #[derive(Serialize)]
    struct Said<'a> {
        id: &'a str,
        severity: Severity,
        cause: &'a str,
        /// What to paste; nothing where no command can do it.
        command: Option<String>,
        /// Who has to run it, where that is not whoever asks.
        run_as: Option<&'a str>,
        remedy: String,
        can_be_fixed: bool,
    }
    let about = shown.looked.iter().map(|looked| {
        let rows = looked.rows.as_deref().unwrap_or_default();
        let told = findings(rows).into_iter().map(|(id, finding)| {
            let Told { command, run_as, words } =
                remedy(&finding.remedy, looked.user.as_deref(), shown.as_root);
            let (severity, cause) = (finding.severity, finding.cause.as_str());
            Said { id, severity, cause, command, run_as, remedy: words, can_be_fixed: finding.fix.is_some() }
        });
        let state = |row: &Row| match &row.judgement {
            CheckResult::Ok => json!({ "id": row.id, "state": "fine" }),
            CheckResult::NotApplicable(why) => json!({ "id": row.id, "state": "not-asked", "why": why }),
            CheckResult::Unknown(why) => json!({ "id": row.id, "state": "unknown", "why": why }),
            CheckResult::Problems(_) => json!({ "id": row.id, "state": "found" }),
        };
        json!({
            "user": looked.user,
            "problem": looked.rows.as_ref().err(),
            "findings": told.collect::<Vec<_>>(),
            "checks": rows.iter().map(state).collect::<Vec<_>>(),
        })
    });
    json!({
        "schema": SCHEMA,
        "about": about.collect::<Vec<_>>(),
        "mended": shown.mended,
        "exit_code": exit_code(shown.looked),
    })
}

//! One way to break a guest, and the run of doctor.

use cas_tests::guest::{CommandResult, Guest};
use serde_json::Value;

/// The user who runs doctor and its remedies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Alice,
    Root,
}

/// How the problem is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fixed {
    /// By the command that doctor prints, as it prints it.
    ByRemedy,
    /// With this script, because doctor prints no command, or its command needs what the guest does
    /// not have.
    Otherwise(&'static str),
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// The check that must find it.
    pub(crate) id: &'static str,
    pub(crate) who: Who,
    /// A script of root's that breaks the guest, with alice's home as the working directory.
    pub(crate) broken: &'static str,
    pub(crate) fixed: Fixed,
}

/// Returns a problem that alice finds and fixes with the printed remedy.
pub(crate) const fn row(id: &'static str, broken: &'static str) -> Row {
    Row { id, who: Who::Alice, broken, fixed: Fixed::ByRemedy }
}

impl Row {
    /// Makes root find and fix it.
    pub(crate) const fn as_root(self) -> Self {
        Self { who: Who::Root, ..self }
    }

    /// Sets the script that fixes it.
    pub(crate) const fn otherwise(self, script: &'static str) -> Self {
        Self { fixed: Fixed::Otherwise(script), ..self }
    }
}

/// Checks the rows in their order, in one guest. `environment` precedes each command of the
/// remedies.
#[track_caller]
pub(crate) fn check_rows(guest: &Guest, rows: &[Row], environment: &str) {
    let failed: Vec<String> =
        rows.iter().filter_map(|row| check_row(guest, row, environment).err()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn check_row(guest: &Guest, row: &Row, environment: &str) -> Result<(), String> {
    let script = |script: &str| guest.run(&format!("cd /home/alice && {{ {script}\n}}"));
    case(
        guest,
        row.id,
        row.who,
        || drop(script(row.broken).expect_success(row.id)),
        |command, who| match row.fixed {
            Fixed::Otherwise(instead) => Ok(script(instead)),
            Fixed::ByRemedy => apply_remedy(guest, who, command, environment),
        },
    )
}

/// Executes the printed remedy.
pub(crate) fn apply_remedy(
    guest: &Guest,
    who: Who,
    command: Option<&str>,
    environment: &str,
) -> Result<CommandResult, String> {
    match command {
        // Its exit status also reflects other problems.
        Some(command) if command == "cas-sync doctor --fix" => {
            Ok(paste(guest, who, &format!("{command} || test $? = 1"), environment))
        }
        Some(command) => Ok(paste(guest, who, command, environment)),
        None => Err("no command is printed".into()),
    }
}

/// Breaks the guest, runs doctor, applies the remedy, and runs doctor again.
pub(crate) fn case(
    guest: &Guest,
    id: &str,
    who: Who,
    broken: impl FnOnce(),
    fixed: impl FnOnce(Option<&str>, Who) -> Result<CommandResult, String>,
) -> Result<(), String> {
    let before = diagnosis(guest, who);
    if finding(&before, id).is_some() {
        return Err(format!("{id}: found before anything was broken: {before}"));
    }
    broken();
    let report = diagnosis(guest, who);
    let Some(found) = finding(&report, id) else { return Err(format!("{id}: not found: {report}")) };
    let command = found["command"].as_str();
    let output = text_report(guest, who);
    if !output.contains(&format!("[{id}]")) || command.is_some_and(|command| !output.contains(command)) {
        return Err(format!("{id}: the text output lacks {command:?}: {output}"));
    }
    // A user's command is run as the user, also if root runs doctor.
    let fixer = if found["run_as"] == "alice" { Who::Alice } else { who };
    let done = fixed(command, fixer).map_err(|why| format!("{id}: {why}: {found}"))?;
    if !done.succeeded() {
        return Err(format!("{id}: the remedy {command:?} failed: {}", code_and_output(&done)));
    }
    let after = diagnosis(guest, who);
    match finding(&after, id) {
        Some(left) => {
            Err(format!("{id}: still there after {command:?} ({}): {left}", code_and_output(&done)))
        }
        None => Ok(()),
    }
}

/// Returns the JSON output of doctor. Its exit status must be the same.
pub(crate) fn diagnosis(guest: &Guest, who: Who) -> Value {
    let output = run_as(guest, who, "cas-sync doctor --json");
    let json: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", code_and_output(&output)));
    assert_eq!(json["exit_code"].as_i64(), output.code.map(i64::from), "{json}");
    json
}

fn text_report(guest: &Guest, who: Who) -> String {
    let output = run_as(guest, who, "cas-sync doctor");
    let text = output.text();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(text.is_ascii(), "a guest has the C locale: {text}");
    // Lines of text fit on a terminal. Commands are not wrapped, and begin with six spaces.
    for line in text.lines().filter(|line| !line.starts_with("      ")) {
        assert!(line.len() <= 80, "{line:?}");
    }
    text
}

/// Returns the first finding of this check.
pub(crate) fn finding<'a>(diagnosis: &'a Value, id: &str) -> Option<&'a Value> {
    let about = diagnosis["inspections"].as_array().expect("the users");
    about.iter().flat_map(|of| of["findings"].as_array().expect("findings")).find(|found| found["id"] == id)
}

/// Runs a shell command outside of any login, because a login would repair things.
pub(crate) fn run_as(guest: &Guest, who: Who, command: &str) -> CommandResult {
    match who {
        Who::Root => guest.run_with_input("cd / && sh -s", command.as_bytes()),
        Who::Alice => guest.run_with_input(
            "cd /home/alice && exec runuser -u alice -- env -i HOME=/home/alice PATH=/usr/local/bin:/usr/bin:/bin sh -s",
            command.as_bytes(),
        ),
    }
}

/// Runs a printed command. One that begins with `sudo` is for an administrator, which alice is not.
pub(crate) fn paste(guest: &Guest, who: Who, command: &str, environment: &str) -> CommandResult {
    match command.strip_prefix("sudo ") {
        // The environment stays as it is here anyway.
        Some(command) => run_as(
            guest,
            Who::Root,
            &format!("{environment} {}", command.trim_start_matches("--preserve-env=VAULT_TOKEN ")),
        ),
        None => run_as(guest, who, &format!("{environment} {command}")),
    }
}

/// Returns the exit code and all output.
pub(crate) fn code_and_output(finished: &CommandResult) -> String {
    format!("{:?} {}{}", finished.code, finished.text(), String::from_utf8_lossy(&finished.stderr))
}

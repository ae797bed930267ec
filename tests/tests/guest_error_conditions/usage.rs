//! Invalid command lines, and commands that another user must run.

use super::commands::{COMMANDS, Command, For, LAUNCHER, Operands};
use super::disk_state::{Host, Unchanged, Who, difference, fault};

/// Invalid values, and the texts that report them.
const VALUES: [(&str, &str); 14] = [
    ("cas-sync check --min-remaining 3", "a whole number and a unit"),
    ("cas-sync check --verified-within soon", "a whole number and a unit"),
    ("cas-sync restore --generation newest", "fingerprint"),
    ("cas-sync restore --from vault", "history, store"),
    ("cas-sync token set --minted-at yesterday", "2026-11-21"),
    ("cas-sync token import --minted-at 2026-13-01", "2026-11-21"),
    ("cas-sync login --email alice", "alice@example.org"),
    ("cas-sync token clear", "--yes"),
    ("cas-sync logout", "--yes"),
    ("cas-sync doctor --dry-run", "--fix"),
    ("cas-session login --user=alice --deadline-ms=soon", "--deadline-ms"),
    ("cas-session login --user=alice --reply=2", "--reply=2"),
    ("cas-session login --user=alice --minimum-uid=-1", "--minimum-uid"),
    ("cas-session exec --wait=soon true", "--wait"),
];

/// The missing operand.
const MISSING: [(&str, &str); 13] = [
    ("cas-sync enroll", "<USER>"),
    ("cas-sync unenroll", "<USER>"),
    ("cas-sync token", "Usage: cas-sync token"),
    // It may have been a token.
    ("cas-sync token frobnicate", "cannot be an argument"),
    ("cas-sync frobnicate", "frobnicate"),
    ("cas-sync metrics --output", "--output"),
    ("cas-sync provision --user", "--user"),
    ("cas-sync provision --roster", "--roster"),
    ("cas-sync login --email", "--email"),
    ("cas-session", "a command is missing"),
    ("cas-session frobnicate", "frobnicate"),
    ("cas-session login", "--user=NAME"),
    ("cas-session exec", "the command to run is missing"),
];

fn allowed_caller(command: &Command) -> Who {
    if command.whose == For::Root { Who::Root } else { Who::Alice }
}

/// Exits with 2 and names the wrong word and the usage.
fn usage_fault(host: &Host, who: Who, words: &str, says: &str) -> Option<String> {
    let output = host.run(who, words, "");
    let (out, error) = (output.text(), String::from_utf8_lossy(&output.stderr).into_owned());
    let is_usage = output.code == Some(2) && out.is_empty() && error.contains(says);
    let is_short = (1..=16).contains(&error.lines().count());
    let has_remedy = error.contains("--help") || error.starts_with("cas-sync: ");
    (!is_usage || !is_short || !has_remedy).then(|| format!("{words}: {:?} {out}{error}", output.code))
}

#[test]
fn usage_error_exits_with_2_and_changes_nothing() {
    let host = Host::start();
    let before = host.snapshot(Unchanged::Everything);
    let mut faults = Vec::new();
    for command in &COMMANDS {
        let by = allowed_caller(command);
        let user = match command.words {
            "cas-session login" => " --user=alice",
            _ if command.operands == Operands::One => " alice",
            _ => "",
        };
        let given = format!("{}{user}", command.words);
        faults.extend(usage_fault(&host, by, &format!("{given} --no-such-option"), "--no-such-option"));
        // Commands with any number of names never have too many.
        if command.operands != Operands::Any {
            // The word may have been a token, so it is not repeated.
            let may_be_a_token = ["cas-sync token set", "cas-sync token import"].contains(&command.words);
            let says = if may_be_a_token { "cannot be an argument" } else { "superfluous" };
            faults.extend(usage_fault(&host, by, &format!("{given} superfluous"), says));
        }
    }
    faults.extend(usage_fault(
        &host,
        Who::Alice,
        &format!("{LAUNCHER} --no-such-option"),
        "--no-such-option",
    ));
    for (words, says) in VALUES.iter().chain(&MISSING) {
        let by =
            if words.contains("enroll") || words.contains("session login") { Who::Root } else { Who::Alice };
        faults.extend(usage_fault(&host, by, words, says));
    }
    assert_eq!(difference(&before, &host.snapshot(Unchanged::Everything)), Vec::<String>::new());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn command_of_another_user_is_refused_and_changes_nothing() {
    let host = Host::start();
    let before = host.snapshot(Unchanged::Everything);
    let mut faults = Vec::new();
    for command in &COMMANDS {
        let words = command.words;
        let (by, lines, says) = match (command.whose, words) {
            // Root has no login, no token, and no variable of the product, so these commands print
            // nothing.
            (_, "cas-session environment" | "cas-session notice") => {
                let output = host.run(Who::Root, words, "");
                if output.code != Some(0) || !output.text().is_empty() || !output.stderr.is_empty() {
                    faults.push(format!("{words}: {output:?}"));
                }
                continue;
            }
            (_, "cas-session login") => (Who::Alice, vec![format!("{words} --user=bob")], "root"),
            (For::User, "cas-sync token clear" | "cas-sync logout") => {
                (Who::Root, vec![format!("{words} --yes")], "runuser -u NAME")
            }
            (For::User, _) => (Who::Root, vec![words.to_owned()], "runuser -u NAME"),
            (For::Root, "cas-sync unenroll") => {
                (Who::Alice, vec![format!("{words} alice"), format!("{words} --all")], "sudo")
            }
            (For::Root, "cas-sync enroll") => (Who::Alice, vec![format!("{words} bob")], "sudo"),
            (For::Root, _) => (Who::Alice, vec![words.to_owned()], "sudo"),
            (For::Both, _) => {
                (Who::Alice, vec![format!("{words} bob"), format!("{words} --json bob")], "sudo")
            }
        };
        for line in lines {
            let output = host.run(by, &line, "sk-ant-oat01-nobodys-0123456789");
            faults.extend(fault(&output, 1, says).map(|why| format!("{line}: {why}")));
        }
    }
    // Names without an account.
    for words in ["enroll nobody-here", "status nobody-here", "doctor nobody-here", "sessions nobody-here"] {
        let line = format!("cas-sync {words}");
        faults.extend(
            fault(&host.run(Who::Root, &line, ""), 1, "nobody-here").map(|why| format!("{line}: {why}")),
        );
    }
    assert_eq!(difference(&before, &host.snapshot(Unchanged::Everything)), Vec::<String>::new());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

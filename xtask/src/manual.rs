//! Generates the man pages of `cas-sync`: one of the user commands in section 1, one of the
//! administrator commands in section 8, and one per command. The text is that of `--help`, with
//! files and references added.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;

use crate::Made;
use crate::arguments::Arguments;
use crate::files::FILES;
use crate::troff::{bold, heading, item, paragraphs, plain, reference};

/// Marks the summary of an administrator command.
const ADMIN_MARK: &str = "(root)";

/// The heading of the exit statuses in the long help of a command.
const EXIT_STATUS: &str = "Exit status:\n";

/// Returns all pages.
///
/// # Errors
/// If a page cannot be rendered.
pub(crate) fn pages() -> Result<Vec<Made>> {
    let mut all = Arguments::command().disable_help_subcommand(true);
    all.build();
    let commands: Vec<_> = shown(&all).flat_map(|command| with_parts(command, section(command))).collect();
    let mut pages = vec![made("cas-sync", "1", whole(&all, "1")?), made("cas-sync", "8", whole(&all, "8")?)];
    for (command, section) in commands {
        pages.push(made(name(command), section, one(command, section)?));
    }
    Ok(pages)
}

/// Returns the names of all pages, such as `cas-sync-run.1`.
pub(crate) fn names() -> Vec<String> {
    let mut all = Arguments::command().disable_help_subcommand(true);
    all.build();
    let commands = shown(&all).flat_map(|command| with_parts(command, section(command)));
    let commands = commands.map(|(command, section)| format!("{}.{section}", name(command)));
    ["cas-sync.1".to_owned(), "cas-sync.8".to_owned()].into_iter().chain(commands).collect()
}

fn made(name: &str, section: &str, text: String) -> Made {
    Made { path: Path::new("man").join(format!("{name}.{section}")), bytes: text.into_bytes() }
}

/// Returns a command and its subcommands, in the same section.
fn with_parts<'all>(command: &'all Command, section: &'static str) -> Vec<(&'all Command, &'static str)> {
    let parts = shown(command).flat_map(|part| with_parts(part, section));
    [(command, section)].into_iter().chain(parts).collect()
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set())
}

fn section(command: &Command) -> &'static str {
    if about(command).contains(ADMIN_MARK) { "8" } else { "1" }
}

/// Returns the name of a command's page, such as `cas-sync-run`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// Returns the page of the program in this section.
fn whole(all: &Command, section: &'static str) -> Result<String> {
    let mut text = title(all, section)?;
    heading(&mut text, "SYNOPSIS");
    text.push_str("\\fBcas\\-sync\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR...]\n.br\n");
    text.push_str("\\fBcas\\-sync\\fR [\\fICOMMAND\\fR] \\fB\\-\\-help\\fR | \\fB\\-\\-version\\fR\n");
    heading(&mut text, "DESCRIPTION");
    paragraphs(&mut text, &format!("{}.", about(all)));
    let by_itself = all.get_after_help().map(ToString::to_string).unwrap_or_default();
    for line in by_itself.lines() {
        match line.strip_prefix("  ").and_then(|rest| rest.split_once("  ")) {
            Some((command, what)) => item(&mut text, &bold(command), what.trim()),
            None => paragraphs(&mut text, line),
        }
    }
    let (here, there): (Vec<_>, Vec<_>) = shown(all).partition(|command| self::section(command) == section);
    let others = if section == "1" { ("ADMINISTRATOR COMMANDS", "8") } else { ("USER COMMANDS", "1") };
    for (title, commands, section) in [("COMMANDS", here, section), (others.0, there, others.1)] {
        heading(&mut text, title);
        for command in commands {
            item(&mut text, &reference(name(command), section), &format!("{}.", about(command)));
        }
    }
    heading(&mut text, "EXIT STATUS");
    paragraphs(&mut text, "0 means success and 2 a usage error. The page of each command lists the others.");
    files(&mut text, section);
    let other = if section == "1" { "8" } else { "1" };
    see_also(&mut text, &[("cas-sync", other), ("cas-session", "1"), ("claude-auth-sync", "7")], section);
    Ok(text)
}

/// Returns the page of one command.
fn one(command: &Command, section: &'static str) -> Result<String> {
    let mut text = title(command, section)?;
    heading(&mut text, "SYNOPSIS");
    text.push_str(&synopsis(command));
    heading(&mut text, "DESCRIPTION");
    let long = command.get_long_about().map_or_else(|| about(command), ToString::to_string);
    let (description, exit_status) = long.split_once(EXIT_STATUS).unwrap_or((&long, ""));
    paragraphs(&mut text, description.trim_end());
    let mut options = Vec::new();
    Man::new(command.clone()).render_options_section(&mut options)?;
    text.push_str(&String::from_utf8(options)?);
    if shown(command).next().is_some() {
        heading(&mut text, "COMMANDS");
        for part in shown(command) {
            item(&mut text, &reference(name(part), section), &format!("{}.", about(part)));
        }
    }
    if !exit_status.is_empty() {
        heading(&mut text, "EXIT STATUS");
        for (code, meaning) in exit_codes(exit_status) {
            item(&mut text, &bold(&code), &meaning);
        }
    }
    see_also(&mut text, &[("cas-sync", section), ("claude-auth-sync", "7")], section);
    Ok(text)
}

/// Returns the rows of an exit status table: a code, and its meaning on one line.
fn exit_codes(table: &str) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match (line.split_once("  "), rows.last_mut()) {
            (Some((code, meaning)), _) => rows.push((code.to_owned(), meaning.trim().to_owned())),
            (None, Some((_, meaning))) => *meaning = format!("{meaning} {line}"),
            (None, None) => (),
        }
    }
    rows
}

/// Returns the title and the section NAME.
fn title(command: &Command, section: &str) -> Result<String> {
    let product = format!("claude-auth-sync {}", env!("CARGO_PKG_VERSION"));
    let mut text = String::new();
    writeln!(
        text,
        ".TH {} {section} \"\" \"{}\" claude\\-auth\\-sync",
        plain(name(command)),
        plain(&product)
    )?;
    let mut of_name = Vec::new();
    Man::new(command.clone()).render_name_section(&mut of_name)?;
    text.push_str(&String::from_utf8(of_name)?);
    Ok(text)
}

/// Returns every option with the name of its value, and the required arguments.
fn synopsis(command: &Command) -> String {
    let mut line = bold(command.get_bin_name().unwrap_or_else(|| command.get_name()));
    let is_told = |argument: &&Arg| !argument.is_hide_set() && argument.get_id() != "help";
    let (positionals, options): (Vec<_>, Vec<_>) =
        command.get_arguments().filter(is_told).partition(|argument| argument.is_positional());
    for argument in options.into_iter().chain(positionals) {
        let takes_value = argument.get_num_args().is_some_and(|number| number.takes_values());
        let value = argument.get_value_names().filter(|_| takes_value).map(|names| names[0].to_string());
        let value = value.map(|name| format!("\\fI{}\\fR", plain(&name)));
        let word = match (argument.get_long(), value) {
            (Some(long), Some(value)) => format!("{} {value}", bold(&format!("--{long}"))),
            (Some(long), None) => bold(&format!("--{long}")),
            (None, value) => value.unwrap_or_default(),
        };
        let repeated = matches!(argument.get_action(), clap::ArgAction::Append | clap::ArgAction::Count);
        let dots = if repeated { "..." } else { "" };
        match argument.is_required_set() {
            true => line.extend([" ", &word, dots]),
            false => line.extend([" [", &word, "]", dots]),
        }
    }
    if shown(command).next().is_some() {
        line.push_str(if command.is_subcommand_required_set() {
            " \\fICOMMAND\\fR"
        } else {
            " [\\fICOMMAND\\fR]"
        });
    }
    line + "\n"
}

fn files(text: &mut String, section: &str) {
    heading(text, "FILES");
    for (path, what) in FILES.iter().filter(|(of, _)| *of == section).flat_map(|(_, files)| *files) {
        item(text, &format!("\\fI{}\\fR", plain(path)), what);
    }
}

fn see_also(text: &mut String, first: &[(&str, &str)], section: &str) {
    let of_admins: &[_] = if section == "8" {
        &[("claude-auth-sync.toml", "5"), ("claude-auth-sync-roster", "5"), ("pam_cas_session", "8")]
    } else {
        &[]
    };
    heading(text, "SEE ALSO");
    let all: Vec<_> = first.iter().chain(of_admins).map(|(name, section)| reference(name, section)).collect();
    text.push_str(&all.join(", "));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str) -> String {
        let pages = pages().expect("pages");
        let found = pages.into_iter().find(|page| page.path == Path::new("man").join(path));
        let page = found.unwrap_or_else(|| panic!("there is no {path}"));
        String::from_utf8(page.bytes).expect("text").replace("\\-", "-").replace("\\fR", "")
    }

    #[test]
    fn synopsis_names_values_and_required_arguments() {
        let synopsis = |path: &str| {
            let text = page(path).replace("\\fB", "").replace("\\fI", "");
            let (_, rest) = text.split_once(".SH SYNOPSIS\n").expect("a synopsis");
            rest.lines().next().expect("a line").to_owned()
        };
        assert_eq!(synopsis("cas-sync-enroll.8"), "cas-sync enroll [--no-watch] USER");
        let provision = synopsis("cas-sync-provision.8");
        assert!(provision.contains("[--user NAME]... [--roster FILE]"), "{provision}");
    }

    #[test]
    fn command_is_in_its_section_and_named_by_both_pages() {
        for (here, there) in [("1", "8"), ("8", "1")] {
            let text = page(&format!("cas-sync.{here}"));
            for of in [here, there] {
                let one = if of == "1" { "run" } else { "provision" };
                assert!(text.contains(&format!("\\fBcas-sync-{one}({of})")), "{text}");
            }
            for section in ["FILES", "EXIT STATUS", "SEE ALSO"] {
                assert!(text.contains(&format!(".SH {section}\n")), "{text}");
            }
        }
        for page in pages().expect("pages") {
            assert!(!page.path.to_string_lossy().contains("internal"), "a hidden command has a page");
        }
    }

    #[test]
    fn exit_statuses_have_their_section() {
        let text = page("cas-sync-run.1");
        let (description, rest) = text.split_once(".SH EXIT STATUS\n").expect("its section");
        for row in ["\\fB0\nthe active credential works\n", "\\fB69\nclaude is missing or unusable\n"] {
            assert!(rest.contains(row), "{rest}");
        }
        assert!(!description.contains("Exit status"), "{description}");
    }
}

//! Checks that every command of `cas-sync` in the pages exists, with its options.

use clap::{Command, CommandFactory};

use super::tree::{Problem, Tree};
use crate::arguments::Arguments;

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    check_with(tree, &Arguments::command())
}

fn check_with(tree: &Tree, program: &Command) -> Vec<Problem> {
    let mut problems = Vec::new();
    let pages = tree.files().filter(|(path, _)| path.ends_with(".md") || path.ends_with(".scd"));
    for (path, text) in pages.filter(|(path, _)| *path != "CHANGELOG.md") {
        for (number, words) in typed_in(text) {
            if let Err(why) = check_words(program, &words) {
                problems.push(Problem::new(path, number, why));
            }
        }
    }
    problems
}

/// Returns the words after each quoted `cas-sync`, with the line.
fn typed_in(page: &str) -> Vec<(usize, Vec<&str>)> {
    let mut found = Vec::new();
    let mut number = 1;
    for (index, part) in page.split('`').enumerate() {
        for (offset, line) in part.lines().enumerate().filter(|_| index % 2 == 1) {
            let line = line.split('#').next().unwrap_or(line);
            for typed in line.split("cas-sync ").skip(1) {
                let typed = typed.split([';', '|', '>', ')', ',']).next().unwrap_or(typed);
                found.push((number + offset, typed.split_whitespace().collect()));
            }
        }
        number += part.matches('\n').count();
    }
    found
}

/// Checks the words as subcommands and options.
fn check_words(program: &Command, words: &[&str]) -> Result<(), String> {
    let is_plain =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let Some(first) = words.first().filter(|word| is_plain(word) && !word.starts_with('-')) else {
        return Ok(());
    };
    let mut command =
        program.find_subcommand(first).ok_or_else(|| format!("cas-sync {first} is not a command"))?;
    for word in words[1..].iter().take_while(|word| **word != "--") {
        if let Some(part) = command.find_subcommand(word) {
            command = part;
        } else if let Some(option) = word.strip_prefix("--") {
            let option = option.split('=').next().unwrap_or(option).trim_end_matches('.');
            let is_known = command.get_arguments().any(|argument| argument.get_long() == Some(option));
            if !is_known && option != "help" {
                return Err(format!("cas-sync {} has no option --{option}", command.get_name()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::*;

    #[test]
    fn unknown_command_or_option_is_reported() {
        let set = Command::new("set").arg(Arg::new("dry").long("dry-run").action(ArgAction::SetTrue));
        let program = Command::new("cas-sync").subcommand(Command::new("token").subcommand(set));
        let page = "`cas-sync token set --dry-run`\n```\nsudo cas-sync token set --wet # cas-sync x\ncas-sync go\n```\n\
                    `cas-sync` cas-sync no `cas-sync token --help`\n";
        let tree = Tree::from_files(&[("docs/a.md", page)]);
        let expected = [
            Problem::new("docs/a.md", 3, "cas-sync set has no option --wet"),
            Problem::new("docs/a.md", 4, "cas-sync go is not a command"),
        ];
        assert_eq!(check_with(&tree, &program), expected);
    }
}

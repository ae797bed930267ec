//! All commands, as their own help lists them.

use std::collections::BTreeSet;

use cas_tests::guest::{Guest, Suite};

/// The caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// A user, for the own account.
    User,
    /// An administrator.
    Root,
    /// Both: root for other users.
    Both,
}

/// The operands that may follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operands {
    None,
    /// One login name, which is required.
    One,
    /// Any number of login names.
    Any,
}

/// One command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Command {
    pub(crate) words: &'static str,
    pub(crate) whose: For,
    pub(crate) operands: Operands,
}

const fn command(words: &'static str, whose: For, operands: Operands) -> Command {
    Command { words, whose, operands }
}

pub(crate) const COMMANDS: [Command; 22] = [
    command("cas-sync run", For::User, Operands::None),
    command("cas-sync check", For::User, Operands::None),
    command("cas-sync verify", For::User, Operands::None),
    command("cas-sync backup", For::User, Operands::None),
    command("cas-sync restore", For::User, Operands::None),
    command("cas-sync watch", For::User, Operands::None),
    command("cas-sync enroll", For::Root, Operands::One),
    command("cas-sync unenroll", For::Root, Operands::One),
    command("cas-sync provision", For::Root, Operands::None),
    command("cas-sync status", For::Both, Operands::Any),
    command("cas-sync metrics", For::Root, Operands::None),
    command("cas-sync login", For::User, Operands::None),
    command("cas-sync logout", For::User, Operands::None),
    command("cas-sync token set", For::User, Operands::None),
    command("cas-sync token show", For::User, Operands::None),
    command("cas-sync token clear", For::User, Operands::None),
    command("cas-sync token import", For::User, Operands::None),
    command("cas-sync doctor", For::Both, Operands::Any),
    command("cas-sync sessions", For::Both, Operands::Any),
    command("cas-session login", For::Root, Operands::None),
    command("cas-session environment", For::User, Operands::None),
    command("cas-session notice", For::User, Operands::None),
];

/// Its operand is a command with its own arguments.
pub(crate) const LAUNCHER: &str = "cas-session exec";

/// Returns the names in each list below a heading that names commands.
fn listed(help: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_list = false;
    for line in help.lines() {
        match line.strip_prefix("  ") {
            Some(row) if is_list && !row.starts_with(' ') => names.extend(row.split_whitespace().next()),
            Some(_) => (),
            None => is_list = line.to_lowercase().contains("commands"),
        }
    }
    assert!(!names.is_empty(), "a list of commands: {help}");
    names.into_iter().filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_of_the_help_has_a_row() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    let help = |words: &str| guest.run(&format!("{words} --help")).expect_success(words).text();
    let mut found = BTreeSet::new();
    for name in listed(&help("cas-sync")) {
        match name.as_str() {
            "token" => found
                .extend(listed(&help("cas-sync token")).iter().map(|name| format!("cas-sync token {name}"))),
            name => drop(found.insert(format!("cas-sync {name}"))),
        }
    }
    let help = help("cas-session");
    let own = help.lines().filter_map(|line| line.strip_prefix("  cas-session ")?.split_whitespace().next());
    found.extend(own.filter(|name| !name.starts_with('-')).map(|name| format!("cas-session {name}")));
    let known = COMMANDS.iter().map(|command| command.words).chain([LAUNCHER]);
    assert_eq!(found, known.map(str::to_owned).collect());
}

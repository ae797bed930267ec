//! The command line of `cas-sync` as completions.

use std::path::Path;

use anyhow::Result;
use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::Made;
use crate::arguments::Arguments;

/// The names under which it is installed; the second is that of the script it replaced.
const NAMES: [&str; 2] = ["cas-sync", "claude-auth-sync"];

/// One file for each shell and name, called as that shell looks for it.
pub(crate) fn all() -> Result<Vec<Made>> {
    let places =
        [(Shell::Bash, "bash", "", ""), (Shell::Zsh, "zsh", "_", ""), (Shell::Fish, "fish", "", ".fish")];
    let mut all = Vec::new();
    for (shell, folder, before, after) in places {
        for name in NAMES {
            let mut bytes = Vec::new();
            clap_complete::generate(shell, &mut for_people(), name, &mut bytes);
            if shell == Shell::Bash {
                bytes = with_matching_names(&String::from_utf8(bytes)?, name).into_bytes();
            }
            let path = Path::new("completions").join(folder).join(format!("{before}{name}{after}"));
            all.push(Made { path, bytes });
        }
    }
    Ok(all)
}

/// The commands that are not hidden.
fn for_people() -> Command {
    let all = Arguments::command();
    let shown: Vec<_> = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    Command::new("cas-sync").version(env!("CARGO_PKG_VERSION")).subcommand_required(true).subcommands(shown)
}

/// clap_complete 4.6 spells the name of a program with a dash in two ways (clap issue 6421), so that its script finds no option
/// of any command.
fn with_matching_names(script: &str, name: &str) -> String {
    script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"))
}

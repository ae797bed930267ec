//! Generates shell completions from the command line of `cas-sync`.

use std::path::Path;

use anyhow::Result;
use clap::{Command, CommandFactory};
use clap_complete::Shell;

use crate::Made;
use crate::arguments::Arguments;

/// The names under which the program is installed. The second is that of the former script.
const NAMES: [&str; 2] = ["cas-sync", "claude-auth-sync"];

/// Returns one file per shell and name, named as the shell expects.
pub(crate) fn all() -> Result<Vec<Made>> {
    let shells =
        [(Shell::Bash, "bash", "", ""), (Shell::Zsh, "zsh", "_", ""), (Shell::Fish, "fish", "", ".fish")];
    let mut all = Vec::new();
    for (shell, folder, before, after) in shells {
        for name in NAMES {
            let mut bytes = Vec::new();
            clap_complete::generate(shell, &mut visible_commands(), name, &mut bytes);
            if shell == Shell::Bash {
                bytes = with_matching_names(&String::from_utf8(bytes)?, name).into_bytes();
            }
            let path = Path::new("completions").join(folder).join(format!("{before}{name}{after}"));
            all.push(Made { path, bytes });
        }
    }
    Ok(all)
}

/// Returns the commands that are not hidden.
fn visible_commands() -> Command {
    let all = Arguments::command();
    let shown: Vec<_> = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    Command::new("cas-sync").version(env!("CARGO_PKG_VERSION")).subcommand_required(true).subcommands(shown)
}

/// Corrects names with a dash. clap_complete 4.6 writes them in two ways (clap issue 6421), so that
/// its script finds no option of any command.
fn with_matching_names(script: &str, name: &str) -> String {
    script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"))
}

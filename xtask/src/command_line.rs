//! The command line of `cas-sync` as manual pages and completions.

use std::path::Path;

use anyhow::Result;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::Made;
use crate::arguments::Arguments;

/// The section for the commands of admins.
const SECTION: &str = "8";

/// The names under which it is installed; the second is that of the script it replaced.
const NAMES: [&str; 2] = ["cas-sync", "claude-auth-sync"];

/// One page for `cas-sync` and one for each of its commands.
pub(crate) fn manual_pages() -> Result<Vec<Made>> {
    let mut all = Arguments::command().disable_help_subcommand(true);
    all.build();
    let mut pages = vec![page(&all)?];
    for command in all.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("{}-{}", all.get_name(), command.get_name());
        // A name that lives as long as the program is what clap takes.
        let name: &'static str = name.leak();
        pages.push(page(&command.clone().name(name))?);
    }
    Ok(pages)
}

fn page(command: &Command) -> Result<Made> {
    let mut bytes = Vec::new();
    Man::new(command.clone()).section(SECTION).manual("claude-auth-sync").date("").render(&mut bytes)?;
    Ok(Made { path: Path::new("man").join(format!("{}.{SECTION}", command.get_name())), bytes })
}

/// One file for each shell and name, called as that shell looks for it.
pub(crate) fn completions() -> Vec<Made> {
    let places =
        [(Shell::Bash, "bash", "", ""), (Shell::Zsh, "zsh", "_", ""), (Shell::Fish, "fish", "", ".fish")];
    let mut all = Vec::new();
    for (shell, folder, before, after) in places {
        for name in NAMES {
            let mut bytes = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), name, &mut bytes);
            let path = Path::new("completions").join(folder).join(format!("{before}{name}{after}"));
            all.push(Made { path, bytes });
        }
    }
    all
}

//! The command line: what `--help`, the man pages and the completions are made from. Nothing but its words, so that they
//! can be made without the program.

use clap::{Parser, Subcommand};

/// Keeps the Claude logins of the people who share this machine alive: backed up, and mended.
#[derive(Parser)]
#[command(name = "cas-sync", version, arg_required_else_help = true, after_help = BY_ITSELF)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    /// What to do.
    pub(crate) command: Command,
}

const BY_ITSELF: &str = "\
For everybody who is enrolled, systemd starts `run` every six hours and when a login asks for it, and keeps `watch` running.
  systemctl list-timers 'claude-auth-*'                when that is next
  systemctl start claude-auth-sync@USER.service        now
  systemctl stop claude-auth-sync.target               a pause for everybody, until it is started again";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Look after your own login: take over the setup-token from the store, verify with `claude`, mend, back up.
    ///
    /// This is what runs by itself for whoever is enrolled, and does no harm in between. `claude` is asked one short question,
    /// and refreshes a login whose time has come. One line says what was found; ~/.local/state/claude-auth-sync/sync.log
    /// keeps those of earlier runs.
    ///
    /// Exit status: 0 fine, 2 usage, 69 `claude` missing or unusable, 75 try later, 77 refused by the store, 78 configuration, 79 a person must sign in, 1
    /// anything else.
    Run {
        /// Ask no `claude` whether the login works; requests for that are left to the next run without this.
        #[arg(long)]
        no_verify: bool,
    },
    /// Keep what Claude Code writes into your own login file, and put it back when somebody overwrites it, until ended.
    ///
    /// claude-auth-watch@USER.service runs it for whoever is enrolled; a second one waits until the first has ended. A file
    /// that is deleted is left to the next login. Exit status: 0 ended by a signal, 2 usage, 1 anything else.
    Watch,
    /// Look after the logins of USER from now on (root): at their logins, every six hours, and while they work.
    ///
    /// Enables and starts claude-auth-sync@USER.timer, claude-auth-sync@USER.path and claude-auth-watch@USER.service, and
    /// lets the first sync run in the background. Again for somebody who is enrolled, it mends what is missing. Exit
    /// status: 0 done, 1 not or not all of it, 2 usage.
    Enroll {
        /// The login name of a person on this machine.
        user: String,
        /// Leave the watch out: a login that is overwritten is mended at the next login or sync.
        #[arg(long)]
        no_watch: bool,
    },
    /// Stop looking after the logins of USER (root). Their files and the store's copy stay as they are.
    ///
    /// What can be undone is undone even where something else cannot; run it again after the remedy. Exit status: 0 done,
    /// 1 not all of it, 2 usage.
    Disenroll {
        /// The login name of a person who was enrolled.
        user: String,
    },
}

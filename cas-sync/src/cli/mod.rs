//! The command line: what `--help`, the man pages and the completions are made from. Nothing but its words, so that they
//! can be made without the program.

mod admin;
mod credential;
mod inspection;
mod internal;
mod token;

use clap::{Parser, Subcommand};

pub(crate) use self::admin::{Metrics, Provision, Unenroll};
pub(crate) use self::credential::{Backup, BackupSource, Check, LoginArgs, Restore, Verify};
pub(crate) use self::inspection::{Doctor, Sessions, Status};
pub(crate) use self::internal::Internal;
pub(crate) use self::token::{Token, TokenCommand, TokenImport, TokenSet};

/// Keeps the Claude logins of the people who share this machine alive: backed up, and mended.
#[derive(Parser)]
#[command(name = "cas-sync", version, arg_required_else_help = true, after_help = BY_ITSELF)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
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
    /// Say whether the credential that Claude Code will use lasts, for scripts and status bars.
    ///
    /// The setup-token, where there is one, else the login: as a whole, for its access token is refreshed by itself. Nobody is
    /// asked; a few small files are read, which takes milliseconds. An API key in the environment or in Claude Code's settings,
    /// which would go before, is not looked for.
    ///
    /// Exit status: 0 it lasts; 79 a person must sign in, or make a new setup-token, before that; 75 not known yet, or a copy
    /// waits to be put back (`cas-sync run`, `verify` or `restore` finds out); 1 nothing on this machine will tell, or root asks; 2
    /// usage; 78 configuration.
    Check(Check),
    /// Put the credential that is in force to the test of real inference now, and say what came of it.
    ///
    /// The setup-token, where there is one, else the login. `claude` is asked one short question in a scratch home; a login
    /// whose access token has ended is not refreshed for it. Nothing is changed but what is known of the credential.
    ///
    /// Exit status: 0 it works, also where its usage limit is reached; 69 `claude` missing or unusable; 75 nobody knows: network,
    /// overload, an access token that has ended, or another run at work for more than 30 seconds; 79 rejected, or there is none: a person
    /// must sign in; 1 refused for the whole account, nothing to verify, or root asks; 2 usage; 78 configuration.
    Verify(Verify),
    /// Back up your own login now, into the local history and the store.
    ///
    /// By the rules of `run`: nothing but a complete login that is newer than what is kept, and of the same account. Says of each
    /// place how old its copy was.
    ///
    /// Exit status: 0 backed up, or there already; 79 there is no login, or it is rejected; 77 refused by the store; 78
    /// configuration; 75 the store is away or busy, or another run is at work for more than 30 seconds; 69 `claude` missing or unusable
    /// (with --verify); 2 usage; 1 anything else.
    Backup(Backup),
    /// Put a good copy back in the place of a login that Claude Code takes for none, or that the server rejects.
    ///
    /// A login that is whole is left alone. So are copies that were rejected, that a later one has replaced, or whose access token
    /// has ended and that were put back once: presenting a refresh token that is spent can end every copy of the login, so there is
    /// no way to force it. While a setup-token is in use nothing is put back.
    ///
    /// Exit status: 0 put back, or the login is whole; 79 there is no copy that may be put back: a person must sign in; 1 the copy
    /// asked for may not be put back, or root asks; 69 or 75 where `claude` cannot be used, or gets no answer, nobody knows
    /// whether a login that looks whole works; 75 the store is away, or another run is at work for more than 30 seconds; 77
    /// refused by the store; 78 configuration; 2 usage.
    Restore(Restore),
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
        #[arg(value_hint = clap::ValueHint::Username)]
        user: String,
        /// Leave the watch out: a login that is overwritten is mended at the next login or sync.
        #[arg(long)]
        no_watch: bool,
    },
    /// Stop looking after the logins of USER (root). Their files and the store's copy stay as they are.
    ///
    /// What can be undone is undone even where something else cannot; run it again after the remedy. Everybody at once (--all)
    /// takes seconds where one by one would take minutes. Exit status: 0 done, 1 not all of it, 2 usage.
    #[command(alias = "disenroll")]
    Unenroll(Unenroll),
    /// Make this machine what the roster says (root): everybody in it is looked after, and nobody else whom it brought.
    ///
    /// For each person: the policy of their token at the server, and what it must not allow, tried out; the token, minted
    /// where there is none of their own or it ends soon, and written as them; the enrollment. Whoever is opted out or parked
    /// is unenrolled; whoever is in the roster no more also loses their token. What is as it should be is left alone, so
    /// it can be run again at any time, and runs every hour by claude-auth-provision.timer, without an admin's token: then it
    /// says what waits for one. Homes and documents are left alone.
    ///
    /// An admin's token is taken from VAULT_TOKEN. Policies and the token role are created where they are missing and that
    /// token may do so; --print-policy shows what it takes.
    ///
    /// Exit status: 78 the roster or the configuration cannot be used, or the admin's token is none; else 1 somebody was left out, not all
    /// units run, or the caller is not root; else 77 something waits for an admin or was refused; else 75 the server did not answer, another
    /// provisioning is at work, or this one was asked to end; else 0. 2 usage.
    Provision(Provision),
    /// Say how your own login is; as root, how everybody's is, the worst first.
    ///
    /// For yourself: which credential Claude Code uses here, when it was last verified, when it lapses, where the good copy is,
    /// and what happens next. For root: a table of everybody who is enrolled, from what their syncs have published; nothing
    /// in a home is opened, and paste nothing as root that their syncs say. Nobody is asked, neither a server nor `claude`: `cas-sync run` does that.
    ///
    /// Exit status: 0 fine; else the exit status of the last sync (for root: of the worst of all); 1 also where Claude Code uses
    /// another credential than the one that is looked after, where syncs are missing, or where what is published is no state;
    /// 75 also where no sync has looked yet, or not since something changed; 79 also where Claude Code would find no login. 2
    /// usage.
    Status(Status),
    /// Print how everybody is, as figures for Prometheus (root).
    ///
    /// claude-auth-metrics.timer runs it every five minutes where there is a node exporter that reads such files. Like `status` it
    /// opens nothing in a home. Exit status: 0 written, whatever the figures say; 1 not; 2 usage.
    Metrics(Metrics),
    /// Sign in to Claude Code, in a browser on any device, and have the new login looked after.
    ///
    /// Runs `claude auth login --claudeai --sso` in a scratch directory: it shows an address to open in a browser, which may be
    /// on another device, and asks for the code that is shown there. The new login takes the place of yours once `claude` was
    /// answered with it, and is backed up; all else that Claude Code keeps stays as it is. Whatever goes wrong, or
    /// is interrupted, your login is what it was, and what was obtained meanwhile is signed out again. The code may also come on
    /// the standard input, as one line.
    ///
    /// Exit status: 0 signed in; 79 it is another account or organisation than it should be, or the server rejects it: sign in
    /// again; 69 `claude` is missing or unusable, 75 nobody could say whether it works, no code came in time, or a sync or Claude
    /// Code itself is at work; 78 configuration, 2 usage, 1 anything else, such as a code that is wrong.
    Login(LoginArgs),
    /// Your own setup-token, the long-lived one of `claude setup-token`: put it in force, look at it, take it out of force.
    Token(Token),
    /// Look for what is wrong, with your own login and on this machine, and say what to do about each.
    ///
    /// Looks at the login, whose the files are, Claude Code's locks, what makes Claude Code use another credential, the client,
    /// the configuration, the server and your token there, and what runs by itself. Changes nothing, but that the token at the
    /// server is renewed: whether it can be is found out by trying. As root, at the machine and everybody who is enrolled; what is
    /// somebody's is looked at by a process that has become them. /usr/share/doc/claude-auth-sync/user/doctor.md lists what is
    /// looked at.
    ///
    /// Exit status: 0 nothing is wrong (there may be warnings), 2 usage, 1 something is wrong, or could not be looked at.
    Doctor(Doctor),
    /// Show which running processes hold a setup-token that was replaced or withdrawn, and how to start each anew.
    ///
    /// Your own processes; as root, those of everybody who is enrolled. A process keeps the environment it was started with. The login
    /// file is read again at each turn, so a running Claude Code always has the login in use. No token is shown.
    ///
    /// Exit status: 0 none holds an old token, 2 usage, 1 some do, or could not be looked at.
    Sessions(Sessions),
    /// Run a part of another command as USER (root).
    #[command(hide = true)]
    Internal {
        /// Which part.
        #[command(subcommand)]
        command: Internal,
    },
}

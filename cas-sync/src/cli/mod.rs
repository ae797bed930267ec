//! The command line, from which `--help`, the man page and the completions are generated. It uses
//! nothing else of the crate, so that a build script can include it. Texts are at most 80 columns
//! wide.

mod admin;
mod credential;
mod inspection;
mod internal;
mod token;

use clap::{Parser, Subcommand};

pub(crate) use self::admin::{Enroll, Metrics, Provision, Unenroll};
pub(crate) use self::credential::{
    Backup, BackupSource, CheckArgs, LoginArgs, LogoutArgs, Restore, Run, Verify,
};
pub(crate) use self::inspection::{Doctor, Sessions, Status};
pub(crate) use self::internal::Internal;
pub(crate) use self::token::{TokenArgs, TokenCommand, TokenImport, TokenSet};

/// Keep Claude Code logins on a shared machine valid
#[derive(Parser)]
#[command(
    name = "cas-sync",
    version,
    arg_required_else_help = true,
    help_template = HELP,
    after_help = UNITS,
    subcommand_help_heading = "Commands"
)]
pub(crate) struct Arguments {
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Groups the commands, which clap cannot do. A test compares the lines with the commands.
const HELP: &str = "\
{about}

{usage-heading} {usage}

User commands:
  status     Show the state of your login, or of all enrolled users (root)
  doctor     Find problems and print the command that fixes each
  login      Sign in to Claude Code with a browser on any device
  logout     Sign out: revoke and delete your login and its backups
  run        Verify, restore and back up your login now
  verify     Verify the active credential with one real request
  check      Check whether the active credential stays valid long enough
  backup     Back up your login to the local history and the store
  restore    Restore a backup over an unusable or rejected login
  token      Activate, show or remove your setup token
  sessions   List sessions with an old setup token or without a login
  watch      Restore your login file when another program overwrites it

Administrator commands (root):
  enroll     Enroll a user
  unenroll   Unenroll users; keep their files and backups
  provision  Apply the roster: enroll listed users, unenroll removed ones
  metrics    Print the state of all enrolled users for Prometheus

Options:
{options}{after-help}
";

const UNITS: &str = "\
systemd starts `run` for each enrolled user every six hours and after a login,
and keeps `watch` running.
  systemctl list-timers 'claude-auth-*'            show the next runs
  systemctl start claude-auth-sync@USER.service    run now
  systemctl stop claude-auth-sync.target           pause for all users";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Verify, restore and back up your login now
    ///
    /// Takes over the setup token from the store, asks claude one short question,
    /// restores a login that is unusable or rejected, and backs up a valid one.
    /// Claude Code refreshes an expired access token during the question. The
    /// result is one line; ~/.local/state/claude-auth-sync/sync.log keeps the
    /// lines of earlier runs. systemd starts this command for enrolled users.
    ///
    /// Exit status:
    ///   0   the active credential works
    ///   1   any other failure
    ///   2   usage error
    ///   69  claude is missing or unusable
    ///   75  temporary failure: network, rate limit
    ///   77  the store refused access
    ///   78  configuration error
    ///   79  you must sign in
    #[command(verbatim_doc_comment)]
    Run(Run),
    /// Check whether the active credential stays valid long enough
    ///
    /// Reads a few small files and sends no request, so that it suits scripts and
    /// status bars. Checks the setup token if there is one, else the login as a
    /// whole: Claude Code refreshes its access token by itself. Names a credential
    /// that is not managed, such as an API key in the environment or in Claude
    /// Code's settings.
    ///
    /// Exit status:
    ///   0   it stays valid for the required time
    ///   1   unknown from the files, Claude Code uses a credential that is not
    ///       managed, or root called it
    ///   2   usage error
    ///   75  not verified yet, or a backup can be restored: use run
    ///   78  configuration error
    ///   79  you must sign in or create a setup token before that
    #[command(verbatim_doc_comment)]
    Check(CheckArgs),
    /// Verify the active credential with one real request
    ///
    /// Asks claude one short question with the setup token if there is one, else
    /// with the login. The question runs in a temporary home; an expired access
    /// token is not refreshed. No credential is changed.
    ///
    /// Exit status:
    ///   0   it works; its usage limit may be reached
    ///   1   the account is refused, there is nothing to verify, Claude Code uses a
    ///       credential that is not managed, or root called it
    ///   2   usage error
    ///   69  claude is missing or unusable
    ///   75  inconclusive: network, overload, expired access token, or another run
    ///       was active for 30 seconds
    ///   78  configuration error
    ///   79  it is rejected or missing: you must sign in
    #[command(verbatim_doc_comment)]
    Verify(Verify),
    /// Back up your login to the local history and the store
    ///
    /// Backs up a complete login that is newer than the stored one and belongs to
    /// the same account. Prints the age of the former backup in each place.
    ///
    /// Exit status:
    ///   0   backed up, or the backup exists already
    ///   1   any other failure
    ///   2   usage error
    ///   69  claude is missing or unusable (with --verify)
    ///   75  the store is not reachable, or another run was active for 30 seconds
    ///   77  the store refused access
    ///   78  configuration error
    ///   79  there is no login, or it is rejected
    #[command(verbatim_doc_comment)]
    Backup(Backup),
    /// Restore a backup over an unusable or rejected login
    ///
    /// Does not replace a valid login. Does not restore a backup that was
    /// rejected or superseded, or whose access token has expired and that was
    /// restored before: reusing a consumed refresh token can revoke the login.
    /// There is no option to force it. While a setup token is active, nothing is
    /// restored.
    ///
    /// Exit status:
    ///   0   restored, or the login is valid
    ///   1   the requested backup cannot be restored, or root called it
    ///   2   usage error
    ///   69  claude is missing or unusable, so that the login was not verified
    ///   75  the store is not reachable, the verification was inconclusive, or
    ///       another run was active for 30 seconds
    ///   77  the store refused access
    ///   78  configuration error
    ///   79  no backup can be restored: you must sign in
    #[command(verbatim_doc_comment)]
    Restore(Restore),
    /// Restore your login file when another program overwrites it
    ///
    /// Runs until it is stopped. claude-auth-watch@USER.service starts it for each
    /// enrolled user; a second instance waits until the first one has ended. A
    /// deleted login file is left to the next login.
    ///
    /// Exit status:
    ///   0   ended by a signal
    ///   1   any other failure
    ///   2   usage error
    #[command(verbatim_doc_comment)]
    Watch,
    /// Enroll a user (root)
    ///
    /// Enables and starts the units of USER, and starts a first sync in the
    /// background. For an enrolled user, it repairs what is missing.
    ///
    /// Exit status:
    ///   0   enrolled
    ///   1   not enrolled, or not completely
    ///   2   usage error
    #[command(verbatim_doc_comment)]
    Enroll(Enroll),
    /// Unenroll users; keep their files and backups (root)
    ///
    /// Continues after an error: run it again once the cause is removed. --all is
    /// much faster than one call for each user. The watcher has ended afterwards; a
    /// running sync ends by itself, and --stop waits for it.
    ///
    /// Exit status:
    ///   0   unenrolled
    ///   1   not completely, or with --stop something still runs
    ///   2   usage error
    #[command(alias = "disenroll", verbatim_doc_comment)]
    Unenroll(Unenroll),
    /// Apply the roster: enroll listed users, unenroll removed ones (root)
    ///
    /// For each listed user: creates the Vault policy and checks that it grants no
    /// more than needed, mints a token if it is missing or expires soon,
    /// writes it as the user, and enrolls the user. Users with claude_auth: false
    /// or parked: true are unenrolled. Users who were removed from the roster also
    /// lose their token. Homes and stored documents are not changed.
    ///
    /// It can be repeated at any time. claude-auth-provision.timer runs it every
    /// hour without an administrator token; it then reports what needs one.
    /// VAULT_TOKEN holds the administrator token. --print-policy prints the least
    /// policy for it.
    ///
    /// Exit status:
    ///   0   all users are provisioned
    ///   1   a user was skipped, a unit does not run, or root did not call it
    ///   2   usage error
    ///   75  the Vault server is not reachable, another run is active, or this one
    ///       was stopped
    ///   77  something needs an administrator token, or was refused
    ///   78  the roster, the configuration or the administrator token is invalid
    #[command(verbatim_doc_comment)]
    Provision(Provision),
    /// Show the state of your login, or of all enrolled users
    ///
    /// For yourself: the active credential, its last verification, its expiry, its
    /// backups and the next sync. For root: a table of all enrolled users from the
    /// results that their syncs have published, problems first. Sends no request
    /// and, for root, opens no file in a home. Do not paste text of this table
    /// into a root shell: users can write it.
    ///
    /// Exit status:
    ///   0   no problem; else that of the last sync, for root of the worst user
    ///   1   Claude Code uses a credential that is not managed, no sync runs, or
    ///       the published state is invalid
    ///   2   usage error
    ///   75  no sync has run yet, or none since the credential changed
    ///   79  you must sign in
    #[command(verbatim_doc_comment)]
    Status(Status),
    /// Print the state of all enrolled users for Prometheus (root)
    ///
    /// claude-auth-metrics.timer runs it every five minutes if the machine has a
    /// node exporter with a textfile directory. Opens no file in a home.
    ///
    /// Exit status:
    ///   0   written
    ///   1   not written
    ///   2   usage error
    #[command(verbatim_doc_comment)]
    Metrics(Metrics),
    /// Sign in to Claude Code with a browser on any device
    ///
    /// Runs `claude auth login --claudeai --sso` in a temporary directory. Prints a
    /// URL, which you can open on another device, and asks for the code that the
    /// browser shows; the code can also be one line on the standard input. The new
    /// login replaces yours after claude has answered with it, and is backed up.
    /// If anything fails, your login is not changed, and the new one is signed out.
    ///
    /// Exit status:
    ///   0   signed in
    ///   1   any other failure, such as a wrong code
    ///   2   usage error
    ///   69  claude is missing or unusable
    ///   75  the verification was inconclusive, no code was entered in time, or a
    ///       sync or Claude Code is active
    ///   78  configuration error
    ///   79  another account or organization, or rejected: sign in again
    #[command(verbatim_doc_comment)]
    Login(LoginArgs),
    /// Sign out: revoke and delete your login and its backups
    ///
    /// Deletes the backup in the store, asks the Anthropic API to revoke the login
    /// (`claude auth logout` in a temporary directory), and deletes the login, the
    /// account in ~/.claude.json and the local backups. Other members of the files
    /// and fields of the store stay. Nothing restores the login afterwards, except
    /// `restore` after --keep-backups. A setup token is not changed.
    ///
    /// If the store is not reachable, nothing is changed. If the Anthropic API does
    /// not confirm the revocation, the login is deleted and the exit status is 1.
    /// After an interruption or an error, run the command again.
    ///
    /// A backup that another machine has written to the store stays. Machines that
    /// use the same login lose it, because it is revoked. A machine with its own
    /// login stays signed in. Earlier versions of a document in Vault remain until
    /// the server deletes them.
    ///
    /// Exit status:
    ///   0   signed out
    ///   1   signed out, but not revoked; or any other failure
    ///   2   usage error
    ///   69  Claude Code does not use the credential file that is configured
    ///   75  the store is not reachable, or a sync or Claude Code is active
    ///   77  the store refused access
    ///   78  configuration error
    #[command(verbatim_doc_comment)]
    Logout(LogoutArgs),
    /// Activate, show or remove your setup token
    ///
    /// `claude setup-token` creates a setup token, which is valid for one year.
    #[command(verbatim_doc_comment)]
    Token(TokenArgs),
    /// Find problems and print the command that fixes each
    ///
    /// Checks the login, the owners and modes of files, Claude Code's locks,
    /// settings that select another credential, the client, the configuration, the
    /// store, your Vault token and the units. Changes nothing, except that it
    /// renews your Vault token to see whether it is renewable. For root: checks the
    /// machine and all enrolled users; a process that has become the user checks
    /// each home. /usr/share/doc/claude-auth-sync/user/doctor.md lists the checks.
    ///
    /// Exit status:
    ///   0   no problem; there may be warnings
    ///   1   a problem, or a check was not possible
    ///   2   usage error
    #[command(verbatim_doc_comment)]
    Doctor(Doctor),
    /// List sessions with an old setup token or without a login
    ///
    /// A setup token is old if it was replaced or withdrawn. A process keeps the
    /// environment with which it was started; the list says how to restart each
    /// one. Claude Code reads the login file at each turn, so a login needs no
    /// restart. A background session (`claude --bg`) that found no login waits for
    /// a message, even after the login was restored; the list says how to open it.
    /// For root: the sessions of all enrolled users. No token is printed.
    ///
    /// Exit status:
    ///   0   no process holds an old token, and no session waits for a login
    ///   1   some do, or a user could not be checked
    ///   2   usage error
    #[command(verbatim_doc_comment)]
    Sessions(Sessions),
    /// Run a part of another command as USER
    #[command(hide = true)]
    Internal {
        /// The part
        #[command(subcommand)]
        command: Internal,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn help_lists_every_command_once() {
        let arguments = Arguments::command();
        let commands = arguments.get_subcommands().filter(|command| !command.is_hide_set());
        let mut expected: Vec<String> = commands
            .map(|command| {
                let about = command.get_about().map(ToString::to_string).unwrap_or_default();
                format!("{:<11}{}", command.get_name(), about.trim_end_matches(" (root)"))
            })
            .collect();
        let mut listed: Vec<String> = HELP
            .lines()
            .filter_map(|line| line.strip_prefix("  "))
            .map(|line| line.trim_end_matches(" (root)").to_owned())
            .collect();
        expected.sort();
        listed.sort();
        assert_eq!(listed, expected);
    }

    #[test]
    fn help_fits_80_columns_and_starts_with_a_short_sentence() {
        let mut left = vec![Arguments::command()];
        while let Some(mut command) = left.pop() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(about.split_whitespace().count() <= 12, "{about}");
            for line in command.render_long_help().to_string().lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
            left.extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
        }
    }
}

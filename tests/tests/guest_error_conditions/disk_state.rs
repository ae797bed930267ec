//! A workstation with a store, of which every byte is compared.

use cas_tests::guest::{CommandResult, Suite, VaultGuest};
use cas_tests::{claude_login, openbao::VaultUser};

/// The workstation, and the user at the server.
pub(crate) struct Host {
    pub(crate) vault_guest: VaultGuest,
    pub(crate) alice: VaultUser,
}

/// The caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Alice,
    Root,
}

/// The changes that a command may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unchanged {
    /// No changes.
    Everything,
    /// Its own state, and what it publishes.
    AllButOwnNotes,
}

impl Host {
    /// Creates the workstation: alice is enrolled and has a backed-up login and a Vault token; bob
    /// is another user.
    #[track_caller]
    pub(crate) fn start() -> Self {
        let vault_guest = VaultGuest::start(Suite::Bookworm, "15min");
        let alice = vault_guest.enroll("alice");
        vault_guest.guest.put_login("alice", &claude_login::new_login("one"));
        vault_guest.guest.sync("alice").expect_success("the first backup");
        vault_guest.guest.write("/etc/claude-auth-sync/roster.yaml", "root", "644", b"users:\n  alice: {}\n");
        Self { vault_guest, alice }
    }

    /// Runs a shell command line with this standard input.
    pub(crate) fn run(&self, who: Who, words: &str, input: &str) -> CommandResult {
        // A command that does not end has also failed.
        let words = format!("timeout 60 {words}");
        match who {
            Who::Root => self.vault_guest.guest.run_with_input(&format!("cd / && {words}"), input.as_bytes()),
            Who::Alice => self.vault_guest.guest.run_with_input(
                &format!(
                    "cd / && exec runuser -u alice -- env -i HOME=/home/alice PATH=/usr/bin:/bin {words}"
                ),
                input.as_bytes(),
            ),
        }
    }

    /// Returns the content of every file of users, the configuration and the product, and of the
    /// server.
    #[track_caller]
    pub(crate) fn snapshot(&self, kept: Unchanged) -> Vec<String> {
        let without = match kept {
            Unchanged::Everything => "",
            Unchanged::AllButOwnNotes => {
                r"-path '/home/*/.local' -prune -o -path /var/lib/claude-auth-sync/published -prune -o -path /var/lib/claude-auth-sync/provision.lock -prune -o"
            }
        };
        let script = format!(
            "all='/home /etc /var/lib/claude-auth-sync'
             find $all {without} ! -type d -printf '%p %M %U:%G %i\\n' | sort
             find $all {without} -type d -printf '%p %M %U:%G\\n' | sort
             find $all {without} -type f -exec sha256sum {{}} + | sort -k2"
        );
        let files = self.vault_guest.guest.run(&script).expect_success("looking").text();
        files.lines().map(str::to_owned).collect()
    }
}

/// Returns the lines that are in only one of both.
pub(crate) fn difference(before: &[String], after: &[String]) -> Vec<String> {
    let only = |these: &[String], those: &[String], sign: &str| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).map(|line| format!("{sign} {line}")).collect()
    };
    [only(before, after, "-"), only(after, before, "+")].concat()
}

/// Returns the mistake in an error message, if there is one. A correct one is short, on the
/// standard error only, and contains these words.
pub(crate) fn fault(output: &CommandResult, code: i32, says: &str) -> Option<String> {
    let (out, error) = (output.text(), String::from_utf8_lossy(&output.stderr).into_owned());
    let why = match () {
        () if output.code != Some(code) => format!("ended with {:?}, not {code}", output.code),
        () if !out.is_empty() => "there is text on the standard output".to_owned(),
        () if error.lines().count() != 1 => "the error is not exactly one line".to_owned(),
        () if !(error.starts_with("cas-sync: ") || error.starts_with("cas-session: ")) => {
            "the error does not name the program".to_owned()
        }
        () if !error.contains(says) => format!("the error lacks {says:?}"),
        () => return None,
    };
    Some(format!("{why}: {out}{error}"))
}

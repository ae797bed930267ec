//! Runs the notification command of the administrator after each change in what a user must do, for
//! example to send mail. It runs as the user, gets no secret, and its result changes nothing.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cas_core::outcome::Outcome;
use cas_core::outcome::notice::{Urgency, UserAction};
use cas_core::outcome::state_report::StateReport;
use cas_protocol::deadline::Deadline;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The time limit, after which the command and its process group are killed.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The poll interval for its end.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The text if no action is left.
const NOTHING_TO_DO: &str = "Claude Code: there is nothing left for you to do";

/// The command, and the user that it is about.
#[derive(Clone, Debug)]
pub(crate) struct NotifyCommand {
    /// The program and its arguments; never empty.
    pub(crate) command: Vec<String>,
    /// The user.
    pub(crate) user: String,
    /// The home of the user.
    pub(crate) home: PathBuf,
}

/// A change in what the user must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoticeChange {
    text: String,
    variables: [(&'static str, String); 5],
}

impl NoticeChange {
    /// Returns the change from one sync to the next; `None` if the required action is the same, or
    /// there never was one.
    pub(crate) fn diff(before: Option<&StateReport>, after: &StateReport, outcome: &Outcome) -> Option<Self> {
        let earlier = before.and_then(|before| before.notice_reason.as_deref());
        let reason = after.notice_reason.as_deref();
        if earlier == reason {
            return None;
        }
        let notice = outcome.notice();
        let line = match (reason, notice.action) {
            (None, _) => None,
            (Some(_), UserAction::Required(line)) => Some(line),
            (Some(_), _) => notice.expiry,
        };
        let expires_at = after.credential.as_ref().and_then(|credential| credential.expires_at_ms);
        Some(Self {
            text: line.map_or_else(|| NOTHING_TO_DO.to_owned(), |line| line.text),
            variables: [
                ("CLAUDE_AUTH_STATE", Urgency::from_reason(reason).to_string()),
                ("CLAUDE_AUTH_STATE_BEFORE", Urgency::from_reason(earlier).to_string()),
                ("CLAUDE_AUTH_REASON", reason.unwrap_or_default().to_owned()),
                ("CLAUDE_AUTH_STATUS", after.status.clone()),
                ("CLAUDE_AUTH_EXPIRES_AT", expires_at.map(|at| at.to_string()).unwrap_or_default()),
            ],
        })
    }
}

impl NotifyCommand {
    /// Runs the program.
    ///
    /// # Errors
    /// If the command fails. The caller only logs it.
    pub(crate) fn run(&self, change: &NoticeChange) -> Result<()> {
        self.run_within(change, TIMEOUT).context("notify.command")
    }

    fn run_within(&self, change: &NoticeChange, limit: Duration) -> Result<()> {
        let (program, arguments) = self.command.split_first().context("it is empty")?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir("/").process_group(0);
        command.env_clear().envs(change.variables.iter().map(|(name, value)| (name, OsStr::new(value))));
        command.env("CLAUDE_AUTH_USER", &self.user).env("USER", &self.user).env("LOGNAME", &self.user);
        command.env("HOME", &self.home).env("PATH", SEARCH_PATH).env("LANG", "C.UTF-8");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // One line fits into any pipe, and the command need not read it.
            drop(writeln!(stdin, "{}", change.text));
        }
        match wait(&mut child, &Deadline::after(limit)) {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("{program} ended with {status}"),
            None => {
                kill(child);
                bail!("{program} took longer than {} s, and was killed", limit.as_secs_f32())
            }
        }
    }
}

fn wait(child: &mut Child, deadline: &Deadline) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if !deadline.is_expired() => thread::sleep(POLL_INTERVAL.min(deadline.remaining())),
            _ => return None,
        }
    }
}

/// Kills the child and its process group. The child has not been waited for, so the group id is
/// still its own.
fn kill(mut child: Child) {
    if let Ok(leader) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
    }
    drop(child.wait());
}

#[cfg(test)]
mod tests {
    use std::fs;

    use cas_core::credential::expiry::{CredentialKind, Expiry};
    use cas_core::credential::expiry_warning::ExpiryWarning;
    use cas_core::credential::fingerprint::Fingerprint;
    use cas_core::credential::login::{LoginSummary, Owner};
    use cas_core::credential::verification::Verification;
    use cas_core::outcome::{BackupLocation, Finding, Status};
    use cas_core::planner::Mode;
    use cas_core::state::directory::StateDirectory;
    use cas_core::state::notice_file;
    use cas_core::time::timestamp::Timestamp;
    use nix::unistd::Uid;

    use super::*;

    fn outcome(verdict: Verification) -> Outcome {
        let status = if verdict.is_alive() { Status::Ok } else { Status::Fail };
        Outcome::new(
            status,
            Finding::SetupToken { token: Fingerprint::from_bytes("t"), verdict: Some(verdict) },
        )
    }

    fn state(outcome: &Outcome, reason: Option<&str>) -> StateReport {
        let state = StateReport::from_outcome(outcome, "alice", Timestamp::from_millis(1), None);
        StateReport { notice_reason: reason.map(str::to_owned), ..state }
    }

    fn value<'change>(change: &'change NoticeChange, name: &str) -> &'change str {
        let found = change.variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str()).expect("a variable")
    }

    #[test]
    fn change_is_reported_once() {
        let (rejected, fine) =
            (outcome(Verification::Rejected { account_level: false }), outcome(Verification::Ok));
        let (bad, soon) = (Some("setup-token-rejected"), Some("setup-token-expires-in-7-days"));
        let rows = [
            (None, None, None),
            (None, bad, Some(("none", "action-required"))),
            (bad, bad, None),
            (bad, None, Some(("action-required", "none"))),
            (None, soon, Some(("none", "expires-soon"))),
            (soon, bad, Some(("expires-soon", "action-required"))),
        ];
        for (earlier, now, expected) in rows {
            let of = if now == bad { &rejected } else { &fine };
            let change = NoticeChange::diff(Some(&state(&fine, earlier)), &state(of, now), of);
            let words = change
                .as_ref()
                .map(|it| (value(it, "CLAUDE_AUTH_STATE_BEFORE"), value(it, "CLAUDE_AUTH_STATE")));
            assert_eq!(words, expected, "{earlier:?} {now:?}");
        }
        let first = NoticeChange::diff(None, &state(&rejected, bad), &rejected).expect("a change");
        assert!(first.text.contains("claude setup-token"), "{first:?}");
        assert_eq!(NoticeChange::diff(None, &state(&fine, None), &fine), None);
    }

    #[test]
    fn restore_of_an_expiring_login_is_no_change() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let directory = StateDirectory::new(scratch.path().to_owned(), Uid::effective().as_raw());
        let at = |hours: u64| Timestamp::from_millis(1_796_040_000_000 + hours * 60 * 60 * 1000);
        let login = LoginSummary {
            generation: Fingerprint::from_bytes("g"),
            expires_at: at(8),
            login_expires_at: Some(at(50)),
            owner: Owner::default(),
        };
        let verdict = || Some(Verification::Ok);
        let source = BackupLocation::LocalHistory;
        let valid = || Finding::Login { login: login.clone(), verdict: verdict() };
        let restored = Finding::Restored { login: login.clone(), is_fresh: true, source, verdict: verdict() };
        let mut before = None;
        let changes = [valid(), restored, valid()].map(|finding| {
            let expiry = Expiry::for_login(&login).expect("it is declared");
            let expiry_warning = ExpiryWarning::check(at(0), CredentialKind::Login, expiry);
            let outcome = Outcome { expiry_warning, ..Outcome::new(Status::Ok, finding) };
            let reason = notice_file::update(&outcome, Mode::Sync, &directory).expect("updated");
            let after = state(&outcome, reason.as_deref());
            let change = NoticeChange::diff(before.as_ref(), &after, &outcome);
            before = Some(after);
            change.map(|change| value(&change, "CLAUDE_AUTH_STATE").to_owned())
        });
        assert_eq!(changes, [Some("expires-soon".to_owned()), None, None]);
    }

    #[test]
    fn command_gets_text_and_listed_variables() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let seen = scratch.path().join("seen");
        let script = format!("env | sort >{0}; cat >>{0}", seen.display());
        let notify = NotifyCommand {
            command: ["/bin/sh", "-c", &script].map(str::to_owned).to_vec(),
            user: "alice".into(),
            home: "/home/alice".into(),
        };
        let fine = outcome(Verification::Ok);
        let change = NoticeChange::diff(Some(&state(&fine, Some("login-lost"))), &state(&fine, None), &fine);
        notify.run(&change.expect("a change")).expect("it went well");
        let seen = fs::read_to_string(seen).expect("it ran");
        let names: Vec<_> = seen.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        let own = ["_", "PWD", "OLDPWD", "SHLVL"]; // the shell's
        let given: Vec<_> = names.into_iter().filter(|name| !own.contains(name)).collect();
        let expected = [
            "CLAUDE_AUTH_EXPIRES_AT",
            "CLAUDE_AUTH_REASON",
            "CLAUDE_AUTH_STATE",
            "CLAUDE_AUTH_STATE_BEFORE",
            "CLAUDE_AUTH_STATUS",
            "CLAUDE_AUTH_USER",
            "HOME",
            "LANG",
            "LOGNAME",
            "PATH",
            "USER",
        ];
        assert_eq!(given, expected, "{seen}");
        assert!(seen.ends_with("Claude Code: there is nothing left for you to do\n"), "{seen}");
    }

    #[test]
    fn failed_or_hanging_command_is_an_error() {
        let change = NoticeChange {
            text: "x".into(),
            variables: ["A", "B", "C", "D", "E"].map(|name| (name, String::new())),
        };
        for (script, expected) in [
            ("exit 3", "exit status: 3"),
            ("sleep 600 & sleep 600", "took longer"),
            ("exec 0<&-; exit 0", ""),
        ] {
            let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
            let notify = NotifyCommand { command, user: "a".into(), home: "/".into() };
            let result = notify.run_within(&change, Duration::from_millis(300));
            assert_eq!(result.is_ok(), expected.is_empty(), "{script}");
            assert!(
                result.is_ok() || result.is_err_and(|error| format!("{error:#}").contains(expected)),
                "{script}"
            );
        }
        let missing =
            NotifyCommand { command: vec!["/nonexistent".into()], user: "a".into(), home: "/".into() };
        let error = missing.run(&change).expect_err("it is not there");
        assert!(format!("{error:#}").contains("notify.command: cannot start /nonexistent"), "{error:#}");
    }
}

//! A user's own state and its summary. It is collected without network requests and without
//! `claude`, and holds no secret.

use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::LoginFileState;
use cas_core::credential::sign_out::SignOut;
use cas_core::outcome::{ExitStatus, Status};
use cas_core::time::format::format_relative;
use cas_core::time::timestamp::Timestamp;

use crate::precedence::{Effective, Kind, Sources};
use crate::published_state::report::PublishedReport;

/// The collected state.
#[derive(Debug)]
pub(crate) struct SelfReport {
    pub(crate) user: String,
    pub(crate) machine: String,
    /// The time of the collection.
    pub(crate) now: Timestamp,
    /// The credentials that Claude Code can choose from.
    pub(crate) sources: Sources,
    /// The credential that Claude Code chooses.
    pub(crate) effective: Effective,
    /// The report of the last sync, if there is one, or why it cannot be read.
    pub(crate) report: Result<Option<PublishedReport>, String>,
    pub(crate) is_enrolled: bool,
    /// The newest login in the local history and when it was saved.
    pub(crate) newest_backup: Result<Option<(LoginSummary, Timestamp)>, String>,
    pub(crate) store: StoreContact,
    pub(crate) next: Schedule,
}

/// The place of backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreContact {
    /// In the state directory only.
    Local,
    /// In Vault.
    Vault {
        /// The configured URL.
        url: Option<String>,
        /// Time of the last answer.
        answered_at: Option<Timestamp>,
        /// Time of the last failed request.
        failed_at: Option<Timestamp>,
    },
    /// The configuration cannot be used; why.
    Unknown(String),
}

/// The next actions of systemd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// The next start of the timer.
    pub(crate) sync_at: Option<Timestamp>,
    /// True if the watcher runs; `None` if unknown.
    pub(crate) is_watched: Option<bool>,
    /// Why systemd did not answer.
    pub(crate) unknown: Option<String>,
}

/// The summary of a [`SelfReport`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) status: Status,
    /// The cause and the remedy.
    pub(crate) reason: String,
    pub(crate) exit_code: u8,
}

fn warn(status: ExitStatus, reason: String) -> Summary {
    Summary { status: Status::Warn, reason, exit_code: status.code() }
}

impl SelfReport {
    /// Returns status, reason and exit code.
    pub(crate) fn summary(&self) -> Summary {
        if let Some(problem) = &self.sources.state_problem {
            let status = if problem.prevents_start() { Status::Fail } else { Status::Warn };
            return Summary { status, reason: problem.to_string(), exit_code: ExitStatus::Failure.code() };
        }
        let report = match &self.report {
            Ok(report) => report.as_ref(),
            Err(why) => {
                return warn(
                    ExitStatus::Failure,
                    format!(
                        "cannot read the result of the last sync: {why}; run `cas-sync run` to write it again"
                    ),
                );
            }
        };
        let Some(why) = self.sources.unmanaged(&self.effective) else { return self.managed_summary(report) };
        // Another user's settings must not hide that the user has to act.
        let managed = self
            .sources
            .is_foreign(&self.effective)
            .then(|| self.managed_summary(report))
            .filter(|managed| managed.exit_code == ExitStatus::SignInRequired.code());
        match managed {
            Some(managed) => Summary { reason: format!("{}; {why}", managed.reason), ..managed },
            None => warn(ExitStatus::Failure, why),
        }
    }

    /// Returns the summary of the managed credential.
    fn managed_summary(&self, report: Option<&PublishedReport>) -> Summary {
        if !self.effective.has_managed() {
            return self.no_login_summary(report);
        }
        let Some(report) = report else {
            return warn(ExitStatus::TryLater, "not synced yet; run `cas-sync run`".into());
        };
        if report.is_in_future(self.now) {
            return warn(
                ExitStatus::Failure,
                format!("the last sync was {}: check the clock", format_relative(report.at, self.now)),
            );
        }
        if self.has_changed(report) && report.exit_code != 0 {
            return warn(
                ExitStatus::TryLater,
                "it has changed since the last sync reported a problem; run `cas-sync run` to check it again"
                    .into(),
            );
        }
        if report.is_outdated(self.now) && report.status != Status::Fail {
            let ago = format_relative(report.at, self.now);
            return warn(ExitStatus::Failure, format!("the last sync was {ago}: {}", self.restart_hint()));
        }
        Summary { status: report.status, reason: report.text.clone(), exit_code: report.exit_code }
    }

    /// Returns true if the active credential is not the one that the last sync reported. Claude
    /// Code also refreshes a login several times a day.
    pub(crate) fn has_changed(&self, report: &PublishedReport) -> bool {
        let reported = report.credential.as_ref().and_then(|credential| credential.fingerprint.clone());
        let active = match self.effective.chosen.map(|chosen| chosen.kind) {
            Some(Kind::Login) => {
                let unrefreshed = || self.sources.login.unrefreshed_token().map(|token| token.fingerprint);
                self.sources.login.login().map(|login| login.generation).or_else(unrefreshed)
            }
            Some(Kind::Token(_)) => self.sources.env_file,
            _ => None,
        };
        match (active, reported) {
            (None, _) => false,
            (Some(active), Some(reported)) => reported != active.to_string(),
            // A sync that failed before it read a credential reports none.
            (Some(_), None) => reports_lost_login(report),
        }
    }

    fn no_login_summary(&self, report: Option<&PublishedReport>) -> Summary {
        let fail = |reason: String| Summary {
            status: Status::Fail,
            reason,
            exit_code: ExitStatus::SignInRequired.code(),
        };
        if self.effective.token_not_here {
            let reason = "Claude Code is not logged in: there is a setup token, but this session started without it; log in again, or start Claude Code with `cas-session exec`";
            return Summary {
                status: Status::Warn,
                reason: reason.into(),
                exit_code: ExitStatus::Failure.code(),
            };
        }
        if self.sources.sign_out == Some(SignOut::Logout) {
            let remedy = "sign in with `cas-sync login`, or restore a backup with `cas-sync restore`";
            return fail(format!("Claude Code is not logged in: {}; {remedy}", SignOut::Logout));
        }
        let found = match &self.sources.login {
            LoginFileState::Missing => "there is no login",
            LoginFileState::ClearedByClient => "the login was cleared by Claude Code after a refused refresh",
            LoginFileState::Invalid(_) => "the login is invalid",
            LoginFileState::Unreadable(_) => "the login file cannot be read",
            LoginFileState::Valid(_)
            | LoginFileState::AccessTokenExpired(_)
            | LoginFileState::NotRefreshable(_) => "there is a login that Claude Code does not use",
        };
        let cause = match report.filter(|report| report.status == Status::Fail) {
            Some(report) if reports_lost_login(report) => report.text.clone(),
            Some(report) => format!("{found}; {}", report.text),
            None => {
                format!("{found}; run `cas-sync run` to restore a backup, or sign in with `cas-sync login`")
            }
        };
        fail(format!("Claude Code is not logged in: {cause}"))
    }

    fn restart_hint(&self) -> String {
        match self.is_enrolled {
            true => format!(
                "run `systemctl status claude-auth-sync@{}.timer` to see why, and `cas-sync run` to sync now",
                self.user
            ),
            false => format!(
                "not enrolled, so no sync is scheduled; as root, run `cas-sync enroll {}`, and `cas-sync run` to sync now",
                self.user
            ),
        }
    }
}

/// Returns true if the sync reported that there is no login.
fn reports_lost_login(report: &PublishedReport) -> bool {
    matches!(report.finding.as_str(), "unrecoverable" | "restore-failed" | "obstructed" | "no-login")
}

#[cfg(test)]
#[path = "self_report_tests.rs"]
mod tests;

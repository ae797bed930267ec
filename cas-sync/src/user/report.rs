//! Reports the outcome of a run: on the terminal, in the journal, in `sync.log`, `state.json` and
//! the notice.

use std::io::{self, Write};

use anyhow::Context;
use cas_core::config::ConfigError;
use cas_core::outcome::state_report::{self, StateReport};
use cas_core::outcome::{ExitStatus, Finding, Outcome, Status};
use cas_core::planner::Mode;
use cas_core::state::directory::StateDirectory;
use cas_core::state::notice_file;
use cas_core::state::publication::Publication;
use cas_core::state::sync_requests::SyncRequests;
use cas_core::system::syslog;
use cas_core::time::timestamp::Timestamp;

use crate::systemd;
use crate::term::stderr::print_error;
use crate::user::notify::{NoticeChange, NotifyCommand};
use crate::user::sync_log;
use crate::user::verification::VerifyMode;

/// A run to be reported.
pub(crate) struct Report {
    /// The user.
    pub(crate) user: String,
    /// The directory of the log and the state.
    pub(crate) state: StateDirectory,
    /// The requests to root to publish the state.
    pub(crate) requests: SyncRequests,
    /// The start of the run.
    pub(crate) now: Timestamp,
    /// The verification mode of the run.
    pub(crate) verification: VerifyMode,
}

impl Report {
    /// Reports the outcome everywhere. A closed terminal or a full disk is ignored.
    pub(crate) fn publish_all(&self, outcome: &Outcome, notify: Option<&NotifyCommand>) {
        drop(writeln!(io::stdout(), "{} {outcome}", outcome.status));
        self.publish_without_stdout(outcome, notify);
    }

    /// Reports the outcome everywhere except on the terminal.
    pub(crate) fn publish_without_stdout(&self, outcome: &Outcome, notify: Option<&NotifyCommand>) {
        let change = self.record(outcome);
        if let Some((notify, change)) = notify.zip(change)
            && let Err(error) = notify.run(&change)
        {
            print_error(&error);
            self.log(Status::Warn, &format!("{error:#}"));
        }
    }

    /// Reports the outcome without terminal and notification command; returns the change to notify.
    pub(crate) fn record(&self, outcome: &Outcome) -> Option<NoticeChange> {
        let mut change = None;
        if outcome.finding == Finding::AnotherRunActive {
            syslog::log_outcome(&self.user, outcome);
        } else {
            change = self.update_state(outcome);
        }
        self.log(outcome.status, &outcome.to_string());
        change
    }

    fn log(&self, status: Status, text: &str) {
        let log = self.state.path("sync.log");
        sync_log::append(&log, self.now, status, text)
            .with_context(|| format!("cannot write {}; move it away", log.display()))
            .unwrap_or_else(|error| print_error(&error));
    }

    /// Reports a run that could not begin, with its error on the terminal. Returns the exit status.
    pub(crate) fn report_failure(&self, error: &anyhow::Error) -> ExitStatus {
        let why = format!("{error:#}");
        let finding = match error.is::<ConfigError>() {
            true => Finding::Misconfigured(why),
            false => Finding::Skipped(why),
        };
        let outcome = Outcome::new(Status::Fail, finding);
        print_error(error);
        self.update_state(&outcome);
        outcome.exit_status()
    }

    /// Updates the state from the outcome, and logs it unless it only repeats that an outage
    /// continues. A run without verification does not update the state. Returns the change for the
    /// user after it is saved, so that it is notified once.
    fn update_state(&self, outcome: &Outcome) -> Option<NoticeChange> {
        let mode = match self.verification {
            VerifyMode::Verify => Mode::Sync,
            VerifyMode::Skip => Mode::Watch,
        };
        let followed = notice_file::update(outcome, mode, &self.state);
        let notice_reason = match followed.context("cannot update the notice") {
            Ok(reason) => Some(reason),
            Err(error) => {
                print_error(&error);
                None
            }
        };
        if self.verification == VerifyMode::Skip {
            // The run that tracks the duration of an outage logs it.
            if outcome.outage().is_none() {
                syslog::log_outcome(&self.user, outcome);
            }
            return None;
        }
        let before = self.state.load::<Option<StateReport>>(state_report::FILE_NAME).unwrap_or_default();
        let mut after = StateReport::from_outcome(outcome, &self.user, self.now, before.as_ref());
        after.notice_reason = notice_reason.unwrap_or_else(|| before.as_ref()?.notice_reason.clone());
        if after.should_log(outcome, before.as_ref()) {
            syslog::log_outcome(&self.user, outcome);
        }
        let saved = self.state.save(state_report::FILE_NAME, &after);
        match saved
            .with_context(|| format!("cannot update {}", self.state.path(state_report::FILE_NAME).display()))
        {
            Ok(()) => {
                self.request_publication();
                NoticeChange::diff(before.as_ref(), &after, outcome)
            }
            Err(error) => {
                print_error(&error);
                None
            }
        }
    }

    /// Requests root to publish the state that was just saved. The service of a sync publishes it
    /// without a request.
    pub(crate) fn request_publication(&self) {
        if !systemd::runs_in_sync_service() {
            Publication::new(&self.state, &self.requests).request();
        }
    }
}

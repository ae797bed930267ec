//! How a run ended, told everywhere from one outcome: the terminal, the journal, `sync.log`, `state.json`,
//! the notice.

use std::io::{self, Write};

use anyhow::Context;
use cas_core::config::ConfigError;
use cas_core::outcome::state_report::{self, StateReport};
use cas_core::outcome::{Finding, Outcome, Status};
use cas_core::planner::Mode;
use cas_core::state::directory::StateDirectory;
use cas_core::state::notice_file;
use cas_core::system::syslog;
use cas_core::time::timestamp::Timestamp;

use crate::published_state::PublishedState;
use crate::term::stderr::print_error;
use crate::user::notify::{NoticeChange, NotifyCommand};
use crate::user::sync_log;
use crate::user::verification::VerifyMode;

/// One run, as those who hear of it know it.
pub(crate) struct Report {
    /// Whose run it was.
    pub(crate) user: String,
    /// Where the log and the state lie.
    pub(crate) state: StateDirectory,
    /// Where root finds the state.
    pub(crate) shelf: PublishedState,
    /// When it began.
    pub(crate) now: Timestamp,
    /// What it was for.
    pub(crate) verification: VerifyMode,
}

impl Report {
    /// Tells how the run ended. A reader who is gone, or a disk that is full, changes nothing about that.
    pub(crate) fn publish_all(&self, outcome: &Outcome, notify: Option<&NotifyCommand>) {
        drop(writeln!(io::stdout(), "{} {outcome}", outcome.status));
        self.publish_without_stdout(outcome, notify);
    }

    /// The same without a word on the terminal.
    pub(crate) fn publish_without_stdout(&self, outcome: &Outcome, notify: Option<&NotifyCommand>) {
        let change = self.record(outcome);
        if let Some((notify, change)) = notify.zip(change)
            && let Err(error) = notify.run(&change)
        {
            print_error(&error);
            self.log(Status::Warn, &format!("{error:#}"));
        }
    }

    /// The same without a word to the admin's program: what there would be to tell that.
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
            .with_context(|| format!("not logged in {}: move it out of the way", log.display()))
            .unwrap_or_else(|error| print_error(&error));
    }

    /// Tells those on call of a run that could not begin, and the terminal as of every error. Returns the exit code.
    pub(crate) fn report_failure(&self, error: &anyhow::Error) -> u8 {
        let why = format!("{error:#}");
        let finding = match error.is::<ConfigError>() {
            true => Finding::Misconfigured(why),
            false => Finding::Skipped(why),
        };
        let outcome = Outcome::new(Status::Fail, finding);
        print_error(error);
        self.update_state(&outcome);
        outcome.exit_code()
    }

    /// The state follows the outcome; the journal has a line of it unless it only says once more that an outage lasts. A run
    /// that was not to find out whether the login works has nothing to say about that. Returns what has changed for the person,
    /// once that is written down, so that nobody is told of it twice.
    fn update_state(&self, outcome: &Outcome) -> Option<NoticeChange> {
        let mode = match self.verification {
            VerifyMode::Verify => Mode::Sync,
            VerifyMode::Skip => Mode::Watch,
        };
        let followed = notice_file::update(outcome, mode, &self.state);
        let notice_cause = match followed.context("the notice is not up to date") {
            Ok(cause) => Some(cause),
            Err(error) => {
                print_error(&error);
                None
            }
        };
        if self.verification == VerifyMode::Skip {
            // An outage is told by the run that keeps track of how long it lasts.
            if outcome.outage().is_none() {
                syslog::log_outcome(&self.user, outcome);
            }
            return None;
        }
        let before = self.state.load::<Option<StateReport>>(state_report::FILE_NAME).unwrap_or_default();
        let mut after = StateReport::from_outcome(outcome, &self.user, self.now, before.as_ref());
        after.notice_cause = notice_cause.unwrap_or_else(|| before.as_ref()?.notice_cause.clone());
        if after.should_log(outcome, before.as_ref()) {
            syslog::log_outcome(&self.user, outcome);
        }
        self.publish(&after);
        let saved = self.state.save(state_report::FILE_NAME, &after);
        match saved.with_context(|| {
            format!("{} is not up to date", self.state.path(state_report::FILE_NAME).display())
        }) {
            Ok(()) => NoticeChange::diff(before.as_ref(), &after, outcome),
            Err(error) => {
                print_error(&error);
                None
            }
        }
    }

    /// Tells root.
    pub(crate) fn publish(&self, state: &StateReport) {
        self.shelf
            .write(state)
            .context("the state is not published")
            .unwrap_or_else(|error| print_error(&error));
    }
}

//! How a run ended, told everywhere from one outcome: the terminal, the journal, `sync.log`, `state.json`,
//! the notice.

use std::io::{self, Write};

use anyhow::Context;
use cas_core::config::ConfigError;
use cas_core::outcome::state_report::{self, State};
use cas_core::outcome::{Finding, Outcome, Status};
use cas_core::planner::Mode;
use cas_core::state::directory::StateDirectory;
use cas_core::state::notice_file;
use cas_core::system::syslog;
use cas_core::time::timestamp::Timestamp;

use crate::published_state::Shelf;
use crate::term::stderr::complain;
use crate::user::notify::{Change, Notify};
use crate::user::sync_log;
use crate::user::verification::Verification;

/// One run, as those who hear of it know it.
pub(crate) struct Report {
    /// Whose run it was.
    pub(crate) user: String,
    /// Where the log and the state lie.
    pub(crate) state: StateDirectory,
    /// Where root finds the state.
    pub(crate) shelf: Shelf,
    /// When it began.
    pub(crate) now: Timestamp,
    /// What it was for.
    pub(crate) verification: Verification,
}

impl Report {
    /// Tells how the run ended. A reader who is gone, or a disk that is full, changes nothing about that.
    pub(crate) fn tell(&self, outcome: &Outcome, notify: Option<&Notify>) {
        drop(writeln!(io::stdout(), "{} {outcome}", outcome.status));
        self.tell_others(outcome, notify);
    }

    /// The same without a word on the terminal.
    pub(crate) fn tell_others(&self, outcome: &Outcome, notify: Option<&Notify>) {
        let change = self.record(outcome);
        if let Some((notify, change)) = notify.zip(change)
            && let Err(error) = notify.tell(&change)
        {
            complain(&error);
            self.log(Status::Warn, &format!("{error:#}"));
        }
    }

    /// The same without a word to the admin's program: what there would be to tell that.
    pub(crate) fn record(&self, outcome: &Outcome) -> Option<Change> {
        let mut change = None;
        if outcome.finding == Finding::Busy {
            syslog::write(&self.user, outcome);
        } else {
            change = self.update_state(outcome);
        }
        self.log(outcome.status, &outcome.to_string());
        change
    }

    fn log(&self, status: Status, text: &str) {
        let log = self.state.file("sync.log");
        sync_log::append(&log, self.now, status, text)
            .with_context(|| format!("not logged in {}: move it out of the way", log.display()))
            .unwrap_or_else(|error| complain(&error));
    }

    /// Tells those on call of a run that could not begin, and the terminal as of every error. Returns the exit code.
    pub(crate) fn tell_failure(&self, error: &anyhow::Error) -> u8 {
        let why = format!("{error:#}");
        let finding = match error.is::<ConfigError>() {
            true => Finding::Misconfigured(why),
            false => Finding::LeftAlone(why),
        };
        let outcome = Outcome::new(Status::Fail, finding);
        complain(error);
        self.update_state(&outcome);
        outcome.exit_code()
    }

    /// The state follows the outcome; the journal has a line of it unless it only says once more that an outage lasts. A run
    /// that was not to find out whether the login works has nothing to say about that. Returns what has changed for the person,
    /// once that is written down, so that nobody is told of it twice.
    fn update_state(&self, outcome: &Outcome) -> Option<Change> {
        let mode = match self.verification {
            Verification::Wanted => Mode::Sync,
            Verification::LeftToOthers => Mode::Watch,
        };
        let followed = notice_file::follow(outcome, mode, &self.state);
        let notice_cause = match followed.context("the notice is not up to date") {
            Ok(cause) => Some(cause),
            Err(error) => {
                complain(&error);
                None
            }
        };
        if self.verification == Verification::LeftToOthers {
            // An outage is told by the run that keeps track of how long it lasts.
            if outcome.outage().is_none() {
                syslog::write(&self.user, outcome);
            }
            return None;
        }
        let before = self.state.load::<Option<State>>(state_report::FILE_NAME).unwrap_or_default();
        let mut after = State::after(outcome, &self.user, self.now, before.as_ref());
        after.notice_cause = notice_cause.unwrap_or_else(|| before.as_ref()?.notice_cause.clone());
        if after.is_news(outcome, before.as_ref()) {
            syslog::write(&self.user, outcome);
        }
        self.publish(&after);
        let saved = self.state.save(state_report::FILE_NAME, &after);
        match saved.with_context(|| {
            format!("{} is not up to date", self.state.file(state_report::FILE_NAME).display())
        }) {
            Ok(()) => Change::between(before.as_ref(), &after, outcome),
            Err(error) => {
                complain(&error);
                None
            }
        }
    }

    /// Tells root.
    pub(crate) fn publish(&self, state: &State) {
        self.shelf
            .publish(state)
            .context("the state is not published")
            .unwrap_or_else(|error| complain(&error));
    }
}

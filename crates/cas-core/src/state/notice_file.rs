//! `notice` in the state directory: there exactly while there is something to tell its owner, and then one line for their shell
//! to show. `notice.json` beside it says why, and when it was shown last, so that ten shells a day show it once.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fs::atomic_file;
use crate::fs::owned_file::{self, FileError, Ownership};
use crate::outcome::Outcome;
use crate::outcome::notice::{MAX_LEN, NoticeLine, NoticeReason, UserAction};
use crate::outcome::state_report::{self, StateReport};
use crate::planner::Mode;
use crate::state::directory::{StateDirectory, StateError, StateLock};
use crate::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

/// The name of the file.
pub const FILE_NAME: &str = "notice";

/// The name of the file that says why.
const RECORD: &str = "notice.json";

/// What is shown daily is shown again after so long: more than anybody's day at a terminal, and less than the time from one
/// morning to the next.
const AGAIN_AFTER: Duration = Duration::from_secs(16 * 60 * 60);

/// A file that is larger, in bytes, is none of ours.
const LIMIT: usize = 64 << 10;

/// So long others are waited for who look at, or change, the record.
const PATIENCE: Duration = Duration::from_millis(200);

/// Why there is a notice. A record of before this file existed, or one that was lost, is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct NoticeRecord {
    /// [`NoticeReason::word`].
    cause: String,
    /// Which credential, or which day, it is about.
    about: String,
    /// Whether it only says that something lapses.
    is_of_an_end: bool,
    /// Whether it is shown every day.
    is_daily: bool,
    /// When it was shown last.
    shown_at_ms: Option<Timestamp>,
}

/// Makes the file follow how a run ended, and returns in one word why there is a notice now, if there is one. Where nothing is
/// wrong, and nothing was, this is one look at a name.
///
/// # Errors
/// [`Problem`]; the file is then as it was before.
pub fn update(outcome: &Outcome, mode: Mode, state: &StateDirectory) -> Result<Option<String>, FileError> {
    let notice = outcome.notice();
    let is_there = state.path(FILE_NAME).symlink_metadata().is_ok();
    let record = || state.load::<NoticeRecord>(RECORD).unwrap_or_default();
    let line = match notice.action {
        UserAction::Required(line) => Some(line),
        UserAction::Unknown if is_there => return Ok(Some(record().cause)),
        UserAction::NoneUnlessFor(credential) if is_there => {
            let before = || state.load::<Option<StateReport>>(state_report::FILE_NAME).unwrap_or_default();
            let record = record();
            if !record.is_of_an_end && before().is_some_and(|state| state.notice_about == Some(credential)) {
                return Ok(Some(record.cause));
            }
            notice.expiry
        }
        UserAction::None | UserAction::NoneUnlessFor(_) => notice.expiry,
        UserAction::Unknown => None,
    };
    match line {
        // The words of a sync are better: it knows the person's address.
        Some(line) if mode != Mode::Sync && is_there && record().is_about(&line) => {}
        Some(line) => return show(&line, state).map(|()| Some(line.cause.as_str().to_owned())),
        None if is_there => return clear(state).map(|()| None),
        None => return Ok(None),
    }
    Ok(Some(record().cause))
}

fn show(line: &NoticeLine, state: &StateDirectory) -> Result<(), FileError> {
    let path = state.path(FILE_NAME);
    atomic_file::create_private_directory(path.parent().unwrap_or(Path::new("/")))?;
    let _locked = locked(state);
    let before: NoticeRecord = state.load(RECORD).unwrap_or_default();
    if !before.is_about(line) {
        // Without it the line is shown once more; so it comes first.
        atomic_file::remove(&state.path(RECORD))?;
        drop(state.save(RECORD, &NoticeRecord::of(line)));
    }
    atomic_file::write_atomic(&path, format!("{}\n", line.text).as_bytes()).map(drop)
}

fn clear(state: &StateDirectory) -> Result<(), FileError> {
    let _locked = locked(state);
    atomic_file::remove(&state.path(RECORD))?;
    atomic_file::remove(&state.path(FILE_NAME))
}

/// The line, if it is due on the terminal that asks: once of each cause, or once a day. Where that cannot be told or noted (a
/// full disk, a home that is read-only, another shell that holds the record) it is due.
pub fn take_due_line(state: &StateDirectory, owner: u32, now: Timestamp) -> Option<String> {
    let found = owned_file::read(&state.path(FILE_NAME), owner, LIMIT, Ownership::Owner).ok()??;
    let is_printable = |byte: &u8| (b' '..=b'~').contains(byte);
    let text: Vec<u8> = found.content.iter().copied().take(MAX_LEN).filter(is_printable).collect();
    let text = String::from_utf8(text).ok().filter(|text| !text.is_empty())?;
    is_due(state, now).then_some(text)
}

fn is_due(state: &StateDirectory, now: Timestamp) -> bool {
    let Ok(_locked) = locked(state) else { return true };
    let Ok(record) = state.load::<NoticeRecord>(RECORD) else { return true };
    let is_due = record.is_due(now);
    if is_due {
        drop(state.save(RECORD, &NoticeRecord { shown_at_ms: Some(now), ..record }));
    }
    is_due
}

fn locked(state: &StateDirectory) -> Result<impl Drop, StateError> {
    state.lock(StateLock::State, &Deadline::after(PATIENCE))
}

impl NoticeRecord {
    fn of(line: &NoticeLine) -> Self {
        Self {
            cause: line.cause.as_str().to_owned(),
            about: line.about.clone(),
            is_of_an_end: matches!(line.cause, NoticeReason::Lapsing(..)),
            is_daily: line.is_daily,
            shown_at_ms: None,
        }
    }

    fn is_about(&self, line: &NoticeLine) -> bool {
        *self == Self { shown_at_ms: self.shown_at_ms, ..Self::of(line) }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        // Of what nothing is known it is not said that once is enough.
        let is_daily = self.is_daily || self.cause.is_empty();
        match self.shown_at_ms {
            None => true,
            Some(shown_at) => is_daily && !shown_at.is_within(AGAIN_AFTER, now),
        }
    }
}

#[cfg(test)]
mod tests;

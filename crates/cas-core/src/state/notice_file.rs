//! The file `notice` in the state directory: one line for the user's shell. It exists only while
//! there is a notice. `notice.json` beside it has the reason and when the line was shown last, so
//! that ten shells a day show it once.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fs::atomic_file;
use crate::fs::directories;
use crate::fs::owned_file::{self, FileError, Ownership};
use crate::outcome::Outcome;
use crate::outcome::notice::{MAX_LEN, NoticeLine, NoticeReason, UserAction};
use crate::outcome::state_report::{self, StateReport, current_code};
use crate::planner::Mode;
use crate::state::directory::{StateDirectory, StateError, StateLock};
use crate::time::timestamp::Timestamp;
use cas_protocol::deadline::Deadline;

/// The name of the file.
pub const FILE_NAME: &str = "notice";

/// The name of the file with the reason.
const RECORD: &str = "notice.json";

/// The interval after which a daily notice is shown again: longer than a working day, shorter than
/// from one morning to the next.
const REPEAT_INTERVAL: Duration = Duration::from_secs(16 * 60 * 60);

/// The largest notice file that is read, in bytes. This project never writes a larger one.
const LIMIT: usize = 64 << 10;

/// How long a busy record is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);

/// The reason of the notice. It is empty if the record was lost, or if version 0.1.0 wrote the
/// notice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct NoticeRecord {
    /// [`NoticeReason::as_str`].
    #[serde(alias = "cause", deserialize_with = "current_code")]
    reason: String,
    /// The credential or the date it is about.
    about: String,
    /// Whether it is an expiry warning.
    #[serde(alias = "is_of_an_end")]
    is_expiry_warning: bool,
    /// Whether it is repeated every day.
    is_daily: bool,
    /// When it was last shown.
    shown_at_ms: Option<Timestamp>,
}

/// Updates the notice after a run, and returns the code of its reason, if the user has to act, now
/// or soon. That a login was restored is shown only if nothing else is. Without a problem this is
/// one `lstat`.
///
/// # Errors
/// [`FileError`]; the file is then unchanged.
pub fn update(outcome: &Outcome, mode: Mode, state: &StateDirectory) -> Result<Option<String>, FileError> {
    let notice = outcome.notice();
    let restored = notice.restored.filter(|_| !matches!(mode, Mode::Command(_)));
    let is_there = state.path(FILE_NAME).symlink_metadata().is_ok();
    let record = || state.load::<NoticeRecord>(RECORD).unwrap_or_default();
    let line = match notice.action {
        UserAction::Required(line) => Some(line),
        UserAction::Unknown if is_there => return Ok(record().code_of_action()),
        UserAction::NoneUnlessFor(credential) if is_there => {
            let before = || state.load::<Option<StateReport>>(state_report::FILE_NAME).unwrap_or_default();
            let record = record();
            if record.is_required() && before().is_some_and(|state| state.notice_about == Some(credential)) {
                return Ok(record.code_of_action());
            }
            notice.expiry.or(restored)
        }
        UserAction::None | UserAction::NoneUnlessFor(_) => notice.expiry.or(restored),
        UserAction::Unknown => None,
    };
    match line {
        // The text of a sync takes precedence, because it includes the user's email.
        Some(line) if mode != Mode::Sync && is_there && record().is_about(&line) => {}
        Some(line) => {
            show(&line, state)?;
            return Ok(NoticeRecord::for_line(&line).code_of_action());
        }
        None if is_there && record().is_new_restore() => return Ok(None),
        None if is_there => return clear(state).map(|()| None),
        None => return Ok(None),
    }
    Ok(record().code_of_action())
}

fn show(line: &NoticeLine, state: &StateDirectory) -> Result<(), FileError> {
    let path = state.path(FILE_NAME);
    directories::create_private_directory(path.parent().unwrap_or(Path::new("/")))?;
    let _locked = lock(state);
    let before: NoticeRecord = state.load(RECORD).unwrap_or_default();
    if !before.is_about(line) {
        // Removed first: without the record, the new line is shown once more than needed, never
        // less.
        atomic_file::remove(&state.path(RECORD))?;
        drop(state.save(RECORD, &NoticeRecord::for_line(line)));
    }
    atomic_file::write_atomic(&path, format!("{}\n", line.text).as_bytes()).map(drop)
}

fn clear(state: &StateDirectory) -> Result<(), FileError> {
    let _locked = lock(state);
    atomic_file::remove(&state.path(RECORD))?;
    atomic_file::remove(&state.path(FILE_NAME))
}

/// Returns the line if it is due on the calling terminal: once per reason, or once a day, and
/// records that it was shown. If that cannot be determined or recorded (full disk, read-only home,
/// busy record) the line is due.
pub fn take_due_line(state: &StateDirectory, owner: u32, now: Timestamp) -> Option<String> {
    let found = owned_file::read(&state.path(FILE_NAME), owner, LIMIT, Ownership::Owner).ok()??;
    let is_printable = |byte: &u8| (b' '..=b'~').contains(byte);
    let text: Vec<u8> = found.content.iter().copied().take(MAX_LEN).filter(is_printable).collect();
    let text = String::from_utf8(text).ok().filter(|text| !text.is_empty())?;
    is_due(state, now).then_some(text)
}

fn is_due(state: &StateDirectory, now: Timestamp) -> bool {
    let Ok(_locked) = lock(state) else { return true };
    let Ok(record) = state.load::<NoticeRecord>(RECORD) else { return true };
    let is_due = record.is_due(now);
    if is_due {
        drop(state.save(RECORD, &NoticeRecord { shown_at_ms: Some(now), ..record }));
    }
    is_due
}

fn lock(state: &StateDirectory) -> Result<impl Drop, StateError> {
    state.lock(StateLock::State, &Deadline::after(LOCK_TIMEOUT))
}

impl NoticeRecord {
    fn for_line(line: &NoticeLine) -> Self {
        Self {
            reason: line.reason.as_str().to_owned(),
            about: line.about.clone(),
            is_expiry_warning: matches!(line.reason, NoticeReason::Expiring(..)),
            is_daily: line.is_daily,
            shown_at_ms: None,
        }
    }

    fn is_about(&self, line: &NoticeLine) -> bool {
        *self == Self { shown_at_ms: self.shown_at_ms, ..Self::for_line(line) }
    }

    /// Returns the code of the reason, if the user has to act, now or soon.
    fn code_of_action(self) -> Option<String> {
        (!self.is_restore()).then_some(self.reason)
    }

    /// Returns true if the user has to act now, also if the reason is unknown.
    fn is_required(&self) -> bool {
        !self.is_expiry_warning && !self.is_restore()
    }

    /// Returns true if it says that a login was restored.
    fn is_restore(&self) -> bool {
        self.reason == NoticeReason::LoginRestored.as_str()
    }

    /// Returns true if it says that a login was restored, and was not shown yet.
    fn is_new_restore(&self) -> bool {
        self.is_restore() && self.shown_at_ms.is_none()
    }

    fn is_due(&self, now: Timestamp) -> bool {
        // A notice without a known reason is repeated.
        let is_daily = self.is_daily || self.reason.is_empty();
        match self.shown_at_ms {
            None => true,
            Some(shown_at) => is_daily && !shown_at.is_within(REPEAT_INTERVAL, now),
        }
    }
}

#[cfg(test)]
mod tests;

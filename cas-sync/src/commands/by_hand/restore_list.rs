//! The backups of a login, as a table and as JSON.

use cas_core::config::StoreKind;
use cas_core::credential::login_file::LoginFileState;
use cas_core::engine::{BackupInfo, Inspection};
use cas_core::outcome::ExitStatus;
use cas_core::planner::{self, Backup, BackupFilter, DocumentFact, Ineligible};
use cas_core::time::format::format_duration_short;
use cas_core::time::timestamp::Timestamp;
use serde::Serialize;

use crate::user::context::UserContext;

/// Maximum width of a machine name in the table.
const MACHINE_WIDTH: usize = 16;

/// The list of backups.
#[derive(Serialize)]
pub(super) struct BackupList {
    user: String,
    exit_code: ExitStatus,
    /// The state of the login file, in one word.
    login: &'static str,
    backups: Vec<BackupRow>,
    /// Why the store could not be read.
    store: Option<String>,
}

/// One backup. Times are milliseconds since the epoch.
#[derive(Serialize)]
struct BackupRow {
    generation: String,
    location: &'static str,
    access_token_expires_at_ms: Timestamp,
    login_expires_at_ms: Option<Timestamp>,
    backed_up_at_ms: Option<Timestamp>,
    machine: Option<String>,
    /// `current` if it can be restored, else why not.
    state: &'static str,
    restorable: bool,
    /// The same as a sentence.
    reason: Option<String>,
}

impl BackupList {
    pub(super) fn new(user: &UserContext, inspection: &Inspection, filter: BackupFilter) -> Self {
        let is_shown = |backup: &Backup| {
            let repeats_the_history = user.config.store == StoreKind::Local
                && backup.source == cas_core::outcome::BackupLocation::Store;
            filter.matches(backup.login.generation, backup.source) && !repeats_the_history
        };
        let row = |backup: Backup| BackupRow::new(&backup, &inspection.found);
        let (store, exit_code) = match &inspection.facts.document {
            DocumentFact::Unreadable(failure) => (Some(failure.to_string()), failure.into()),
            DocumentFact::Read(_) | DocumentFact::NotRead => (None, ExitStatus::Success),
        };
        Self {
            user: user.account.name.clone(),
            exit_code,
            login: state_word(&inspection.facts.login),
            backups: planner::backups(&inspection.facts).into_iter().filter(is_shown).map(row).collect(),
            store,
        }
    }

    pub(super) fn exit_status(&self) -> ExitStatus {
        self.exit_code
    }

    /// Returns an ASCII table of at most 80 columns, unless a state is longer.
    pub(super) fn table(&self, now: Timestamp) -> String {
        let mut rows: Vec<_> = self.backups.iter().map(|backup| backup.cells(now)).collect();
        let store = self.store.as_ref().map(|why| format!("store {why}\n")).unwrap_or_default();
        if rows.is_empty() {
            return format!("There are no backups.\n{store}");
        }
        rows.insert(0, ["GENERATION", "IN", "ACCESS TOKEN", "BACKED UP", "BY", "STATE"].map(str::to_owned));
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: Vec<_> = (0..6).map(width).collect();
        let line = |row: &[String; 6]| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
        };
        rows.iter().map(line).chain([store]).collect()
    }
}

impl BackupRow {
    fn new(backup: &Backup, found: &[BackupInfo]) -> Self {
        let is_of =
            |info: &&BackupInfo| info.generation == backup.login.generation && info.source == backup.source;
        let info = found.iter().find(is_of);
        Self {
            generation: backup.login.generation.to_string(),
            location: backup.source.as_str(),
            access_token_expires_at_ms: backup.login.expires_at,
            login_expires_at_ms: backup.login.login_expires_at,
            backed_up_at_ms: info.and_then(|info| info.backed_up_at),
            machine: info.and_then(|info| info.machine.clone()),
            state: backup.ineligible.map_or("current", Ineligible::as_str),
            restorable: backup.ineligible.is_none(),
            reason: backup.ineligible.map(|reason| reason.to_string()),
        }
    }

    fn cells(&self, now: Timestamp) -> [String; 6] {
        let ago = |at: Timestamp| {
            now.checked_duration_since(at).map(|span| format!("{} ago", format_duration_short(span)))
        };
        let end = self.access_token_expires_at_ms;
        let access = end
            .checked_duration_since(now)
            .map(|span| format!("{} left", format_duration_short(span)))
            .or_else(|| ago(end).map(|ago| format!("expired {ago}")));
        let host = self.machine.as_deref().map(|label| label.split('/').next().unwrap_or(label));
        let host = host.filter(|host| !host.is_empty()).unwrap_or("?");
        let plain = |character: char| if character.is_ascii_graphic() { character } else { '?' };
        [
            self.generation.clone(),
            self.location.to_owned(),
            access.unwrap_or_default(),
            self.backed_up_at_ms.and_then(ago).unwrap_or_else(|| "?".into()),
            host.chars().map(plain).take(MACHINE_WIDTH).collect(),
            self.state.to_owned(),
        ]
    }
}

fn state_word<L>(login: &LoginFileState<L>) -> &'static str {
    match login {
        LoginFileState::Valid(_) => "valid",
        LoginFileState::AccessTokenExpired(_) => "access-token-expired",
        LoginFileState::NotRefreshable(_) => "not-refreshable",
        LoginFileState::ClearedByClient => "cleared",
        LoginFileState::Invalid(_) => "invalid",
        LoginFileState::Missing => "missing",
        LoginFileState::Unreadable(_) => "unreadable",
    }
}

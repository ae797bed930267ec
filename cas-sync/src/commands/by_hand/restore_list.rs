//! The copies that are kept of somebody's login, as a table and as JSON.

use cas_core::config::StoreKind;
use cas_core::credential::login_file::LoginFileState;
use cas_core::engine::{BackupInfo, Inspection};
use cas_core::planner::{self, Backup, BackupFilter, DocumentFact, Ineligible};
use cas_core::time::format::format_duration_short;
use cas_core::time::timestamp::Timestamp;
use serde::Serialize;

use super::SCHEMA;
use crate::user::context::UserContext;
use crate::user::error::store_exit_code;

/// So much of a machine's name is shown in a table.
const MACHINE_WIDTH: usize = 16;

/// All of them.
#[derive(Serialize)]
pub(super) struct BackupList {
    schema: u32,
    user: String,
    exit_code: u8,
    /// What lies in the login file, in one word.
    login: &'static str,
    copies: Vec<BackupRow>,
    /// Why the store's copy is not among them, if it could not be asked.
    store: Option<String>,
}

/// One of them. Times are milliseconds since the epoch.
#[derive(Serialize)]
struct BackupRow {
    generation: String,
    place: &'static str,
    access_token_expires_at_ms: Timestamp,
    login_expires_at_ms: Option<Timestamp>,
    backed_up_at_ms: Option<Timestamp>,
    machine: Option<String>,
    /// `current` where it may be put back, else why it may not be.
    fate: &'static str,
    restorable: bool,
    /// The same in a sentence.
    reason: Option<String>,
}

impl BackupList {
    pub(super) fn new(person: &UserContext, survey: &Inspection, choice: BackupFilter) -> Self {
        let is_shown = |copy: &Backup| {
            let is_the_history_again = person.config.store == StoreKind::Local
                && copy.source == cas_core::outcome::BackupLocation::Store;
            choice.matches(copy.login.generation, copy.source) && !is_the_history_again
        };
        let row = |copy: Backup| BackupRow::of(&copy, &survey.found);
        let (store, exit_code) = match &survey.facts.document {
            DocumentFact::Unreadable(failure) => (Some(failure.to_string()), store_exit_code(failure)),
            DocumentFact::Read(_) | DocumentFact::NotRead => (None, 0),
        };
        Self {
            schema: SCHEMA,
            user: person.account.name.clone(),
            exit_code,
            login: state_word(&survey.facts.login),
            copies: planner::copies(&survey.facts).into_iter().filter(is_shown).map(row).collect(),
            store,
        }
    }

    pub(super) fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// A table that fits into 80 columns unless a fate takes more; plain ASCII.
    pub(super) fn table(&self, now: Timestamp) -> String {
        let mut rows: Vec<_> = self.copies.iter().map(|copy| copy.cells(now)).collect();
        let store = self.store.as_ref().map(|why| format!("store {why}\n")).unwrap_or_default();
        if rows.is_empty() {
            return format!("No copies are kept.\n{store}");
        }
        rows.insert(0, ["GENERATION", "IN", "ACCESS TOKEN", "BACKED UP", "BY", "FATE"].map(str::to_owned));
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
    fn of(copy: &Backup, found: &[BackupInfo]) -> Self {
        let is_of =
            |kept: &&BackupInfo| kept.generation == copy.login.generation && kept.source == copy.source;
        let kept = found.iter().find(is_of);
        Self {
            generation: copy.login.generation.to_string(),
            place: copy.source.as_str(),
            access_token_expires_at_ms: copy.login.expires_at,
            login_expires_at_ms: copy.login.login_expires_at,
            backed_up_at_ms: kept.and_then(|kept| kept.backed_up_at),
            machine: kept.and_then(|kept| kept.machine.clone()),
            fate: copy.obstacle.map_or("current", Ineligible::as_str),
            restorable: copy.obstacle.is_none(),
            reason: copy.obstacle.map(|obstacle| obstacle.to_string()),
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
            .or_else(|| ago(end).map(|ago| format!("ended {ago}")));
        let host = self.machine.as_deref().map(|label| label.split('/').next().unwrap_or(label));
        let host = host.filter(|host| !host.is_empty()).unwrap_or("?");
        let plain = |character: char| if character.is_ascii_graphic() { character } else { '?' };
        [
            self.generation.clone(),
            self.place.to_owned(),
            access.unwrap_or_default(),
            self.backed_up_at_ms.and_then(ago).unwrap_or_else(|| "?".into()),
            host.chars().map(plain).take(MACHINE_WIDTH).collect(),
            self.fate.to_owned(),
        ]
    }
}

fn state_word<L>(login: &LoginFileState<L>) -> &'static str {
    match login {
        LoginFileState::Valid(_) => "whole",
        LoginFileState::AccessTokenExpired(_) => "stale",
        LoginFileState::NotRefreshable(_) => "partial",
        LoginFileState::ClearedByClient => "emptied",
        LoginFileState::Invalid(_) => "damaged",
        LoginFileState::Missing => "absent",
        LoginFileState::Unreadable(_) => "unreadable",
    }
}

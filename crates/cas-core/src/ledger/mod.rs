//! The record of each generation that this machine has seen. Pure: the state directory loads and
//! saves it.

mod disabled_organization;
pub mod setup_tokens;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::credential::fingerprint::{Fingerprint, RefreshTokenId};
use crate::credential::login::{LoginSummary, Owner};
use crate::credential::login_file;
use crate::credential::login_file::LoginPlace;
use crate::credential::verification::Verification;
use crate::fs::file_id::FileId;
use crate::ledger::setup_tokens::SeenTokens;
use crate::time::timestamp::Timestamp;
pub use disabled_organization::DisabledOrganization;

/// How often a generation with a valid access token may be restored within [`RESTORE_WINDOW`].
pub const RESTORES_PER_WINDOW: usize = 8;

/// The window of [`RESTORES_PER_WINDOW`].
pub const RESTORE_WINDOW: Duration = Duration::from_secs(60 * 60);

/// How long after a login was first seen its account may be taken from the client's state file. A
/// sign-in writes both files within a second.
const OWNER_LEARNING_WINDOW: Duration = Duration::from_secs(60);

/// The number of generations that are kept: more than three weeks at one every eight hours.
const MAX_GENERATIONS: usize = 64;

/// The number of withdrawn setup tokens that are kept.
const MAX_WITHDRAWN_TOKENS: usize = 16;

/// The record of every generation seen, stored in `ledger.json` of the state directory. Contains no
/// secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// The record of each generation.
    pub generations: BTreeMap<RefreshTokenId, GenerationRecord>,
    /// The complete login that was last seen in the credential file. It determines the current
    /// account.
    #[serde(alias = "lay_there_last")]
    pub last_seen_in_file: Option<RefreshTokenId>,
    /// Where that login was.
    #[serde(default)]
    pub last_seen_at: LoginPlace,
    /// The client's state file that named an account while a login was in the credential file:
    /// [`ClaudeJson::installation`](crate::claude_files::json_settings::ClaudeJson::installation).
    /// A logout removes the account from it.
    pub signed_in_installation: Option<Fingerprint>,
    /// The API key that was in that file while a login was in the credential file.
    pub signed_in_api_key: SeenApiKey,
    /// Set by a sign-out with `cas-sync logout`, until another login is in the credential file or a
    /// command restores one.
    pub signed_out: Option<SignedOut>,
    /// The generation that was restored last and is not verified yet. If it is rejected, the
    /// restore is rolled back.
    #[serde(alias = "unproven")]
    pub unverified_restore: Option<RefreshTokenId>,
    /// A restore that has begun. After a crash it tells whether the restore happened.
    #[serde(alias = "intent")]
    pub pending_restore: Option<PendingRestore>,
    /// Setup tokens that were removed from the env file.
    #[serde(alias = "withdrawn")]
    pub withdrawn_tokens: Vec<Fingerprint>,
    /// The setup tokens that were seen, with the time of their first sight.
    pub setup_tokens: SeenTokens,
    /// The runs in which the Anthropic API said that the organization is disabled.
    pub disabled_organization: DisabledOrganization,
}

/// A sign-out on this machine. No backup is restored without a command then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedOut {
    /// The login that was in the credential file. It may still be there after an interrupted
    /// sign-out.
    pub login: Option<RefreshTokenId>,
}

/// The API key in the client's state file while a login was in the credential file. A sign-in with
/// an API key writes another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeenApiKey {
    /// Not recorded: no sync has seen a login, or only a version that did not record the key.
    #[default]
    Unknown,
    /// There was none.
    Absent,
    /// The fingerprint of the key.
    Present(Fingerprint),
}

impl From<Option<Fingerprint>> for SeenApiKey {
    fn from(key: Option<Fingerprint>) -> Self {
        key.map_or(Self::Absent, Self::Present)
    }
}

/// The record of one generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationRecord {
    /// When this machine first saw it.
    pub first_seen: Timestamp,
    /// How many were seen before it. This gives their order, independent of the clock.
    #[serde(default)]
    pub number: u64,
    /// Where it was first seen.
    pub origin: Origin,
    /// Whether it was in the credential file. A restore that was recorded may not have been
    /// written.
    #[serde(default)]
    pub was_in_file: bool,
    /// The expiry of its access token.
    pub expires_at: Timestamp,
    /// Whether its access token was valid when it was first seen. An old copy that is written again
    /// usually is not.
    #[serde(default)]
    pub was_fresh: bool,
    /// The account and organization.
    #[serde(default)]
    pub owner: Owner,
    /// True if it does not name its account and was first seen behind a symlink whose target had
    /// changed. It may belong to any account.
    #[serde(default)]
    pub is_account_unknown: bool,
    /// Its state.
    #[serde(alias = "fate")]
    pub state: GenerationState,
    /// When it was first verified after its last restore.
    #[serde(default)]
    pub verified_at: Option<Timestamp>,
    /// When it was restored, oldest first.
    #[serde(default, alias = "restored")]
    pub restored_at: Vec<Timestamp>,
}

/// Where a generation was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// In `.credentials.json`: Claude Code wrote it on this machine.
    File,
    /// In the store: a machine backed it up.
    Store,
}

/// The state of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GenerationState {
    /// It is, or may be, the newest.
    Current,
    /// A later one replaced it, so its refresh token is consumed.
    Superseded,
    /// It was restored and is not verified yet.
    Restored,
    /// The Anthropic API rejected it.
    Rejected,
}

/// A restore that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRestore {
    /// The generation to restore.
    pub generation: RefreshTokenId,
    /// The time, which is also in the record's `restored_at`.
    pub at: Timestamp,
    /// The file to be replaced, or `None` if there was none.
    pub replaces: Option<FileId>,
}

impl GenerationRecord {
    /// Returns true if it was verified after each of its restores, or never restored.
    fn is_verified_since_restore(&self) -> bool {
        self.restored_at.iter().all(|at| self.verified_at.is_some_and(|verified| verified >= *at))
    }
}

impl Ledger {
    /// Records the complete login in the credential file at `place`. It supersedes each generation
    /// of the same account, as far as known, that was in the file and whose access token expired
    /// earlier. Behind a symlink whose target has changed, the account of a login is known only if
    /// the login names it: it is not a refresh of the login before it.
    pub fn record_login(&mut self, login: &LoginSummary, place: LoginPlace, now: Timestamp) {
        let is_known = self.generations.contains_key(&login.generation);
        let before = self.last_seen_in_file.and_then(|generation| self.generations.get(&generation));
        let is_refresh_of_unknown =
            before.is_some_and(|before| before.is_account_unknown) && login.owner.account.is_none();
        let is_repointed = self.is_repointed(place);
        let owner = if is_known || !is_repointed { self.resolve_owner(login) } else { login.owner.clone() };
        let login = &LoginSummary { owner, ..login.clone() };
        let replaced = |entry: &GenerationRecord| {
            let was_in_file = entry.was_in_file || entry.origin == Origin::File;
            was_in_file && entry.expires_at < login.expires_at && !entry.owner.contradicts(&login.owner)
        };
        for (_, entry) in
            self.generations.iter_mut().filter(|(name, entry)| **name != login.generation && replaced(entry))
        {
            entry.state = GenerationState::Superseded;
        }
        let entry = self.entry(login, Origin::File, now);
        (entry.expires_at, entry.owner) = (login.expires_at, login.owner.clone());
        entry.was_in_file = true;
        entry.is_account_unknown = login.owner.account.is_none()
            && if is_known { entry.is_account_unknown } else { is_repointed || is_refresh_of_unknown };
        (self.last_seen_in_file, self.last_seen_at) = (Some(login.generation), place);
        self.signed_out = self.signed_out.filter(|signed_out| signed_out.login == Some(login.generation));
        self.evict_oldest();
    }

    /// Records that the user signs out of this login. Save the ledger before the login is removed,
    /// so that no backup is restored after a crash.
    pub fn record_sign_out(&mut self, login: Option<RefreshTokenId>) {
        self.signed_out = Some(SignedOut { login });
    }

    /// Returns true if the credential file at `place` is a symlink whose target has changed since a
    /// login was last seen through it. The target may be another account's file.
    pub fn is_repointed(&self, place: LoginPlace) -> bool {
        let is_known = self.last_seen_at != LoginPlace::Unknown;
        is_known && matches!(place, LoginPlace::Link(_)) && place != self.last_seen_at
    }

    /// Returns true if the account of a login at `place` may be taken from the client's state file:
    /// when it is first seen, and for a moment afterwards, because the client writes its two files
    /// one after the other. Later the state file may name another account. It may also do so if the
    /// target of the symlink has changed.
    pub fn may_learn_owner(&self, generation: RefreshTokenId, place: LoginPlace, now: Timestamp) -> bool {
        match self.generations.get(&generation) {
            None => !self.is_repointed(place),
            Some(entry) => {
                entry.origin == Origin::File
                    && !entry.is_account_unknown
                    && entry.first_seen.is_within(OWNER_LEARNING_WINDOW, now)
            }
        }
    }

    /// Records that `login` is about to be restored. Save the ledger before the file is written, so
    /// that a crash cannot cause more restores than [`Ledger::may_restore`] permits.
    pub fn begin_restore(&mut self, login: &LoginSummary, replaces: Option<FileId>, now: Timestamp) {
        let entry = self.entry(login, Origin::Store, now);
        entry.state = GenerationState::Restored;
        entry.restored_at.push(now);
        self.signed_out = None;
        self.unverified_restore = Some(login.generation);
        self.pending_restore = Some(PendingRestore { generation: login.generation, at: now, replaces });
        self.evict_oldest();
    }

    /// Records that the pending restore was abandoned before the file was written. It does not
    /// count.
    pub fn cancel_restore(&mut self) {
        let Some(pending) = self.pending_restore.take() else { return };
        self.unverified_restore = None;
        if let Some(entry) = self.generations.get_mut(&pending.generation) {
            entry.restored_at.retain(|at| *at != pending.at);
            if entry.state == GenerationState::Restored && entry.restored_at.is_empty() {
                entry.state = GenerationState::Current;
            }
        }
    }

    /// Resolves a pending restore. If the file that it was to replace is still there, the restore
    /// did not happen and does not count.
    pub fn resolve_pending_restore(&mut self, found: Option<FileId>) {
        let Some(pending) = &self.pending_restore else { return };
        if pending.replaces.is_some() && pending.replaces == found {
            self.cancel_restore();
        }
        self.pending_restore = None;
    }

    /// Records the result of a verification. Only conclusive results change the state, and a
    /// rejection is final.
    ///
    /// A login that is verified after a restore may be restored again when its access token has
    /// expired: the Anthropic API did not count its refresh token as used. The limit per window
    /// stays.
    pub fn record_verification(
        &mut self,
        generation: RefreshTokenId,
        verdict: &Verification,
        now: Timestamp,
    ) {
        let Some(entry) = self.generations.get_mut(&generation) else { return };
        if verdict.is_rejected() {
            // A superseded generation stays superseded: its refresh token is consumed as well.
            if entry.state != GenerationState::Superseded {
                entry.state = GenerationState::Rejected;
            }
        } else if verdict.is_alive() {
            if entry.state == GenerationState::Restored {
                entry.state = GenerationState::Current;
            }
            entry.restored_at.retain(|at| *at > now || at.is_within(RESTORE_WINDOW, now));
            if !entry.is_verified_since_restore() {
                entry.verified_at = Some(now);
            }
            if self.unverified_restore == Some(generation) {
                self.unverified_restore = None;
            }
        }
    }

    /// Records that the restore was rolled back.
    pub fn record_rollback(&mut self) {
        self.unverified_restore = None;
    }

    /// Returns true if this login may be restored now. A rejected or superseded login is never
    /// restored. One with an expired access token is restored once ever, because its refresh token
    /// may be consumed, and reusing a consumed one can revoke all tokens of the login. One with a
    /// valid access token is restored at most [`RESTORES_PER_WINDOW`] times per window.
    pub fn may_restore(&self, login: &LoginSummary, now: Timestamp) -> bool {
        let Some(entry) = self.generations.get(&login.generation) else { return true };
        if matches!(entry.state, GenerationState::Superseded | GenerationState::Rejected) {
            return false;
        }
        if login_file::is_fresh(login.expires_at, now) {
            let recent =
                entry.restored_at.iter().filter(|at| **at > now || at.is_within(RESTORE_WINDOW, now));
            recent.count() < RESTORES_PER_WINDOW
        } else {
            entry.is_verified_since_restore()
        }
    }

    /// Returns the state of this generation, if it is known.
    pub fn generation_state(&self, generation: RefreshTokenId) -> Option<GenerationState> {
        self.generations.get(&generation).map(|entry| entry.state)
    }

    /// Returns when this machine first saw this generation.
    pub fn first_seen(&self, generation: RefreshTokenId) -> Option<Timestamp> {
        self.generations.get(&generation).map(|entry| entry.first_seen)
    }

    /// Returns the owner of a login in the credential file: the one it names, else the recorded
    /// one, else that of the login before it. A client that drops the names only does so in a
    /// refresh; a sign-in writes them.
    pub fn resolve_owner(&self, login: &LoginSummary) -> Owner {
        let known = self.generations.get(&login.generation);
        let before = self.last_seen_in_file.and_then(|generation| self.generations.get(&generation));
        known.or(before).map_or(login.owner.clone(), |entry| login.owner.clone().merged_with(&entry.owner))
    }

    /// Returns true if a login belongs, or may belong, to another account or organization than the
    /// one that was last in the credential file.
    pub fn belongs_to_other_account(&self, login: &LoginSummary) -> bool {
        let Some(generation) = self.last_seen_in_file else { return false };
        self.generations.get(&generation).is_some_and(|last| {
            last.owner.contradicts(&login.owner)
                || (last.is_account_unknown && login.generation != generation)
        })
    }

    /// Records that this setup token was removed, so that processes that inherited it can be
    /// detected.
    pub fn record_withdrawn_token(&mut self, token: Fingerprint) {
        self.withdrawn_tokens.retain(|known| *known != token);
        self.withdrawn_tokens.push(token);
        let excess = self.withdrawn_tokens.len().saturating_sub(MAX_WITHDRAWN_TOKENS);
        self.withdrawn_tokens.drain(..excess);
    }

    fn entry(&mut self, login: &LoginSummary, origin: Origin, now: Timestamp) -> &mut GenerationRecord {
        let number = self.generations.values().map(|entry| entry.number.saturating_add(1)).max().unwrap_or(0);
        self.generations.entry(login.generation).or_insert_with(|| GenerationRecord {
            first_seen: now,
            number,
            origin,
            was_in_file: false,
            expires_at: login.expires_at,
            was_fresh: login_file::is_fresh(login.expires_at, now),
            owner: login.owner.clone(),
            is_account_unknown: false,
            state: GenerationState::Current,
            verified_at: None,
            restored_at: Vec::new(),
        })
    }

    fn evict_oldest(&mut self) {
        while self.generations.len() > MAX_GENERATIONS {
            let age = |entry: &GenerationRecord| (entry.number, entry.first_seen);
            let oldest = self.generations.iter().min_by_key(|(_, entry)| age(entry)).map(|(name, _)| *name);
            self.generations.retain(|name, _| Some(*name) != oldest);
        }
    }
}

#[cfg(test)]
mod tests;

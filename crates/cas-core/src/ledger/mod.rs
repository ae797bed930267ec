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
    /// earlier. Behind a symlink
    /// whose target has changed, the account of a login is known only if the login names it: it is
    /// not a refresh of the login before it.
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
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60 * 1000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn login(name: &str, expires_at: u64) -> LoginSummary {
        LoginSummary {
            generation: RefreshTokenId::from_bytes(name),
            expires_at: at(expires_at),
            login_expires_at: None,
            owner: Owner::default(),
        }
    }

    #[test]
    fn sign_out_lasts_until_another_login_or_a_restore() {
        let (one, two) = (login("one", 5 * HOUR), login("two", 9 * HOUR));
        let mut ledger = Ledger::default();
        ledger.record_login(&one, LoginPlace::File, at(0));
        ledger.record_sign_out(Some(one.generation));
        // An interrupted sign-out left the login there.
        ledger.record_login(&one, LoginPlace::File, at(1));
        assert!(ledger.signed_out.is_some());
        let mut restored = ledger.clone();
        restored.begin_restore(&one, None, at(2));
        assert_eq!(restored.signed_out, None);
        ledger.record_login(&two, LoginPlace::File, at(2));
        assert_eq!(ledger.signed_out, None);
        ledger.record_sign_out(None);
        ledger.record_login(&two, LoginPlace::File, at(3));
        assert_eq!(ledger.signed_out, None);
    }

    /// A ledger that was written with the former names is read completely.
    #[test]
    fn ledger_with_the_former_names_is_read() {
        let (one, two) = ("0011223344556677", "8899aabbccddeeff");
        let former = format!(
            r#"{{"generations":{{"{one}":{{"first_seen":1,"number":3,"origin":"file","expires_at":9,"fate":"rejected","restored":[4]}}}},
                "lay_there_last":"{one}","unproven":"{two}","intent":{{"generation":"{two}","at":5,"replaces":null}},"withdrawn":["{one}"]}}"#
        );
        let ledger: Ledger = serde_json::from_str(&former).expect("the former form");
        let record = ledger.generations.values().next().expect("a generation");
        assert_eq!((record.state, record.restored_at.len()), (GenerationState::Rejected, 1));
        assert!(ledger.last_seen_in_file.is_some() && ledger.unverified_restore.is_some());
        assert!(ledger.pending_restore.is_some() && ledger.withdrawn_tokens.len() == 1);
        let written = serde_json::to_string(&ledger).expect("JSON");
        assert!(!written.contains("fate") && !written.contains("lay_there_last"), "{written}");
    }

    #[test]
    fn later_login_in_the_file_supersedes_earlier_ones() {
        let (old, new) = (login("old", HOUR), login("new", 9 * HOUR));
        let mut ledger = Ledger::default();
        ledger.record_login(&old, LoginPlace::File, at(0));
        assert!(ledger.may_restore(&old, at(0)));
        ledger.record_login(&new, LoginPlace::File, at(1));
        assert!(!ledger.may_restore(&old, at(1)));
        ledger.record_login(&old, LoginPlace::File, at(2));
        assert!(!ledger.may_restore(&old, at(2)), "an older copy stays superseded");
        assert!(ledger.may_restore(&new, at(2)));
    }

    #[test]
    fn valid_generation_may_be_restored_eight_times_an_hour() {
        let fresh = login("fresh", 9 * HOUR);
        let mut ledger = Ledger::default();
        for count in 0..RESTORES_PER_WINDOW as u64 {
            assert!(ledger.may_restore(&fresh, at(count)));
            ledger.begin_restore(&fresh, None, at(count));
        }
        assert!(!ledger.may_restore(&fresh, at(100)));
        assert!(ledger.may_restore(&fresh, at(HOUR + 100)));
    }

    #[test]
    fn expired_generation_may_be_restored_once() {
        let stale = login("stale", HOUR);
        let mut ledger = Ledger::default();
        assert!(ledger.may_restore(&stale, at(2 * HOUR)));
        ledger.begin_restore(&stale, None, at(2 * HOUR));
        assert!(!ledger.may_restore(&stale, at(500 * HOUR)));
    }

    #[test]
    fn stale_login_verified_after_restore_may_be_restored_again() {
        let stale = login("stale", HOUR);
        let mut ledger = Ledger::default();
        ledger.begin_restore(&stale, None, at(2 * HOUR));
        ledger.record_verification(stale.generation, &Verification::Inconclusive("529".into()), at(2 * HOUR));
        assert!(!ledger.may_restore(&stale, at(9 * HOUR)));
        ledger.record_verification(stale.generation, &Verification::Ok, at(2 * HOUR));
        assert!(ledger.may_restore(&stale, at(9 * HOUR)));
        ledger.begin_restore(&stale, None, at(9 * HOUR));
        assert!(!ledger.may_restore(&stale, at(500 * HOUR)), "it was not verified since");
    }

    #[test]
    fn restore_that_a_crash_prevented_does_not_count() {
        let stale = login("stale", HOUR);
        let before = FileId { inode: 1, modified_seconds: 2, modified_nanoseconds: 3 };
        let after = FileId { inode: 2, ..before };
        for (found, allowed) in [(Some(before), true), (Some(after), false), (None, false)] {
            let mut ledger = Ledger::default();
            ledger.begin_restore(&stale, Some(before), at(2 * HOUR));
            ledger.resolve_pending_restore(found);
            assert_eq!(ledger.may_restore(&stale, at(3 * HOUR)), allowed, "{found:?}");
        }
    }

    #[test]
    fn only_conclusive_verifications_change_the_state() {
        let one = login("one", 9 * HOUR);
        let mut ledger = Ledger::default();
        ledger.record_login(&one, LoginPlace::File, at(0));
        ledger.record_verification(one.generation, &Verification::Inconclusive("529".into()), at(0));
        ledger.record_verification(one.generation, &Verification::ClientUnusable("missing".into()), at(0));
        assert!(ledger.may_restore(&one, at(0)));
        ledger.record_verification(one.generation, &Verification::Rejected { account_level: false }, at(0));
        ledger.record_verification(one.generation, &Verification::Ok, at(0));
        assert!(!ledger.may_restore(&one, at(0)), "a rejected one is never restored");
    }

    /// The write of a restore failed, or its process was killed before it.
    #[test]
    fn login_that_was_never_in_the_file_is_not_superseded() {
        let (backup, own) = (login("backup", HOUR), login("own", 2 * HOUR));
        for is_cancelled in [false, true] {
            let mut ledger = Ledger::default();
            ledger.begin_restore(&backup, None, at(0));
            if is_cancelled {
                ledger.cancel_restore();
            }
            ledger.record_login(&own, LoginPlace::File, at(1));
            assert_ne!(ledger.generation_state(backup.generation), Some(GenerationState::Superseded));
            ledger.record_login(&backup, LoginPlace::File, at(2));
            ledger.record_login(&own, LoginPlace::File, at(3));
            assert_eq!(ledger.generation_state(backup.generation), Some(GenerationState::Superseded));
        }
    }

    #[test]
    fn login_without_owner_inherits_the_previous_owner() {
        let named = |name: &str, ends: u64, account: &str| LoginSummary {
            owner: Owner { account: Some(account.into()), organization: None },
            ..login(name, ends)
        };
        let mut ledger = Ledger::default();
        ledger.record_login(&named("one", HOUR, "one"), LoginPlace::File, at(0));
        ledger.record_login(&named("two", 2 * HOUR, "another"), LoginPlace::File, at(1));
        ledger.record_login(&login("three", 3 * HOUR), LoginPlace::File, at(2));
        assert!(ledger.belongs_to_other_account(&named("one", HOUR, "one")));
        assert_eq!(
            ledger.generation_state(RefreshTokenId::from_bytes("one")),
            Some(GenerationState::Current)
        );
        assert_eq!(
            ledger.generation_state(RefreshTokenId::from_bytes("two")),
            Some(GenerationState::Superseded)
        );
        ledger.record_login(&named("three", 3 * HOUR, "a third"), LoginPlace::File, at(3));
        assert_eq!(
            ledger.resolve_owner(&login("three", 0)).account.as_deref(),
            Some("a third"),
            "the name in the record"
        );
    }

    #[test]
    fn ledger_is_bounded_and_round_trips_through_json() {
        let mut ledger = Ledger::default();
        for count in 0..200 {
            ledger.record_login(&login(&count.to_string(), count), LoginPlace::File, at(count));
            ledger.record_withdrawn_token(Fingerprint::from_bytes(&count.to_string()));
        }
        assert_eq!(ledger.generations.len(), MAX_GENERATIONS);
        assert_eq!(ledger.withdrawn_tokens.len(), MAX_WITHDRAWN_TOKENS);
        let json = serde_json::to_string(&ledger).expect("a ledger is JSON");
        assert_eq!(serde_json::from_str::<Ledger>(&json).expect("and can be read"), ledger);
    }

    /// Clients before 2.1.198 do not name the account. An account switcher points the link to the
    /// file of another account.
    #[test]
    fn unnamed_login_behind_changed_link_has_no_known_account() {
        let link = |target: &str| LoginPlace::Link(Fingerprint::from_bytes(target));
        let named = |name: &str, account: &str| LoginSummary {
            owner: Owner { account: Some(account.into()), organization: None },
            ..login(name, 8 * HOUR)
        };
        let mut ledger = Ledger::default();
        let work = named("work", "one");
        ledger.record_login(&work, link("work"), at(0));
        let personal = login("personal", 9 * HOUR);
        assert!(!ledger.may_learn_owner(personal.generation, link("personal"), at(1)));
        assert!(ledger.may_learn_owner(login("next", 9 * HOUR).generation, link("work"), at(1)));
        ledger.record_login(&personal, link("personal"), at(1));
        assert_eq!(ledger.resolve_owner(&personal), Owner::default());
        assert!(!ledger.may_learn_owner(personal.generation, link("personal"), at(2)));
        assert!(ledger.belongs_to_other_account(&work), "it may be");
        assert!(!ledger.belongs_to_other_account(&personal));
        let refreshed = login("refreshed", 17 * HOUR);
        ledger.record_login(&refreshed, link("personal"), at(3));
        assert!(ledger.belongs_to_other_account(&work), "nor is its successor's account known");
        ledger.record_login(&named("refreshed", "one"), link("personal"), at(4));
        assert!(!ledger.belongs_to_other_account(&work), "until it is named");
    }
}

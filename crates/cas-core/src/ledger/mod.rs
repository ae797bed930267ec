//! What became of each generation this machine has seen. Pure: the state directory loads and saves it.

pub mod setup_tokens;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::credential::fingerprint::{Fingerprint, RefreshTokenId};
use crate::credential::login::{LoginSummary, Owner};
use crate::credential::login_file;
use crate::credential::verification::Verification;
use crate::fs::file_id::FileId;
use crate::ledger::setup_tokens::SeenTokens;
use crate::time::timestamp::Timestamp;

/// How often a generation whose access token is still fresh may be put back within [`RESTORE_WINDOW`].
pub const RESTORES_PER_WINDOW: usize = 8;

/// The window of [`RESTORES_PER_WINDOW`].
pub const RESTORE_WINDOW: Duration = Duration::from_secs(60 * 60);

/// How many generations are remembered: more than three weeks of one every eight hours.
const REMEMBERED: usize = 64;

/// How many withdrawn setup-tokens are remembered.
const WITHDRAWN_REMEMBERED: usize = 16;

/// The fate of every generation seen, kept in `ledger.json` of the state directory. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// Per generation, what is known of it.
    pub generations: BTreeMap<RefreshTokenId, GenerationRecord>,
    /// The complete login that was seen in the credential file last: whose account this person works under.
    #[serde(alias = "lay_there_last")]
    pub last_seen_in_file: Option<RefreshTokenId>,
    /// The generation that was put back last and has not been shown to be alive since: if it is rejected, what it replaced
    /// comes back.
    #[serde(alias = "unproven")]
    pub unverified_restore: Option<RefreshTokenId>,
    /// A restore that was begun: tells, after a crash, whether it happened.
    #[serde(alias = "intent")]
    pub pending_restore: Option<PendingRestore>,
    /// Setup-tokens that once lay in the env file and do so no more.
    #[serde(alias = "withdrawn")]
    pub withdrawn_tokens: Vec<Fingerprint>,
    /// The setup-tokens seen, and since when.
    pub setup_tokens: SeenTokens,
}

/// What is known of one generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationRecord {
    /// When this machine first saw it.
    pub first_seen: Timestamp,
    /// How many had been seen before it: their order, however the clock was set.
    #[serde(default)]
    pub number: u64,
    /// Where it was first seen.
    pub origin: Origin,
    /// The end of its access token.
    pub expires_at: Timestamp,
    /// Whether its access token was fresh when it was first seen: an old copy that somebody puts back mostly is not.
    #[serde(default)]
    pub was_fresh: bool,
    /// Whose it is.
    #[serde(default)]
    pub owner: Owner,
    /// What became of it.
    #[serde(alias = "fate")]
    pub state: GenerationState,
    /// When it was put back, oldest first.
    #[serde(default, alias = "restored")]
    pub restored_at: Vec<Timestamp>,
}

/// Where a generation was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// In `.credentials.json`: Claude Code wrote it on this machine.
    File,
    /// In the store: some machine backed it up.
    Store,
}

/// What became of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GenerationState {
    /// It is, or may be, the newest.
    Current,
    /// A later one replaced it: its refresh token is spent.
    Superseded,
    /// It was put back by us and has not been verified since.
    Restored,
    /// The server refused it.
    Rejected,
}

/// A restore that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRestore {
    /// What was to be put back.
    pub generation: RefreshTokenId,
    /// When; the same moment stands in the entry's `restored`.
    pub at: Timestamp,
    /// Which file it was to replace; nothing if there was none.
    pub replaces: Option<FileId>,
}

impl Ledger {
    /// Takes note of the complete login that lies in the credential file. Whatever ended earlier, of the same account as far
    /// as is known, is superseded by it.
    pub fn record_login(&mut self, login: &LoginSummary, now: Timestamp) {
        let login = &LoginSummary { owner: self.resolve_owner(login), ..login.clone() };
        let replaced = |entry: &GenerationRecord| {
            entry.expires_at < login.expires_at && !entry.owner.contradicts(&login.owner)
        };
        for (_, entry) in
            self.generations.iter_mut().filter(|(name, entry)| **name != login.generation && replaced(entry))
        {
            entry.state = GenerationState::Superseded;
        }
        let entry = self.entry(login, Origin::File, now);
        (entry.expires_at, entry.owner) = (login.expires_at, login.owner.clone());
        self.last_seen_in_file = Some(login.generation);
        self.evict_oldest();
    }

    /// Notes that `login` is about to be put back. To be saved before the file is written, so that no crash can make a
    /// generation be put back more often than [`Ledger::may_restore`] allows.
    pub fn begin_restore(&mut self, login: &LoginSummary, replaces: Option<FileId>, now: Timestamp) {
        let entry = self.entry(login, Origin::Store, now);
        entry.state = GenerationState::Restored;
        entry.restored_at.push(now);
        self.unverified_restore = Some(login.generation);
        self.pending_restore = Some(PendingRestore { generation: login.generation, at: now, replaces });
        self.evict_oldest();
    }

    /// Notes that the restore begun last was given up before the file was written; it does not count.
    pub fn cancel_restore(&mut self) {
        let Some(intent) = self.pending_restore.take() else { return };
        self.unverified_restore = None;
        if let Some(entry) = self.generations.get_mut(&intent.generation) {
            entry.restored_at.retain(|at| *at != intent.at);
            if entry.state == GenerationState::Restored && entry.restored_at.is_empty() {
                entry.state = GenerationState::Current;
            }
        }
    }

    /// Settles a restore that was begun: if the very file it was to replace is still there, it never happened and does
    /// not count.
    pub fn resolve_pending_restore(&mut self, found: Option<FileId>) {
        let Some(intent) = &self.pending_restore else { return };
        if intent.replaces.is_some() && intent.replaces == found {
            self.cancel_restore();
        }
        self.pending_restore = None;
    }

    /// Notes what a live probe of this generation showed; only certain answers change its fate, and a rejection is final.
    pub fn record_verification(&mut self, generation: RefreshTokenId, verdict: &Verification) {
        let Some(entry) = self.generations.get_mut(&generation) else { return };
        if verdict.is_rejected() {
            // Of one that was replaced more is known: its refresh token is spent as well.
            if entry.state != GenerationState::Superseded {
                entry.state = GenerationState::Rejected;
            }
        } else if verdict.is_alive() {
            if entry.state == GenerationState::Restored {
                entry.state = GenerationState::Current;
            }
            if self.unverified_restore == Some(generation) {
                self.unverified_restore = None;
            }
        }
    }

    /// Notes that what a restore had replaced lies there again.
    pub fn record_rollback(&mut self) {
        self.unverified_restore = None;
    }

    /// Whether the rules allow to put this login back now: never one that was rejected or superseded; one whose access
    /// token is stale once ever, because its refresh token may be spent and replaying a spent one can revoke its whole
    /// family; one that is fresh as often as others clobber it, within [`RESTORES_PER_WINDOW`].
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
            entry.restored_at.is_empty()
        }
    }

    /// What became of this generation, if it is known.
    pub fn fate(&self, generation: RefreshTokenId) -> Option<GenerationState> {
        self.generations.get(&generation).map(|entry| entry.state)
    }

    /// When this machine first saw this generation.
    pub fn first_seen(&self, generation: RefreshTokenId) -> Option<Timestamp> {
        self.generations.get(&generation).map(|entry| entry.first_seen)
    }

    /// Whose a login that lies in the credential file is: what it says itself; else what is known of it; else, since it came
    /// of a refresh by a client that drops the names (a sign-in writes them), whose the one before it was.
    pub fn resolve_owner(&self, login: &LoginSummary) -> Owner {
        let known = self.generations.get(&login.generation);
        let before = self.last_seen_in_file.and_then(|generation| self.generations.get(&generation));
        known.or(before).map_or(login.owner.clone(), |entry| login.owner.clone().merged_with(&entry.owner))
    }

    /// Whether a login is of another account or organisation than the one that lay in the credential file last.
    pub fn belongs_to_other_account(&self, login: &LoginSummary) -> bool {
        let last = self.last_seen_in_file.and_then(|generation| self.generations.get(&generation));
        last.is_some_and(|last| last.owner.contradicts(&login.owner))
    }

    /// Whether this machine has had a login of its own.
    pub fn has_local_login(&self) -> bool {
        self.generations.values().any(|entry| entry.origin == Origin::File)
    }

    /// Notes that this setup-token was taken away, so that a process that inherited it can be told.
    pub fn record_withdrawn_token(&mut self, token: Fingerprint) {
        self.withdrawn_tokens.retain(|known| *known != token);
        self.withdrawn_tokens.push(token);
        let excess = self.withdrawn_tokens.len().saturating_sub(WITHDRAWN_REMEMBERED);
        self.withdrawn_tokens.drain(..excess);
    }

    fn entry(&mut self, login: &LoginSummary, origin: Origin, now: Timestamp) -> &mut GenerationRecord {
        let number = self.generations.values().map(|entry| entry.number.saturating_add(1)).max().unwrap_or(0);
        self.generations.entry(login.generation).or_insert_with(|| GenerationRecord {
            first_seen: now,
            number,
            origin,
            expires_at: login.expires_at,
            was_fresh: login_file::is_fresh(login.expires_at, now),
            owner: login.owner.clone(),
            state: GenerationState::Current,
            restored_at: Vec::new(),
        })
    }

    fn evict_oldest(&mut self) {
        while self.generations.len() > REMEMBERED {
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

    /// A ledger that was written before the names changed keeps its rules.
    #[test]
    fn a_ledger_with_the_former_names_is_read() {
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
    fn a_later_login_in_the_file_supersedes_the_earlier_ones() {
        let (old, new) = (login("old", HOUR), login("new", 9 * HOUR));
        let mut ledger = Ledger::default();
        ledger.record_login(&old, at(0));
        assert!(ledger.may_restore(&old, at(0)));
        ledger.record_login(&new, at(1));
        assert!(!ledger.may_restore(&old, at(1)));
        ledger.record_login(&old, at(2));
        assert!(!ledger.may_restore(&old, at(2)), "an older copy that came back is still spent");
        assert!(ledger.may_restore(&new, at(2)));
    }

    #[test]
    fn a_fresh_generation_may_be_put_back_eight_times_an_hour() {
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
    fn a_stale_generation_may_be_put_back_once_ever() {
        let stale = login("stale", HOUR);
        let mut ledger = Ledger::default();
        assert!(ledger.may_restore(&stale, at(2 * HOUR)));
        ledger.begin_restore(&stale, None, at(2 * HOUR));
        assert!(!ledger.may_restore(&stale, at(500 * HOUR)));
    }

    #[test]
    fn a_restore_that_a_crash_prevented_does_not_count() {
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
    fn only_certain_verdicts_decide_a_fate() {
        let one = login("one", 9 * HOUR);
        let mut ledger = Ledger::default();
        ledger.record_login(&one, at(0));
        ledger.record_verification(one.generation, &Verification::Inconclusive("529".into()));
        ledger.record_verification(one.generation, &Verification::ClientUnusable("missing".into()));
        assert!(ledger.may_restore(&one, at(0)));
        ledger.record_verification(one.generation, &Verification::Rejected { account_level: false });
        ledger.record_verification(one.generation, &Verification::Ok);
        assert!(!ledger.may_restore(&one, at(0)), "a rejected one never comes back");
    }

    #[test]
    fn a_login_without_names_is_whose_the_one_before_it_was() {
        let named = |name: &str, ends: u64, account: &str| LoginSummary {
            owner: Owner { account: Some(account.into()), organization: None },
            ..login(name, ends)
        };
        let mut ledger = Ledger::default();
        ledger.record_login(&named("one", HOUR, "one"), at(0));
        ledger.record_login(&named("two", 2 * HOUR, "another"), at(1));
        ledger.record_login(&login("three", 3 * HOUR), at(2));
        assert!(ledger.belongs_to_other_account(&named("one", HOUR, "one")));
        assert_eq!(ledger.fate(RefreshTokenId::from_bytes("one")), Some(GenerationState::Current));
        assert_eq!(ledger.fate(RefreshTokenId::from_bytes("two")), Some(GenerationState::Superseded));
        ledger.record_login(&named("three", 3 * HOUR, "a third"), at(3));
        assert_eq!(
            ledger.resolve_owner(&login("three", 0)).account.as_deref(),
            Some("a third"),
            "its own word"
        );
    }

    #[test]
    fn the_ledger_stays_small_and_survives_a_round_through_json() {
        let mut ledger = Ledger::default();
        for count in 0..200 {
            ledger.record_login(&login(&count.to_string(), count), at(count));
            ledger.record_withdrawn_token(Fingerprint::from_bytes(&count.to_string()));
        }
        assert_eq!(ledger.generations.len(), REMEMBERED);
        assert_eq!(ledger.withdrawn_tokens.len(), WITHDRAWN_REMEMBERED);
        let json = serde_json::to_string(&ledger).expect("a ledger is JSON");
        assert_eq!(serde_json::from_str::<Ledger>(&json).expect("and can be read"), ledger);
    }
}

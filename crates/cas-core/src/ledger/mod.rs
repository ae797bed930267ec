//! What became of each generation this machine has seen. Pure: the state directory loads and saves it.

pub mod setup_tokens;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::credential::fingerprint::{Fingerprint, Generation};
use crate::credential::login::{LoginSummary, Owner};
use crate::credential::login_file;
use crate::credential::login_file::LoginPlace;
use crate::credential::verification::Verdict;
use crate::fs::file_id::FileIdentity;
use crate::ledger::setup_tokens::SeenTokens;
use crate::time::timestamp::Timestamp;

/// How often a generation whose access token is still fresh may be put back within [`RESTORE_WINDOW`].
pub const RESTORES_PER_WINDOW: usize = 8;

/// The window of [`RESTORES_PER_WINDOW`].
pub const RESTORE_WINDOW: Duration = Duration::from_secs(60 * 60);

/// For so long after a login was first seen its account may be learnt from the client's own state. Signing in writes both files
/// within a second.
const LEARNING_WINDOW: Duration = Duration::from_secs(60);

/// How many generations are remembered: more than three weeks of one every eight hours.
const REMEMBERED: usize = 64;

/// How many withdrawn setup-tokens are remembered.
const WITHDRAWN_REMEMBERED: usize = 16;

/// The fate of every generation seen, kept in `ledger.json` of the state directory. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ledger {
    /// Per generation, what is known of it.
    pub generations: BTreeMap<Generation, Entry>,
    /// The complete login that was seen in the credential file last: whose account this person works under.
    pub lay_there_last: Option<Generation>,
    /// Where that login lay.
    #[serde(default)]
    pub last_seen_at: LoginPlace,
    /// The generation that was put back last and has not been shown to be alive since: if it is rejected, what it replaced
    /// comes back.
    pub unproven: Option<Generation>,
    /// A restore that was begun: tells, after a crash, whether it happened.
    pub intent: Option<Intent>,
    /// Setup-tokens that once lay in the env file and do so no more.
    pub withdrawn: Vec<Fingerprint>,
    /// The setup-tokens seen, and since when.
    pub setup_tokens: SeenTokens,
}

/// What is known of one generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
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
    pub fate: Fate,
    /// When it was put back, oldest first.
    #[serde(default)]
    pub restored: Vec<Timestamp>,
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
pub enum Fate {
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
pub struct Intent {
    /// What was to be put back.
    pub generation: Generation,
    /// When; the same moment stands in the entry's `restored`.
    pub at: Timestamp,
    /// Which file it was to replace; nothing if there was none.
    pub replaces: Option<FileIdentity>,
}

impl Ledger {
    /// Takes note of the complete login that lies in the credential file. Whatever ended earlier, of the same account as far
    /// as is known, is superseded by it.
    pub fn observe_file(&mut self, login: &LoginSummary, now: Timestamp) {
        let login = &LoginSummary { owner: self.owner_of(login), ..login.clone() };
        let replaced =
            |entry: &Entry| entry.expires_at < login.expires_at && !entry.owner.contradicts(&login.owner);
        for (_, entry) in
            self.generations.iter_mut().filter(|(name, entry)| **name != login.generation && replaced(entry))
        {
            entry.fate = Fate::Superseded;
        }
        let entry = self.entry(login, Origin::File, now);
        (entry.expires_at, entry.owner) = (login.expires_at, login.owner.clone());
        self.lay_there_last = Some(login.generation);
        self.forget_oldest();
    }

    /// Takes note of where the complete login lies.
    pub fn observe_place(&mut self, place: LoginPlace) {
        self.last_seen_at = place;
    }

    /// Returns true if the credential file at `place` is a link that led elsewhere when a login was last seen through it: it may
    /// be another account's file.
    pub fn is_repointed(&self, place: LoginPlace) -> bool {
        let is_known = self.last_seen_at != LoginPlace::Unknown;
        is_known && matches!(place, LoginPlace::Link(_)) && place != self.last_seen_at
    }

    /// Whether the account of a login may still be taken from what the client says beside it: while it is first seen, and for a
    /// moment after, since the client writes its two files one after the other. Later that may be another account.
    pub fn may_learn_owner(&self, generation: Generation, now: Timestamp) -> bool {
        self.generations.get(&generation).is_none_or(|entry| {
            entry.origin == Origin::File && entry.first_seen.is_within(LEARNING_WINDOW, now)
        })
    }

    /// Notes that `login` is about to be put back. To be saved before the file is written, so that no crash can make a
    /// generation be put back more often than [`Ledger::may_restore`] allows.
    pub fn begin_restore(&mut self, login: &LoginSummary, replaces: Option<FileIdentity>, now: Timestamp) {
        let entry = self.entry(login, Origin::Store, now);
        entry.fate = Fate::Restored;
        entry.restored.push(now);
        self.unproven = Some(login.generation);
        self.intent = Some(Intent { generation: login.generation, at: now, replaces });
        self.forget_oldest();
    }

    /// Notes that the restore begun last was given up before the file was written; it does not count.
    pub fn cancel_restore(&mut self) {
        let Some(intent) = self.intent.take() else { return };
        self.unproven = None;
        if let Some(entry) = self.generations.get_mut(&intent.generation) {
            entry.restored.retain(|at| *at != intent.at);
            if entry.fate == Fate::Restored && entry.restored.is_empty() {
                entry.fate = Fate::Current;
            }
        }
    }

    /// Settles a restore that was begun: if the very file it was to replace is still there, it never happened and does
    /// not count.
    pub fn settle_intent(&mut self, found: Option<FileIdentity>) {
        let Some(intent) = &self.intent else { return };
        if intent.replaces.is_some() && intent.replaces == found {
            self.cancel_restore();
        }
        self.intent = None;
    }

    /// Notes what a live probe of this generation showed; only certain answers change its fate, and a rejection is final.
    pub fn observe_verdict(&mut self, generation: Generation, verdict: &Verdict) {
        let Some(entry) = self.generations.get_mut(&generation) else { return };
        if verdict.is_rejected() {
            // Of one that was replaced more is known: its refresh token is spent as well.
            if entry.fate != Fate::Superseded {
                entry.fate = Fate::Rejected;
            }
        } else if verdict.is_alive() {
            if entry.fate == Fate::Restored {
                entry.fate = Fate::Current;
            }
            if self.unproven == Some(generation) {
                self.unproven = None;
            }
        }
    }

    /// Notes that what a restore had replaced lies there again.
    pub fn observe_roll_back(&mut self) {
        self.unproven = None;
    }

    /// Whether the rules allow to put this login back now: never one that was rejected or superseded; one whose access
    /// token is stale once ever, because its refresh token may be spent and replaying a spent one can revoke its whole
    /// family; one that is fresh as often as others clobber it, within [`RESTORES_PER_WINDOW`].
    pub fn may_restore(&self, login: &LoginSummary, now: Timestamp) -> bool {
        let Some(entry) = self.generations.get(&login.generation) else { return true };
        if matches!(entry.fate, Fate::Superseded | Fate::Rejected) {
            return false;
        }
        if login_file::is_fresh(login.expires_at, now) {
            let recent = entry.restored.iter().filter(|at| **at > now || at.is_within(RESTORE_WINDOW, now));
            recent.count() < RESTORES_PER_WINDOW
        } else {
            entry.restored.is_empty()
        }
    }

    /// What became of this generation, if it is known.
    pub fn fate(&self, generation: Generation) -> Option<Fate> {
        self.generations.get(&generation).map(|entry| entry.fate)
    }

    /// When this machine first saw this generation.
    pub fn first_seen(&self, generation: Generation) -> Option<Timestamp> {
        self.generations.get(&generation).map(|entry| entry.first_seen)
    }

    /// Whose a login that lies in the credential file is: what it says itself; else what is known of it; else, since it came
    /// of a refresh by a client that drops the names (a sign-in writes them), whose the one before it was.
    pub fn owner_of(&self, login: &LoginSummary) -> Owner {
        let known = self.generations.get(&login.generation);
        let before = self.lay_there_last.and_then(|generation| self.generations.get(&generation));
        known.or(before).map_or(login.owner.clone(), |entry| login.owner.clone().or(&entry.owner))
    }

    /// Whether a login is of another account or organisation than the one that lay in the credential file last.
    pub fn is_somebody_elses(&self, login: &LoginSummary) -> bool {
        let last = self.lay_there_last.and_then(|generation| self.generations.get(&generation));
        last.is_some_and(|last| last.owner.contradicts(&login.owner))
    }

    /// Notes that this setup-token was taken away, so that a process that inherited it can be told.
    pub fn observe_withdrawn(&mut self, token: Fingerprint) {
        self.withdrawn.retain(|known| *known != token);
        self.withdrawn.push(token);
        let excess = self.withdrawn.len().saturating_sub(WITHDRAWN_REMEMBERED);
        self.withdrawn.drain(..excess);
    }

    fn entry(&mut self, login: &LoginSummary, origin: Origin, now: Timestamp) -> &mut Entry {
        let number = self.generations.values().map(|entry| entry.number.saturating_add(1)).max().unwrap_or(0);
        self.generations.entry(login.generation).or_insert_with(|| Entry {
            first_seen: now,
            number,
            origin,
            expires_at: login.expires_at,
            was_fresh: login_file::is_fresh(login.expires_at, now),
            owner: login.owner.clone(),
            fate: Fate::Current,
            restored: Vec::new(),
        })
    }

    fn forget_oldest(&mut self) {
        while self.generations.len() > REMEMBERED {
            let age = |entry: &Entry| (entry.number, entry.first_seen);
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
            generation: Generation::of(name),
            expires_at: at(expires_at),
            login_expires_at: None,
            owner: Owner::default(),
        }
    }

    #[test]
    fn a_later_login_in_the_file_supersedes_the_earlier_ones() {
        let (old, new) = (login("old", HOUR), login("new", 9 * HOUR));
        let mut ledger = Ledger::default();
        ledger.observe_file(&old, at(0));
        assert!(ledger.may_restore(&old, at(0)));
        ledger.observe_file(&new, at(1));
        assert!(!ledger.may_restore(&old, at(1)));
        ledger.observe_file(&old, at(2));
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
        let before = FileIdentity { inode: 1, modified_seconds: 2, modified_nanoseconds: 3 };
        let after = FileIdentity { inode: 2, ..before };
        for (found, allowed) in [(Some(before), true), (Some(after), false), (None, false)] {
            let mut ledger = Ledger::default();
            ledger.begin_restore(&stale, Some(before), at(2 * HOUR));
            ledger.settle_intent(found);
            assert_eq!(ledger.may_restore(&stale, at(3 * HOUR)), allowed, "{found:?}");
        }
    }

    #[test]
    fn only_certain_verdicts_decide_a_fate() {
        let one = login("one", 9 * HOUR);
        let mut ledger = Ledger::default();
        ledger.observe_file(&one, at(0));
        ledger.observe_verdict(one.generation, &Verdict::Unknown("529".into()));
        ledger.observe_verdict(one.generation, &Verdict::Unusable("missing".into()));
        assert!(ledger.may_restore(&one, at(0)));
        ledger.observe_verdict(one.generation, &Verdict::Rejected { account_level: false });
        ledger.observe_verdict(one.generation, &Verdict::Ok);
        assert!(!ledger.may_restore(&one, at(0)), "a rejected one never comes back");
    }

    #[test]
    fn a_login_without_names_is_whose_the_one_before_it_was() {
        let named = |name: &str, ends: u64, account: &str| LoginSummary {
            owner: Owner { account: Some(account.into()), organization: None },
            ..login(name, ends)
        };
        let mut ledger = Ledger::default();
        ledger.observe_file(&named("one", HOUR, "one"), at(0));
        ledger.observe_file(&named("two", 2 * HOUR, "another"), at(1));
        ledger.observe_file(&login("three", 3 * HOUR), at(2));
        assert!(ledger.is_somebody_elses(&named("one", HOUR, "one")));
        assert_eq!(ledger.fate(Generation::of("one")), Some(Fate::Current));
        assert_eq!(ledger.fate(Generation::of("two")), Some(Fate::Superseded));
        ledger.observe_file(&named("three", 3 * HOUR, "a third"), at(3));
        assert_eq!(ledger.owner_of(&login("three", 0)).account.as_deref(), Some("a third"), "its own word");
    }

    #[test]
    fn the_ledger_stays_small_and_survives_a_round_through_json() {
        let mut ledger = Ledger::default();
        for count in 0..200 {
            ledger.observe_file(&login(&count.to_string(), count), at(count));
            ledger.observe_withdrawn(Fingerprint::of(&count.to_string()));
        }
        assert_eq!(ledger.generations.len(), REMEMBERED);
        assert_eq!(ledger.withdrawn.len(), WITHDRAWN_REMEMBERED);
        let json = serde_json::to_string(&ledger).expect("a ledger is JSON");
        assert_eq!(serde_json::from_str::<Ledger>(&json).expect("and can be read"), ledger);
    }
}

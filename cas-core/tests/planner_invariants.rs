//! The invariants of the planner over random histories: a small world in which Claude Code refreshes and empties logins,
//! people put old copies back, other machines back up, stores fail and probes answer anything; the planner is run again
//! and again in it, and every step it takes is held against the rules, counted by the test itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cas_core::fingerprint::{Fingerprint, Generation};
use cas_core::ledger::Ledger;
use cas_core::local_login::{LocalLogin, is_fresh};
use cas_core::oauth_login::LoginSummary;
use cas_core::outcome::Source;
use cas_core::planner::{self, *};
use cas_core::store::Failure;
use cas_core::timestamp::Timestamp;
use cas_core::verdict::Verdict;
use proptest::prelude::*;

const HOUR: u64 = 60 * 60 * 1000;

#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    SetClockBack(u64),
    SignIn { account: u8 },
    Refresh,
    Empty,
    Damage,
    Delete,
    Partial,
    PutOldCopyBack(usize),
    OtherMachineBacksUp,
    StoreToken(Option<TokenFact>),
    EnvFile(EnvFileFact),
    Run(Run),
}

#[derive(Clone, Debug)]
struct Run {
    mode: Mode,
    store: StoreKind,
    can_verify: bool,
    expected: bool,
    others: bool,
    store_answers: bool,
    writes_succeed: bool,
    verdicts: Vec<Verdict>,
    /// After which steps Claude Code, or somebody else, writes the credential file.
    interference: Vec<Option<Interference>>,
}

#[derive(Clone, Copy, Debug)]
enum Interference {
    SignsIn,
    Empties,
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => Just(Verdict::Ok),
        1 => Just(Verdict::Limited),
        3 => any::<bool>().prop_map(|account_level| Verdict::Rejected { account_level }),
        1 => Just(Verdict::Unusable("too old".into())),
        2 => Just(Verdict::Unknown("529".into())),
    ]
}

fn token() -> impl Strategy<Value = Fingerprint> {
    (0..3u8).prop_map(|name| Fingerprint::of(&name.to_string()))
}

fn run() -> impl Strategy<Value = Run> {
    let settings = (
        prop_oneof![Just(Mode::Login), Just(Mode::Sync)],
        prop_oneof![Just(StoreKind::Local), Just(StoreKind::Vault)],
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
    );
    let interference = prop_oneof![12 => Just(None), 1 => Just(Some(Interference::SignsIn)), 1 => Just(Some(Interference::Empties))];
    let world = (
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.9),
        prop::collection::vec(verdict(), 4),
        prop::collection::vec(interference, 20),
    );
    (settings, world).prop_map(|(settings, (store_answers, writes_succeed, verdicts, interference))| {
        let (mode, store, can_verify, expected, others) = settings;
        Run {
            mode,
            store,
            can_verify,
            expected,
            others,
            store_answers,
            writes_succeed,
            verdicts,
            interference,
        }
    })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => prop_oneof![Just(1000), Just(HOUR / 8), Just(9 * HOUR)].prop_map(Event::Wait),
        1 => prop_oneof![Just(1000), Just(2 * HOUR), Just(30 * HOUR)].prop_map(Event::SetClockBack),
        1 => (0..2u8).prop_map(|account| Event::SignIn { account }),
        2 => Just(Event::Refresh),
        4 => Just(Event::Empty),
        1 => Just(Event::Damage),
        1 => Just(Event::Delete),
        1 => Just(Event::Partial),
        1 => any::<usize>().prop_map(Event::PutOldCopyBack),
        1 => Just(Event::OtherMachineBacksUp),
        1 => prop::option::of(prop_oneof![
            Just(TokenFact::Withdrawn),
            token().prop_map(TokenFact::Token),
            Just(TokenFact::Malformed("a line end".into())),
        ]).prop_map(Event::StoreToken),
        1 => prop_oneof![
            Just(EnvFileFact::Absent),
            token().prop_map(EnvFileFact::Token),
            Just(EnvFileFact::Malformed("two lines".into())),
            Just(EnvFileFact::Unreadable("a FIFO".into())),
        ].prop_map(Event::EnvFile),
        8 => run().prop_map(Event::Run),
    ]
}

#[derive(Default)]
struct World {
    now: u64,
    serial: u64,
    file: File,
    ledger: Ledger,
    history: Vec<LoginSummary>,
    backup: Option<LoginSummary>,
    backup_is_foreign: bool,
    token: Option<TokenFact>,
    env_file: Env,
    contact: Contact,
    // What the test itself remembers, to hold the planner against.
    ever: Vec<LoginSummary>,
    seen: BTreeSet<Generation>,
    seen_superseded: BTreeSet<Generation>,
    rejected: BTreeSet<Generation>,
    restores: BTreeMap<Generation, Vec<(u64, bool)>>,
    backups: usize,
}

struct File(LocalLogin<LoginSummary>);
struct Env(EnvFileFact);

impl Default for File {
    fn default() -> Self {
        Self(LocalLogin::Absent)
    }
}

impl Default for Env {
    fn default() -> Self {
        Self(EnvFileFact::Absent)
    }
}

impl World {
    fn new_login(&mut self, account: u8, machine: &str) -> LoginSummary {
        self.serial += 1;
        let login = LoginSummary {
            generation: Generation::of(&format!("{machine}{}", self.serial)),
            // Mostly eight hours; now and then a token of another life.
            expires_at: Timestamp::from_millis(
                self.now + [8, 8, 8, 1, 24][self.serial as usize % 5] * HOUR + self.serial,
            ),
            login_expires_at: None,
            account: Some(format!("account{account}")),
            organization: Some(format!("organization{account}")),
        };
        self.ever.push(login.clone());
        login
    }

    fn put(&mut self, login: LoginSummary) {
        let fresh = is_fresh(login.expires_at, Timestamp::from_millis(self.now));
        self.file.0 = if fresh { LocalLogin::Healthy(login) } else { LocalLogin::Stale(login) };
    }

    fn age_file(&mut self) {
        if let Some(login) = self.file.0.login().cloned() {
            self.put(login);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wait(millis) => self.now += millis,
            Event::SetClockBack(millis) => self.now -= millis.min(self.now / 2),
            Event::SignIn { account } => {
                let login = self.new_login(account, "here");
                self.put(login);
            }
            Event::Refresh => {
                if let Some(old) = self.file.0.login().cloned() {
                    let account = u8::from(old.account.as_deref() == Some("account1"));
                    let login = self.new_login(account, "here");
                    self.put(login);
                }
            }
            Event::Empty => self.file.0 = LocalLogin::Tombstone,
            Event::Damage => self.file.0 = LocalLogin::Damaged("torn"),
            Event::Delete => self.file.0 = LocalLogin::Absent,
            Event::Partial => self.file.0 = LocalLogin::Partial("no refresh token"),
            Event::PutOldCopyBack(which) if !self.ever.is_empty() => {
                self.put(self.ever[which % self.ever.len()].clone())
            }
            Event::PutOldCopyBack(_) => (),
            Event::OtherMachineBacksUp => {
                self.backup = Some(self.new_login(0, "there"));
                self.backup_is_foreign = true;
            }
            Event::StoreToken(token) => self.token = token,
            Event::EnvFile(found) => self.env_file.0 = found,
            Event::Run(run) => self.run(run),
        }
        self.age_file();
    }

    /// As every run begins: whoever saw a login in the file knows that those which end earlier are spent.
    fn observe(&mut self) {
        if let Some(login) = self.file.0.login().cloned() {
            self.ledger.observe_file(&login, Timestamp::from_millis(self.now));
            let is_spent = |other: &&LoginSummary| {
                other.expires_at < login.expires_at && self.seen.contains(&other.generation)
            };
            let spent: Vec<_> = self.ever.iter().filter(is_spent).map(|other| other.generation).collect();
            self.seen_superseded.extend(spent);
            self.seen.insert(login.generation);
        }
    }

    fn facts(&self, run: &Run) -> Facts {
        Facts {
            now: Timestamp::from_millis(self.now),
            login: self.file.0.clone(),
            ledger: self.ledger.clone(),
            history: self.history.clone(),
            document: DocumentFact::NotRead,
            env_file: self.env_file.0.clone(),
            contact: self.contact,
            settings: Settings {
                mode: run.mode,
                store: run.store,
                login_refresh_after: Duration::from_secs(900),
                can_verify: run.can_verify,
                expected_organization: run.expected.then(|| "organization0".to_owned()),
                restore_from_other_machines: run.others,
            },
            done: Done::default(),
        }
    }

    fn run(&mut self, run: Run) {
        self.observe();
        let mut facts = self.facts(&run);
        let (mut restores, mut probes, mut reports) = (0, 0, 0);
        for interference in &run.interference {
            let step = planner::next(&facts);
            self.check(&facts, &step, &run);
            match &step {
                Step::Restore(..) => restores += 1,
                Step::Probe(_) => probes += 1,
                Step::Report(_) => {
                    reports += 1;
                    break;
                }
                _ => (),
            }
            self.carry_out(&mut facts, step, &run);
            self.interfere(&mut facts, *interference);
        }
        assert!(
            restores <= 1 && probes <= 2 && reports == 1,
            "I7: {restores} restores, {probes} probes, {reports} reports"
        );
    }

    fn interfere(&mut self, facts: &mut Facts, interference: Option<Interference>) {
        match interference {
            Some(Interference::SignsIn) => self.happen(Event::SignIn { account: 0 }),
            Some(Interference::Empties) => self.happen(Event::Empty),
            None => return,
        }
        self.observe();
        facts.login = self.file.0.clone();
        facts.ledger = self.ledger.clone();
    }

    fn carry_out(&mut self, facts: &mut Facts, step: Step, run: &Run) {
        let result = || if run.writes_succeed { Ok(()) } else { Err("disk full".to_owned()) };
        let verdict = run.verdicts[facts.done.probes.len() % run.verdicts.len()].clone();
        match step {
            Step::ReadStore if run.store_answers => {
                self.contact = Contact { answered_at: Some(facts.now), failed_at: None };
                facts.document = DocumentFact::Read(DocumentSummary {
                    backup: self.backup.clone(),
                    from_another_machine: self.backup_is_foreign,
                    setup_token: self.token.clone().unwrap_or(TokenFact::Unsaid),
                });
            }
            Step::ReadStore => {
                self.contact.failed_at = Some(facts.now);
                facts.document = DocumentFact::Unreadable(Failure::Unreachable { reason: "refused".into() });
            }
            Step::WriteEnvFile | Step::RemoveEnvFile => {
                let change =
                    if step == Step::WriteEnvFile { EnvFileChange::Written } else { EnvFileChange::Removed };
                if run.writes_succeed {
                    self.env_file.0 = match (change, &self.token) {
                        (EnvFileChange::Written, Some(TokenFact::Token(token))) => EnvFileFact::Token(*token),
                        _ => EnvFileFact::Absent,
                    };
                }
                facts.done.env_file = Some(result().map(|()| change));
                facts.env_file = self.env_file.0.clone();
            }
            Step::Probe(subject) => {
                if let Subject::Login(generation) = subject {
                    self.ledger.observe_verdict(generation, &verdict);
                    if verdict.is_rejected() {
                        self.rejected.insert(generation);
                    }
                }
                facts.done.probes.push((subject, verdict));
            }
            Step::RefreshRun => {
                match &verdict {
                    Verdict::Ok | Verdict::Limited => {
                        self.happen(Event::Refresh);
                        let generation = self.file.0.login().expect("a refresh leaves a login").generation;
                        facts.done.probes.push((Subject::Login(generation), verdict.clone()));
                    }
                    Verdict::Rejected { .. } => self.happen(Event::Empty),
                    _ => (),
                }
                facts.done.refresh_run = Some(verdict);
            }
            Step::Restore(generation, source) => {
                let login = self
                    .ever
                    .iter()
                    .find(|login| login.generation == generation)
                    .expect("it existed")
                    .clone();
                let fresh = is_fresh(login.expires_at, facts.now);
                self.ledger.begin_restore(&login, None, facts.now);
                self.restores.entry(generation).or_default().push((self.now, fresh));
                if run.writes_succeed {
                    self.put(login.clone());
                }
                facts.done.restore = Some(Restored { login, source, result: result() });
            }
            Step::RollBack => {
                if run.writes_succeed {
                    self.file.0 = LocalLogin::Tombstone;
                }
                facts.done.roll_back = Some(result());
            }
            Step::Backup(_, place) => {
                let login = self.file.0.login().expect("only a login is backed up").clone();
                let into_history = place == Source::History || run.store == StoreKind::Local;
                if run.writes_succeed && into_history {
                    self.history.push(login.clone());
                }
                if run.writes_succeed && place == Source::Store {
                    (self.backup, self.backup_is_foreign) = (Some(login), false);
                    self.backups += 1;
                }
                match place {
                    Source::History => facts.done.history_backup = Some(result()),
                    Source::Store => facts.done.store_backup = Some(result()),
                }
            }
            Step::Report(_) => (),
        }
        self.observe();
        facts.login = self.file.0.clone();
        facts.ledger = self.ledger.clone();
        facts.history = self.history.clone();
    }

    fn check(&self, facts: &Facts, step: &Step, run: &Run) {
        let verdict = facts.login.login().and_then(|login| facts.verdict(Subject::Login(login.generation)));
        let is_rejected = verdict.is_some_and(Verdict::is_rejected);
        match step {
            Step::Restore(generation, _) => {
                let login =
                    self.ever.iter().find(|login| login.generation == *generation).expect("it existed");
                assert!(facts.login.is_broken() || is_rejected, "I1: {:?} was replaced", facts.login);
                assert!(!self.rejected.contains(generation), "I1, I3: a rejected generation was put back");
                assert!(
                    !self.seen_superseded.contains(generation),
                    "I1, I3: a superseded generation was put back"
                );
                if let Some(found) = facts.login.login() {
                    assert!(login.expires_at > found.expires_at && found.generation != *generation, "I1");
                }
                self.check_frequency(login);
                assert!(
                    !run.expected || login.organization.as_deref() == Some("organization0"),
                    "another organisation's login"
                );
                assert!(
                    facts.active_token().is_none(),
                    "the login file is left alone while a setup-token is in use"
                );
            }
            Step::RollBack => assert!(is_rejected && facts.done.restore.is_some(), "I3, I4"),
            Step::Backup(generation, place) => {
                let login = facts.login.login().expect("I2: no complete login");
                assert_eq!(login.generation, *generation);
                assert!(verdict.is_none_or(Verdict::is_alive), "I4: backed up after {verdict:?}");
                let is_alive = verdict.is_some_and(Verdict::is_alive);
                assert!(
                    is_alive || !self.rejected.contains(generation),
                    "I2: a rejected generation was backed up"
                );
                if *place == Source::Store {
                    let kept = facts.document().expect("I2: never without having read").backup.as_ref();
                    assert!(kept.is_none_or(|kept| kept.expires_at < login.expires_at), "I2: an older one");
                    assert!(kept.is_none_or(|kept| kept.account == login.account), "I2: another account's");
                    assert!(!run.expected || login.organization.as_deref() == Some("organization0"), "I2");
                }
            }
            Step::RemoveEnvFile => {
                let said = facts.document().map(|document| document.setup_token.clone());
                assert_eq!(said, Some(TokenFact::Withdrawn), "I6");
            }
            Step::WriteEnvFile => {
                let said = facts.document().map(|document| document.setup_token.clone());
                assert!(
                    matches!(said, Some(TokenFact::Token(_))),
                    "only a well-formed token reaches the env file"
                );
                assert!(
                    !matches!(facts.env_file, EnvFileFact::Unreadable(_)),
                    "I8: what is not the user's file is not replaced"
                );
            }
            Step::Probe(_) | Step::RefreshRun => assert!(run.can_verify && run.mode == Mode::Sync),
            Step::ReadStore | Step::Report(_) => (),
        }
    }

    fn check_frequency(&self, login: &LoginSummary) {
        let restores = self.restores.get(&login.generation).map_or(&[][..], Vec::as_slice);
        if is_fresh(login.expires_at, Timestamp::from_millis(self.now)) {
            let recent = restores.iter().filter(|(at, _)| *at > self.now || self.now - at < HOUR).count();
            assert!(recent < 8, "I3: put back {recent} times within the hour");
        } else {
            assert!(restores.is_empty(), "I3: a stale generation was put back again");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_makes_the_planner_break_a_rule(events in prop::collection::vec(event(), 1..60)) {
        let mut world = World { now: 100 * HOUR, ..World::default() };
        for event in events {
            world.happen(event);
        }
    }
}

/// A test that only ever sees refusals would hold every rule: the histories above must also mend, back up and verify.
#[test]
fn the_histories_reach_every_step() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut restored = 0;
    let mut backed_up = 0;
    for _ in 0..300 {
        let events = prop::collection::vec(event(), 40).new_tree(&mut runner).expect("events").current();
        let mut world = World { now: 100 * HOUR, ..World::default() };
        for event in events {
            world.happen(event);
        }
        restored += world.restores.len();
        backed_up += world.backups;
    }
    assert!(restored > 100 && backed_up > 50, "{restored} restored, {backed_up} backed up");
}

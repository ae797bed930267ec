//! What can happen between two runs, and what a run meets.

use cas_core::config::StoreKind;
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::credential::verification::Verification;
use cas_core::outcome::BackupLocation;
use cas_core::planner::{BackupFilter, Command, EnvFileFact, Mode, Target, TokenFact};
use proptest::prelude::*;

pub(crate) const HOUR: u64 = 60 * 60 * 1000;

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Wait(u64),
    SetClockBack(u64),
    SignIn {
        account: u8,
    },
    Refresh,
    RefreshByAnOlderClient,
    /// A tool writes a refreshed login with its expiry in seconds.
    RefreshInSeconds,
    Empty,
    /// A write that broke off: of the login in the file, or of one that a client had just refreshed.
    Damage(Damage),
    Delete,
    Partial,
    PutOldCopyBack(usize),
    OtherMachineBacksUp,
    StoreToken(Option<TokenFact>),
    EnvFile(EnvFileFact),
    Run(Run),
}

#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) mode: Mode,
    pub(crate) store: StoreKind,
    pub(crate) can_verify: bool,
    /// Whether some session is refreshing the login all the while.
    pub(crate) refreshing: bool,
    pub(crate) expected: bool,
    pub(crate) others: bool,
    /// Whether copies of logins are kept and put back.
    pub(crate) keeps_copies: bool,
    pub(crate) store_answers: bool,
    pub(crate) writes_succeed: bool,
    pub(crate) verdicts: Vec<Verification>,
    /// After which steps Claude Code, or somebody else, writes the credential file.
    pub(crate) interference: Vec<Option<Interference>>,
    /// Which of all logins there ever were a person chooses to have put back, if they choose.
    pub(crate) chosen: Option<usize>,
}

/// What a write that broke off has left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Damage {
    pub(crate) of_new_login: bool,
    pub(crate) has_generation: bool,
    pub(crate) has_expiry: bool,
    pub(crate) has_owner: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Interference {
    SignsIn,
    Empties,
}

pub(crate) fn verdict() -> impl Strategy<Value = Verification> {
    prop_oneof![
        3 => Just(Verification::Ok),
        1 => Just(Verification::RateLimited),
        3 => any::<bool>().prop_map(|account_level| Verification::Rejected { account_level }),
        1 => Just(Verification::ClientUnusable("too old".into())),
        2 => Just(Verification::Inconclusive("529".into())),
    ]
}

pub(crate) fn token() -> impl Strategy<Value = Fingerprint> {
    (0..3u8).prop_map(|name| Fingerprint::from_bytes(&name.to_string()))
}

/// What a person asks for; which copy they choose is said by the world, which knows those there are.
fn errand() -> impl Strategy<Value = Command> {
    let which = prop_oneof![Just(Target::Active), Just(Target::SetupToken), Just(Target::Login)];
    let from = prop_oneof![2 => Just(None), 1 => Just(Some(BackupLocation::LocalHistory)), 1 => Just(Some(BackupLocation::Store))];
    prop_oneof![
        1 => which.prop_map(Command::Verify),
        2 => Just(Command::Backup),
        3 => from.prop_map(|from| Command::Restore(BackupFilter { from, generation: None })),
    ]
}

pub(crate) fn run() -> impl Strategy<Value = Run> {
    let settings = (
        prop_oneof![
            2 => Just(Mode::Login),
            5 => Just(Mode::Sync),
            2 => Just(Mode::Watch),
            3 => errand().prop_map(Mode::Command),
        ],
        prop_oneof![Just(StoreKind::Local), Just(StoreKind::Vault)],
        (any::<bool>(), prop::bool::weighted(0.2)),
        prop::bool::weighted(0.2),
        (prop::bool::weighted(0.2), prop::bool::weighted(0.85)),
    );
    let interference = prop_oneof![12 => Just(None), 1 => Just(Some(Interference::SignsIn)), 1 => Just(Some(Interference::Empties))];
    let world = (
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.9),
        prop::collection::vec(verdict(), 4),
        prop::collection::vec(interference, 20),
        prop::option::weighted(0.3, any::<usize>()),
    );
    (settings, world).prop_map(|(settings, world)| {
        let (store_answers, writes_succeed, verdicts, interference, chosen) = world;
        let (mode, store, (can_verify, refreshing), expected, (others, keeps_copies)) = settings;
        Run {
            mode,
            store,
            can_verify,
            refreshing,
            expected,
            others,
            keeps_copies,
            store_answers,
            writes_succeed,
            verdicts,
            interference,
            chosen,
        }
    })
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => prop_oneof![Just(1000), Just(HOUR / 8), Just(9 * HOUR)].prop_map(Event::Wait),
        1 => prop_oneof![Just(1000), Just(2 * HOUR), Just(30 * HOUR)].prop_map(Event::SetClockBack),
        1 => (0..2u8).prop_map(|account| Event::SignIn { account }),
        2 => Just(Event::Refresh),
        1 => Just(Event::RefreshByAnOlderClient),
        1 => Just(Event::RefreshInSeconds),
        4 => Just(Event::Empty),
        2 => any::<(bool, bool, bool, bool)>().prop_map(|(of_new_login, has_generation, has_expiry, has_owner)| {
            Event::Damage(Damage { of_new_login, has_generation, has_expiry, has_owner })
        }),
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

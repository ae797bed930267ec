//! The events of a random history, and the settings of a run.

use cas_core::config::StoreKind;
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::credential::sign_out::SignOut;
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
    RefreshByOlderClient,
    /// A tool writes a refreshed login with its expiry in seconds.
    RefreshInSeconds,
    Clear,
    /// A write that broke off: of the login in the file, or of one that was just refreshed.
    Damage(Damage),
    Delete,
    /// The user logs out, or signs in with an API key.
    SignOut(SignOut),
    NotRefreshable,
    WriteOldCopy(usize),
    OtherMachineBacksUp,
    /// An administrator marks the document in the store as offboarded, or clears the mark.
    Offboard(bool),
    /// An account switcher changes the target of the credential file's symlink.
    Repoint(Option<u8>),
    StoreToken(Option<TokenFact>),
    LocalToken(Option<Fingerprint>),
    EnvFile(EnvFileFact),
    Run(Run),
}

#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) mode: Mode,
    pub(crate) store: StoreKind,
    pub(crate) can_verify: bool,
    /// Whether a session is refreshing the login during the run.
    pub(crate) refreshing: bool,
    pub(crate) expected: bool,
    pub(crate) others: bool,
    /// Whether logins are backed up and restored.
    pub(crate) oauth_backup: bool,
    pub(crate) store_answers: bool,
    pub(crate) writes_succeed: bool,
    pub(crate) verdicts: Vec<Verification>,
    /// The write to the credential file by another process, if any, after each step.
    pub(crate) interference: Vec<Option<Interference>>,
    /// The index, among all logins, of the generation that the user selects, if any.
    pub(crate) selected: Option<usize>,
}

impl Run {
    /// Returns the identity of the store.
    pub(crate) fn store_id(&self) -> Fingerprint {
        Fingerprint::from_bytes(&format!("{:?}", self.store))
    }

    /// Returns true if the user's command selects another machine's backup.
    pub(crate) fn asks_for_other_machine(&self) -> bool {
        matches!(self.mode, Mode::Command(Command::Restore(filter)) if filter.from_other_machine)
    }
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
    Clears,
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

/// Returns a command. The generation that it selects is chosen by the world, which knows all
/// logins.
fn command() -> impl Strategy<Value = Command> {
    let target = prop_oneof![Just(Target::Active), Just(Target::SetupToken), Just(Target::Login)];
    let from = prop_oneof![2 => Just(None), 1 => Just(Some(BackupLocation::LocalHistory)), 1 => Just(Some(BackupLocation::Store))];
    prop_oneof![
        1 => target.prop_map(Command::Verify),
        2 => Just(Command::Backup),
        3 => (from, any::<bool>()).prop_map(|(from, from_other_machine)| {
            Command::Restore(BackupFilter { from, generation: None, from_other_machine })
        }),
    ]
}

pub(crate) fn run() -> impl Strategy<Value = Run> {
    let settings = (
        prop_oneof![
            2 => Just(Mode::Login),
            5 => Just(Mode::Sync),
            2 => Just(Mode::Watch),
            3 => command().prop_map(Mode::Command),
        ],
        prop_oneof![Just(StoreKind::Local), Just(StoreKind::Vault)],
        (any::<bool>(), prop::bool::weighted(0.2)),
        prop::bool::weighted(0.2),
        (prop::bool::weighted(0.2), prop::bool::weighted(0.85)),
    );
    let interference = prop_oneof![12 => Just(None), 1 => Just(Some(Interference::SignsIn)), 1 => Just(Some(Interference::Clears))];
    let world = (
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.9),
        prop::collection::vec(verdict(), 4),
        prop::collection::vec(interference, 20),
        prop::option::weighted(0.3, any::<usize>()),
    );
    (settings, world).prop_map(|(settings, world)| {
        let (store_answers, writes_succeed, verdicts, interference, selected) = world;
        let (mode, store, (can_verify, refreshing), expected, (others, oauth_backup)) = settings;
        Run {
            mode,
            store,
            can_verify,
            refreshing,
            expected,
            others,
            oauth_backup,
            store_answers,
            writes_succeed,
            verdicts,
            interference,
            selected,
        }
    })
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => prop_oneof![Just(1000), Just(HOUR / 8), Just(9 * HOUR)].prop_map(Event::Wait),
        1 => prop_oneof![Just(1000), Just(2 * HOUR), Just(30 * HOUR)].prop_map(Event::SetClockBack),
        1 => (0..2u8).prop_map(|account| Event::SignIn { account }),
        2 => Just(Event::Refresh),
        1 => Just(Event::RefreshByOlderClient),
        1 => Just(Event::RefreshInSeconds),
        4 => Just(Event::Clear),
        2 => any::<(bool, bool, bool, bool)>().prop_map(|(of_new_login, has_generation, has_expiry, has_owner)| {
            Event::Damage(Damage { of_new_login, has_generation, has_expiry, has_owner })
        }),
        1 => Just(Event::Delete),
        1 => prop_oneof![Just(SignOut::Logout), Just(SignOut::ApiKey)].prop_map(Event::SignOut),
        1 => Just(Event::NotRefreshable),
        1 => any::<usize>().prop_map(Event::WriteOldCopy),
        1 => Just(Event::OtherMachineBacksUp),
        1 => prop::bool::weighted(0.3).prop_map(Event::Offboard),
        1 => prop::option::weighted(0.7, 0..2u8).prop_map(Event::Repoint),
        1 => prop::option::of(token()).prop_map(Event::LocalToken),
        1 => prop::option::of(prop_oneof![
            Just(TokenFact::Withdrawn),
            Just(TokenFact::Absent),
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

//! `cas-sync run`: one run of the planner with all the time it needs, told to the terminal, the journal and the log.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use cas_core::account::{Account, Paths};
use cas_core::address::Address;
use cas_core::config::{self, Config};
use cas_core::deadline::Deadline;
use cas_core::enrolment;
use cas_core::machine::Machine;
use cas_core::outcome::{Finding, Note, Outcome, Status};
use cas_core::planner::Mode;
use cas_core::requests::Requests;
use cas_core::run::{Parts, Run};
use cas_core::state_directory::{Lock, StateDirectory, StateError};
use cas_core::store::user_store::UserStore;
use cas_core::timestamp::Timestamp;
use cas_core::verdict::Verifier;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::Uid;

use crate::claude::Claude;
use crate::notify::Notify;
use crate::published::Shelf;
use crate::report::Report;
use crate::{complain, fail};

/// How long one run may take.
const DEADLINE: Duration = Duration::from_secs(480);

/// Whether a run puts credentials to the test of real inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verification {
    /// Where the configuration allows it.
    Wanted,
    /// Not at all: Claude Code has just written what is to be backed up. Requests ask for more than that, and wait for
    /// another run.
    LeftToOthers,
}

/// Looks after the caller's own login.
pub(crate) fn run(verification: Verification) -> ExitCode {
    let (account, requests, shelf) = match own_account() {
        Ok(account) => {
            let shelf = Shelf::of(&account.name, account.uid.as_raw());
            (account.clone(), Requests::of(&account.name), shelf)
        }
        Err(error) => return fail(&error, 1),
    };
    // The path unit starts this again and again as long as there is a request, whatever comes of it here.
    if verification == Verification::Wanted {
        requests.take().unwrap_or_else(|stays| complain(&stays.into()));
    }
    let account = match named_as_asked(account) {
        Ok(account) => account,
        Err(error) => return fail(&error, 1),
    };
    let paths = Paths::new(&account.home, |name| variable(name).map(PathBuf::from));
    if account.home_is_yet_to_come(&paths) {
        requests.settle().unwrap_or_else(|stays| complain(&stays.into()));
        let why = "the home is not there, not mounted, or not in use yet";
        let why = format!("{why}: {}", account.home.display());
        drop(writeln!(io::stdout(), "{} {why}", Status::Skip));
        let told = shelf.publish_skip(&account.name, now(), &why).context("the state is not published");
        told.unwrap_or_else(|error| complain(&error));
        return ExitCode::SUCCESS;
    }
    let state = StateDirectory::new(paths.state_directory.clone(), account.uid.as_raw());
    let now = now();
    let report = Report { user: account.name.clone(), state: state.clone(), shelf, now, verification };
    match look_after(account, &paths, &state, now, &requests, verification) {
        Ok((outcome, notify)) => {
            report.tell(&outcome, notify.as_ref());
            ExitCode::from(outcome.exit_code())
        }
        Err(error) => ExitCode::from(report.tell_failure(&error)),
    }
}

fn look_after(
    account: Account,
    paths: &Paths,
    state: &StateDirectory,
    now: Timestamp,
    requests: &Requests,
    verification: Verification,
) -> Result<(Outcome, Option<Notify>)> {
    keep_secrets_in_memory()?;
    let (mut config, misunderstood) = Config::load(Path::new(config::DIRECTORY))?;
    config.override_from(variable);
    match state.lock(Lock::Sync, &Deadline::after(Duration::ZERO)) {
        Ok(locked) => {
            // Before looking: a request that comes while we look is for the next run.
            let settled = match verification {
                Verification::Wanted => requests.settle(),
                Verification::LeftToOthers => Ok(()),
            };
            let verify = config.verify && verification == Verification::Wanted;
            let command = std::mem::take(&mut config.notify);
            let notify = Notify { command, user: account.name.clone(), home: account.home.clone() };
            let config = Config { verify, ..config };
            let mut outcome = tend(account, paths, config, state, now);
            misunderstood.into_iter().for_each(|what| outcome.add(Status::Warn, Note::Configuration(what)));
            drop(locked);
            match settled {
                Ok(()) => requests.hand_back(),
                Err(stays) => complain(&stays.into()),
            }
            Ok((outcome, Some(notify).filter(|notify| !notify.command.is_empty())))
        }
        Err(StateError::Busy(_)) => Ok((busy(), None)),
        Err(error) => Err(error.into()),
    }
}

/// Neither a debugger of the same user nor a core dump may see what is read from here on.
pub(crate) fn keep_secrets_in_memory() -> Result<()> {
    prctl::set_dumpable(false).context("cannot become undumpable")?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("cannot forbid core dumps")
}

fn tend(account: Account, paths: &Paths, config: Config, state: &StateDirectory, now: Timestamp) -> Outcome {
    let verifier = verifier(&config, &account, paths, now);
    tend_with(account, paths, &config, state, now, verifier)
}

/// One run under the sync's lock, which the caller holds, with this judge of credentials.
pub(crate) fn tend_with(
    account: Account,
    paths: &Paths,
    config: &Config,
    state: &StateDirectory,
    now: Timestamp,
    verifier: Option<Box<dyn Verifier>>,
) -> Outcome {
    let store = UserStore::open(config, &account, paths, state, now);
    let settings = config.settings(Mode::Sync);
    let machine = Machine::this(Path::new("/etc/machine-id"));
    let deadline = Deadline::after(DEADLINE);
    let asked_at = None;
    let person = account.clone();
    let run = Run::new(Parts { account, paths, settings, store, now, deadline, machine, verifier, asked_at });
    addressed(run.until_reported().outcome, &person)
}

/// Whoever is told to sign in is told as whom, where Claude Code knows.
pub(crate) fn addressed(mut outcome: Outcome, account: &Account) -> Outcome {
    if outcome.asks_to_sign_in() {
        let owner = outcome.login().map(|login| login.owner.clone()).unwrap_or_default();
        outcome.sign_in_as = Address::of_account(&account.home.join(".claude.json"), &owner);
    }
    outcome
}

fn verifier(config: &Config, account: &Account, paths: &Paths, now: Timestamp) -> Option<Box<dyn Verifier>> {
    config.verify.then(|| claude(config, account, paths, now))
}

/// The `claude` that is configured, or found where people have it.
pub(crate) fn claude(config: &Config, account: &Account, paths: &Paths, now: Timestamp) -> Box<dyn Verifier> {
    let search_path = variable("PATH").map(OsString::from);
    Box::new(Claude::new(&config.claude, account, paths, search_path.as_deref(), now))
}

pub(crate) fn own_account() -> Result<Account> {
    if Uid::effective().is_root() {
        bail!(
            "this looks after the caller's own login, and root has none; run it as the person: runuser -u NAME -- cas-sync run"
        );
    }
    Ok(Account::of_uid(Uid::effective())?)
}

/// `CLAUDE_AUTH_USER` may name the caller otherwise in the store and in the journal, as the former script allowed; their
/// logins know nothing of that.
pub(crate) fn named_as_asked(account: Account) -> Result<Account> {
    match variable("CLAUDE_AUTH_USER").filter(|name| !name.is_empty()) {
        Some(name) if enrolment::is_plain_name(name.as_bytes()) => Ok(Account { name, ..account }),
        Some(name) => {
            bail!("CLAUDE_AUTH_USER={name:?} cannot be a user's name; unset it, or set it to a login name")
        }
        None => Ok(account),
    }
}

fn busy() -> Outcome {
    Outcome::new(Status::Skip, Finding::Busy)
}

#[expect(clippy::disallowed_methods, reason = "the overrides are a contract")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The whole environment, as far as it is text.
#[expect(clippy::disallowed_methods, reason = "what Claude Code would see is looked at")]
pub(crate) fn variables() -> Vec<(String, String)> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

#[expect(clippy::disallowed_methods, reason = "this is where the wall clock enters the program")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(0)
        .plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

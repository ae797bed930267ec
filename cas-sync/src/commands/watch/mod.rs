//! `cas-sync watch`: sees every write to the caller's own credential file, keeps each login in the local history the moment it
//! is written, and puts it back when somebody who does not know of Claude Code's locks overwrites it.
//!
//! Three threads, all of them asleep until something happens: one waits for a signal to end, one sees what is written
//! (`catcher`), one acts on it (`mender`).

mod event_thread;
mod inotify;
mod mounts;
mod open_candidates;
mod queue;
mod repair_thread;
mod store_push;
mod sync_marker;
mod watch_paths;

use std::fs::File;
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use cas_core::state::directory::{StateDirectory, StateError, StateLock};
use cas_core::state::sync_requests::Requests;
use cas_core::system::account::{Account, Paths};
use cas_protocol::deadline::Deadline;
use nix::fcntl::Flock;
use nix::sys::signal::{SigSet, Signal};

use self::event_thread::EventThread;
use self::inotify::FileWatch;
use self::queue::Queue;
use self::repair_thread::RepairThread;
use self::sync_marker::SyncMarker;
use crate::os::environment::harden_process;
use crate::term::stderr::exit_with_error;
use crate::term::stderr::print_error;
use crate::user::identity::CallingUser;

/// Watches over the caller's own login until a signal ends it.
pub(crate) fn run() -> ExitCode {
    match watch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_with_error(&error, 1),
    }
}

fn watch() -> Result<()> {
    harden_process()?;
    let CallingUser { account, paths, state, requests, .. } = CallingUser::current()?.with_name_override()?;
    // Found now, so that after an upgrade the new one is started.
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    wait_for_home(&account, &paths)?;
    let outside = lock_dir(&requests, &state, account.uid.as_raw());
    // Everybody's folders there share one room, which anybody can fill: then the home has to do.
    let _only_one = acquire_single_instance(&outside).or_else(|_| acquire_single_instance(&state))?;

    let signals = hold_back_signals()?;
    let (inbox, busy) = (Arc::<Queue>::default(), Arc::<Mutex<()>>::default());
    let marker = SyncMarker::create(&paths.state_directory).context("cannot make a temporary file")?;
    let (file, owner, marker) = (paths.credentials_file.clone(), account.uid.as_raw(), Arc::new(marker));
    let catcher = EventThread { file, owner, marker: Arc::clone(&marker) };
    let mender = RepairThread::new(account, paths, state, requests, program, marker);
    let (filled, in_the_middle) = (Arc::clone(&inbox), Arc::clone(&busy));
    start(move || Ok(catcher.watch(&filled)?))?;
    start(move || mender.run(&inbox, &in_the_middle))?;

    signals.wait().context("cannot wait for a signal")?;
    // Whoever ends in the middle of a repair leaves locks behind for which Claude Code would wait.
    std::mem::forget(busy.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(())
}

/// Where the lock lies: what is held open in a home keeps that from being unmounted, so it is the person's folder below /run,
/// if they have one.
fn lock_dir(requests: &Requests, state: &StateDirectory, owner: u32) -> StateDirectory {
    let folder = requests.folder();
    if folder.is_dir() { StateDirectory::new(folder.to_owned(), owner) } else { state.clone() }
}

/// A second watcher waits, asleep, to take over from the first: so it does not matter which of a service and a person's own
/// hand started which.
fn acquire_single_instance(state: &StateDirectory) -> Result<Flock<File>, StateError> {
    match state.lock(StateLock::Watch, &Deadline::after(Duration::ZERO)) {
        Err(StateError::Busy(_)) => {
            eprintln!("cas-sync: another watcher is at it; this one takes over when that one has ended");
            state.lock_blocking(StateLock::Watch)
        }
        taken => taken,
    }
}

/// A home may be made, or mounted, at the first login only. Until then nothing is made in it.
fn wait_for_home(account: &Account, paths: &Paths) -> io::Result<()> {
    let is_there = || account.home.is_dir() && !account.is_home_unavailable(paths);
    while !is_there() {
        // On the way to a file that is never there, also a change of owner is told.
        let eyes = FileWatch::new(&account.home.join("nobody/has/this"))?;
        if !is_there() {
            eyes.wait()?;
        }
    }
    Ok(())
}

/// The signals that end the watcher, for this thread to wait for, and for no other to die of.
fn hold_back_signals() -> Result<SigSet> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block().context("cannot hold back signals")?;
    Ok(signals)
}

fn start(job: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let guarded = move || {
        let _guard = ExitOnDrop;
        job().unwrap_or_else(|error| print_error(&error));
    };
    thread::Builder::new().spawn(guarded).map(drop).context("cannot start a thread")
}

/// A watcher that lacks one of its threads would only seem to watch.
struct ExitOnDrop;

impl Drop for ExitOnDrop {
    fn drop(&mut self) {
        std::process::exit(1);
    }
}

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
mod single_instance;
mod store_push;
mod sync_marker;
mod watch_paths;

use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use cas_core::system::account::{Account, Paths};
use nix::sys::signal::{SigSet, Signal};

use self::event_thread::EventThread;
use self::inotify::FileWatch;
use self::queue::Queue;
use self::repair_thread::RepairThread;
use self::single_instance::become_only_watcher;
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
    let _only_one = become_only_watcher(account.uid).context("cannot tell whether another watcher runs")?;

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

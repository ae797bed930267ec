//! `cas-sync watch`: observes each write to the caller's credential file, stores each login in the
//! local history at once, and restores it when a program without Claude Code's locks overwrites it.
//!
//! It has three threads, which sleep until something happens: one waits for a termination signal,
//! one reads events (`event_thread`), one acts on them (`repair_thread`).

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
use std::time::Duration;

use anyhow::{Context, Result};
use cas_core::outcome::ExitStatus;
use cas_core::system::account::{Account, HomeProblem, Paths};
use cas_core::system::privileges::harden_process;
use nix::sys::signal::{SigSet, Signal};

use self::event_thread::EventThread;
use self::inotify::FileWatch;
use self::queue::Queue;
use self::repair_thread::RepairThread;
use self::single_instance::become_only_watcher;
use self::sync_marker::SyncMarker;
use crate::term::stderr::exit_with_error;
use crate::term::stderr::print_error;
use crate::user::identity::CallingUser;

/// The interval between two looks at a locked home: short beside a session, and rare for a user who
/// does not log in.
const UNLOCK_INTERVAL: Duration = Duration::from_secs(10);

/// Watches the caller's login until a signal arrives.
pub(crate) fn run() -> ExitCode {
    match watch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_with_error(&error, ExitStatus::Failure),
    }
}

fn watch() -> Result<()> {
    harden_process()?;
    let CallingUser { account, paths, state, requests, .. } = CallingUser::current()?.with_name_override()?;
    // Resolved now, so that after an upgrade the new program is started.
    let program = std::env::current_exe().context("cannot find the path of this program")?;
    wait_for_home(&account, &paths)?;
    let _only_one = become_only_watcher(account.uid).context("cannot tell whether another watcher runs")?;

    let signals = block_signals()?;
    let (queue, busy) = (Arc::<Queue>::default(), Arc::<Mutex<()>>::default());
    let marker = SyncMarker::create(&paths.state_directory).context("cannot create a temporary file")?;
    let (file, owner, marker) = (paths.credentials_file.clone(), account.uid.as_raw(), Arc::new(marker));
    let event_thread = EventThread { file, owner, marker: Arc::clone(&marker) };
    let repair_thread = RepairThread::new(account, paths, state, requests, program, marker);
    let (event_queue, repair_busy) = (Arc::clone(&queue), Arc::clone(&busy));
    start(move || Ok(event_thread.watch(&event_queue)?))?;
    start(move || repair_thread.run(&queue, &repair_busy))?;

    signals.wait().context("cannot wait for a signal")?;
    // An exit during a repair would leave locks for which Claude Code waits.
    std::mem::forget(busy.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(())
}

/// Waits until the home can be used: it may be created, mounted or unlocked at the first login.
/// Until then nothing is created in it.
fn wait_for_home(account: &Account, paths: &Paths) -> io::Result<()> {
    let is_there = || account.home.is_dir() && account.home_problem(paths).is_none();
    while !is_there() {
        if let Some(HomeProblem::Locked(_)) = account.home_problem(paths) {
            // The kernel reports no event when a key becomes available.
            thread::sleep(UNLOCK_INTERVAL);
            continue;
        }
        // The watch on the ancestors of a missing file also reports a change of owner.
        let watch = FileWatch::new(&account.home.join("no/such/file"))?;
        if !is_there() {
            watch.wait()?;
        }
    }
    Ok(())
}

/// Blocks the termination signals in all threads and returns them for the main thread to wait for.
fn block_signals() -> Result<SigSet> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block().context("cannot block signals")?;
    Ok(signals)
}

fn start(job: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let guarded = move || {
        let _guard = ExitOnDrop;
        job().unwrap_or_else(|error| print_error(&error));
    };
    thread::Builder::new().spawn(guarded).map(drop).context("cannot start a thread")
}

/// Ends the process if a thread ends: a watcher without one of its threads does not work.
struct ExitOnDrop;

impl Drop for ExitOnDrop {
    fn drop(&mut self) {
        std::process::exit(ExitStatus::Failure.code().into());
    }
}

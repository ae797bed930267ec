//! `cas-session request`: requests a sync in the background, where a login cannot do it without
//! waiting.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use cas_core::state::directory::StateDirectory;
use cas_core::state::sync_requests::{Submission, SyncRequests};
use cas_core::system::account::{Account, Paths};
use cas_protocol::deadline::Deadline;
use nix::unistd::Uid;

use crate::arguments::print_error;

/// The time limit for a full queue of requests. The dispatcher serves several hundred requests in
/// this time.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(20);

/// Requests a sync. While the queue is full, a background process keeps trying, so that the login
/// does not wait.
pub(crate) fn submit_without_waiting(requests: &SyncRequests) {
    if requests.try_submit() != Submission::QueueFull {
        return;
    }
    // It keeps the limits that the helper has raised for itself. The user cannot trace it to use
    // them, because the file of this program is not readable.
    let mut background = Command::new("/proc/self/exe");
    // In its own process group, because the PAM module kills that of the login's helper.
    background.arg("request").process_group(0).env_clear().current_dir("/");
    background.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // If it cannot be started, the next login or the timer starts the sync.
    drop(background.spawn());
}

/// Requests a sync of the caller's login. Waits while the queue is full.
pub(crate) fn run() -> ExitCode {
    let account = match Account::for_session(Uid::effective(), None) {
        Ok(account) => account,
        Err(error) => {
            print_error(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let paths = Paths::new(&account.home, |_| None);
    let requests = SyncRequests::new(StateDirectory::new(paths.state_directory, account.uid.as_raw()));
    match requests.submit(&Deadline::after(QUEUE_TIMEOUT)) {
        Submission::Queued => ExitCode::SUCCESS,
        Submission::QueueFull | Submission::NoDispatcher => ExitCode::FAILURE,
    }
}

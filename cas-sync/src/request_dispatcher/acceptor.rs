//! Accepts connections from the queue of the socket, in a separate process for each batch.
//!
//! The data of a client is never read, but closing its connection closes the descriptors in it. One
//! of these can be a TCP socket with `SO_LINGER`, whose close takes as long as the client likes
//! (socket(7)); the exit of a process does not wait for it. So this process closes nothing: it
//! exits.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;

use crate::os::bounded_command::output_within;

/// Limits the connections of one batch: the length of the queue (`Backlog=` of the socket unit,
/// `LimitNOFILE=` of the service).
const MAX_BATCH: usize = 4096;

/// The time limit for accepting a batch, if clients connect as fast as they are accepted.
const ACCEPT_TIMEOUT: Duration = Duration::from_millis(100);

/// The time limit of a batch with the start of its process, on a busy machine. A batch that takes
/// longer is lost.
const BATCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Accepts a batch of connections from the listening socket on the standard input. Returns the user
/// ids of the clients.
///
/// # Errors
/// If the process that accepts them cannot be started, fails or hangs.
pub(super) fn accept_batch() -> io::Result<BTreeSet<u32>> {
    // The running program, even if an upgrade has replaced its file.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("cas-sync").args(["internal", "accept-requests"]).env_clear().stdin(Stdio::inherit());
    let output = output_within(&mut command, &Deadline::after(BATCH_TIMEOUT))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|uid| uid.parse().ok()).collect())
}

/// Accepts the waiting connections and prints the user ids of the clients, one per line.
pub(crate) fn run() -> ExitCode {
    match accept_all() {
        // Does not drop anything, see above.
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("cas-sync: cannot accept requests: {error}");
            std::process::exit(1)
        }
    }
}

fn accept_all() -> io::Result<()> {
    let listener = UnixListener::from(io::stdin().as_fd().try_clone_to_owned()?);
    listener.set_nonblocking(true)?;
    let mut uids = BTreeSet::new();
    let deadline = Deadline::after(ACCEPT_TIMEOUT);
    for _ in 0..MAX_BATCH {
        if deadline.is_expired() {
            break;
        }
        match listener.accept() {
            Ok((connection, _)) => {
                uids.extend(getsockopt(&connection, PeerCredentials).map(|peer| peer.uid()));
                std::mem::forget(connection);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let lines: String = uids.into_iter().map(|uid| format!("{uid}\n")).collect();
    io::stdout().write_all(lines.as_bytes())
}

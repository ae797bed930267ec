//! Taking connections out of the queue of the socket, in a process of its own for each batch.
//!
//! What a client has sent is never read, but closing its connection closes the descriptors in it. One of these can be a
//! TCP socket with `SO_LINGER`, whose close waits for as long as the client likes (socket(7)); the end of a process waits
//! for none. So this process closes nothing: it ends.

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

/// The most connections of one batch: the length of the queue (`Backlog=` of the socket unit, `LimitNOFILE=` of the service).
const MAX_BATCH: usize = 4096;

/// How long connections are taken for one batch, where clients make them as fast as they are taken.
const ACCEPT_TIMEOUT: Duration = Duration::from_millis(100);

/// How long a batch may take with the start of its process, on a machine without a processor to spare. What it has taken is
/// lost when it takes longer.
const BATCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes a batch of connections from the listening socket that is this process' standard input. Returns the user ids of
/// the processes that made them.
///
/// # Errors
/// When the process that takes them cannot be started, fails or hangs.
pub(super) fn accept_batch() -> io::Result<BTreeSet<u32>> {
    // This very program, also when an upgrade has put another in its place meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("cas-sync").args(["internal", "accept-requests"]).env_clear().stdin(Stdio::inherit());
    let output = output_within(&mut command, &Deadline::after(BATCH_TIMEOUT))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|uid| uid.parse().ok()).collect())
}

/// Accepts what waits at the listening socket on the standard input. Prints the user ids of the clients, one a line.
pub(crate) fn run() -> ExitCode {
    match accept_all() {
        // Without dropping anything: see above.
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

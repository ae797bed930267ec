//! Allows one watcher per user. The lock is an abstract socket: an open file would keep the home
//! from being unmounted, or be in a directory shared by users.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use nix::errno::Errno;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket};
use nix::unistd::Uid;

/// The number of names for the socket of one user. Any user can bind a name first; a watcher skips
/// such names.
const MAX_NAMES: u32 = 8;

/// Limits the attempts. Two for each name are needed; others follow the end of a watcher. A process
/// that closes each connection at once would keep this one busy.
const MAX_ATTEMPTS: u32 = 64;

/// Returns once this is the only watcher of the user, for as long as the result exists. A second
/// watcher waits here until the first one ends, whether each was started by the service or by the
/// user. Returns `None` if other users hold all names, or after [`MAX_ATTEMPTS`]: two watchers of
/// one user do no harm.
///
/// # Errors
/// If no socket can be created.
pub(super) fn become_only_watcher(uid: Uid) -> io::Result<Option<UnixListener>> {
    let mut is_printed = false;
    let (mut number, mut has_retried) = (0, false);
    for _ in 0..MAX_ATTEMPTS {
        if number == MAX_NAMES {
            break;
        }
        let name = format!("claude-auth-sync/watch/{uid}/{number}");
        match UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound.map(Some),
        }
        match connect_to_watcher(&name, uid)? {
            Holder::Watcher(mut connection) => {
                if !std::mem::replace(&mut is_printed, true) {
                    eprintln!(
                        "cas-sync: another watcher is running; this one waits until that one has ended"
                    );
                }
                // The connection is never accepted: the read ends with the process that listens.
                drop(connection.read(&mut [0]));
                has_retried = false;
            }
            // A watcher that has ended, or that does not listen yet.
            Holder::NotListening if !has_retried => has_retried = true,
            Holder::NotListening | Holder::Other => (number, has_retried) = (number + 1, false),
        }
    }
    Ok(None)
}

/// The process that holds a name.
enum Holder {
    /// A watcher of the same user.
    Watcher(UnixStream),
    /// It does not listen. Any user can bind a name and never listen.
    NotListening,
    /// Another user's, or one with a full queue, which may not be a watcher.
    Other,
}

/// Connects to the process that holds this name.
///
/// # Errors
/// If no socket can be created.
fn connect_to_watcher(name: &str, uid: Uid) -> Result<Holder, Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let own = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match connect(own.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?) {
        Ok(()) => {}
        Err(Errno::ECONNREFUSED) => return Ok(Holder::NotListening),
        Err(_) => return Ok(Holder::Other),
    }
    if getsockopt(&own, PeerCredentials)?.uid() != uid.as_raw() {
        return Ok(Holder::Other);
    }
    let connection = UnixStream::from(own);
    connection.set_nonblocking(false).map_err(|_| Errno::EINVAL)?;
    Ok(Holder::Watcher(connection))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use nix::sys::socket::bind;

    use super::*;

    /// A user id without an account on the test machine.
    const UID: u32 = 3_999_999_001;

    /// The user of the test stands for a watcher of that user id, because the kernel reports the
    /// real one.
    #[test]
    fn second_watcher_waits_for_first() {
        let uid = Uid::effective();
        let first = become_only_watcher(uid).expect("the only one");
        let (sender, receiver) = mpsc::channel();
        let second = thread::spawn(move || {
            let second = become_only_watcher(uid);
            sender.send(second.is_ok_and(|lock| lock.is_some())).expect("heard");
        });
        assert!(receiver.recv_timeout(Duration::from_millis(300)).is_err(), "the first one lives");
        drop(first);
        assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(true));
        second.join().expect("ended");
    }

    #[test]
    fn name_of_another_user_is_skipped() {
        let name = |number| {
            SocketAddr::from_abstract_name(format!("claude-auth-sync/watch/{UID}/{number}")).expect("a name")
        };
        let mut held: Vec<_> =
            (0..MAX_NAMES - 1).map(|number| UnixListener::bind_addr(&name(number)).expect("free")).collect();
        let own = become_only_watcher(Uid::from_raw(UID)).expect("one name is left").expect("its lock");
        let address = own.local_addr().expect("its name");
        assert_eq!(address.as_abstract_name(), name(MAX_NAMES - 1).as_abstract_name());
        held.push(own);
        assert!(become_only_watcher(Uid::from_raw(UID)).expect("no failure").is_none(), "all names are held");
        drop(held);
    }

    #[test]
    fn name_that_is_bound_without_a_listener_is_skipped() {
        const UID: u32 = 3_999_999_002;
        let held =
            socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).expect("a socket");
        let name = format!("claude-auth-sync/watch/{UID}/0");
        bind(held.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes()).expect("a name")).expect("free");
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(become_only_watcher(Uid::from_raw(UID))));
        let own = receiver.recv_timeout(Duration::from_secs(60)).expect("it does not wait for ever");
        let own = own.expect("no failure").expect("its lock");
        let address = own.local_addr().expect("its name");
        let next = format!("claude-auth-sync/watch/{UID}/1");
        assert_eq!(address.as_abstract_name(), Some(next.as_bytes()));
        drop(held);
    }
}

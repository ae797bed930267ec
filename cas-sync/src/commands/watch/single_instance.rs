//! One watcher per user. The lock is an abstract socket: a file would be held open in the home, which could then not be
//! unmounted, or lie where users share room.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use nix::errno::Errno;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket};
use nix::unistd::Uid;

/// How many names there are for one user's socket. Any user can bind a name first; a watcher passes over such names.
const MAX_NAMES: u32 = 8;

/// Returns once this is the only watcher of the user. It is one as long as the result lives. A second watcher waits here,
/// asleep, and takes over from the first, so that it does not matter which of a service and the user's own hand came first.
/// `None` where other users hold all names: two watchers of one user do no harm.
///
/// # Errors
/// When no socket can be made.
pub(super) fn become_only_watcher(uid: Uid) -> io::Result<Option<UnixListener>> {
    let mut is_said = false;
    let mut number = 0;
    while number < MAX_NAMES {
        let name = format!("claude-auth-sync/watch/{uid}/{number}");
        match UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return bound.map(Some),
        }
        match connect_to_watcher(&name, uid) {
            Ok(Some(mut connection)) => {
                if !std::mem::replace(&mut is_said, true) {
                    eprintln!(
                        "cas-sync: another watcher is at it; this one takes over when that one has ended"
                    );
                }
                // It is never accepted, and nothing comes: this ends with the process that listens.
                drop(connection.read(&mut [0]));
            }
            Ok(None) => number += 1,
            // It has ended meanwhile.
            Err(Errno::ECONNREFUSED) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(None)
}

/// A connection to the watcher of this user that has the name. `None` when another user's process has it, or one whose queue
/// is full: that need not be a watcher.
fn connect_to_watcher(name: &str, uid: Uid) -> Result<Option<UnixStream>, Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let own = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match connect(own.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?) {
        Ok(()) => {}
        Err(Errno::EAGAIN) => return Ok(None),
        Err(errno) => return Err(errno),
    }
    let is_own = getsockopt(&own, PeerCredentials)?.uid() == uid.as_raw();
    let connection = UnixStream::from(own);
    connection.set_nonblocking(false).map_err(|_| Errno::EINVAL)?;
    Ok(is_own.then_some(connection))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// A user id that no account of the machine that runs the tests has.
    const UID: u32 = 3_999_999_001;

    /// A watcher of the user that runs the tests stands for one of that user id: the kernel tells whose process it is.
    #[test]
    fn a_second_watcher_waits_for_the_end_of_the_first() {
        let uid = Uid::effective();
        let first = become_only_watcher(uid).expect("the only one");
        let (tell, told) = mpsc::channel();
        let second = thread::spawn(move || {
            let second = become_only_watcher(uid);
            tell.send(second.is_ok_and(|lock| lock.is_some())).expect("heard");
        });
        assert!(told.recv_timeout(Duration::from_millis(300)).is_err(), "the first one lives");
        drop(first);
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(true));
        second.join().expect("ended");
    }

    #[test]
    fn a_name_that_another_user_holds_is_passed_over() {
        let name = |number| {
            SocketAddr::from_abstract_name(format!("claude-auth-sync/watch/{UID}/{number}")).expect("a name")
        };
        let mut held: Vec<_> =
            (0..MAX_NAMES - 1).map(|number| UnixListener::bind_addr(&name(number)).expect("free")).collect();
        let own = become_only_watcher(Uid::from_raw(UID)).expect("one name is left").expect("its lock");
        let address = own.local_addr().expect("its name");
        assert_eq!(address.as_abstract_name(), name(MAX_NAMES - 1).as_abstract_name());
        held.push(own);
        assert!(become_only_watcher(Uid::from_raw(UID)).expect("no failure").is_none(), "it watches without");
        drop(held);
    }
}

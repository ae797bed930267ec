//! Connections to a socket that cost its server as much as possible.

use std::collections::VecDeque;
use std::io::{IoSlice, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::libc::linger;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg, setsockopt,
    socket, sockopt,
};

/// The number of concurrent connections that cannot be closed.
const LINGERING: usize = 200;

/// The kernel waits this long for each, times their number.
const LINGERING_INTERVAL: Duration = Duration::from_millis(20);

/// Connects as fast as it can, and keeps the last connections open.
pub(crate) fn flood(path: &Path, kept: usize) -> ! {
    let mut held = VecDeque::new();
    loop {
        let Some(connection) = connected(path) else { continue };
        let _ = nix::unistd::write(&connection, &[b'x'; 100]);
        held.push_back(connection);
        while held.len() > kept {
            held.pop_front();
        }
    }
}

/// Sends TCP connections with data that their peer does not read: closing one waits for that, up to
/// an hour (socket(7), `SO_LINGER`). The sender closes its own descriptors, so that the receiver
/// has the last ones.
pub(crate) fn linger(path: &Path) -> ! {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    setsockopt(&listener, sockopt::RcvBuf, &4096).expect("a small buffer");
    let mut held = VecDeque::new();
    loop {
        thread::sleep(LINGERING_INTERVAL);
        let Some(connection) = connected(path) else { continue };
        let (lingering, peer) = lingering(&listener);
        let rights = [lingering.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&rights)];
        let text = [IoSlice::new(b"x")];
        let sent = sendmsg::<UnixAddr>(connection.as_raw_fd(), &text, &rights, MsgFlags::empty(), None);
        // This waits if the other side has closed it already.
        thread::spawn(|| drop(lingering));
        if sent.is_ok() {
            held.push_back((connection, peer));
        }
        if held.len() > LINGERING {
            held.pop_front();
        }
    }
}

fn lingering(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let ours = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    let (peer, _) = listener.accept().expect("accepted");
    setsockopt(&ours, sockopt::SndBuf, &4096).expect("a small buffer");
    setsockopt(&ours, sockopt::Linger, &linger { l_onoff: 1, l_linger: 3600 }).expect("it lingers");
    ours.set_nonblocking(true).expect("filling it does not wait");
    while (&ours).write(&[0; 4096]).is_ok() {}
    (ours, peer)
}

fn connected(path: &Path) -> Option<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).ok()?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path).ok()?).ok()?;
    Some(socket)
}

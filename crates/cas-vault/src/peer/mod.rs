//! Who is at the other end of a plain connection to this machine.
//!
//! Any local user can listen on a free port of the loopback address, and would be sent the token. So the connected socket is
//! looked at after the connection is made and before anything is sent: the kernel says which user accepted it
//! (`/proc/self/net/tcp`, proc_pid_net(5)). Looking at the listener instead would leave a gap: it may be another one by then.

mod check;
mod table;
mod trusted;

pub(crate) use check::CheckPeer;
pub(crate) use trusted::{Trusted, UntrustedPeer};

//! Checks which user listens at the other end of an unencrypted connection to this machine.
//!
//! Any local user can listen on a free port of the loopback address and would receive the token. So
//! the connected socket is checked before anything is sent: the kernel reports which user accepted
//! it (`/proc/self/net/tcp`, proc_pid_net(5)). Checking the listener instead would leave a race,
//! because it may have changed by then.

mod check;
mod table;
mod trusted;

pub(crate) use check::CheckPeer;
pub(crate) use trusted::{PeerError, Trusted};

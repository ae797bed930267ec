//! Checks the peer between connecting and the first byte, as a layer of reqwest's connector.

use std::error::Error;
use std::fs;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tower_layer::Layer;
use tower_service::Service;

use super::table::{self, Peer};
use super::trusted::{PeerError, Trusted};

/// The interval at which an unaccepted connection is checked. A server accepts within microseconds;
/// the connect timeout bounds the wait.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The maximum number of readings in which the other end may be missing from the table. It is
/// also missing for another connection of this process that its server has just closed, until this
/// process closes it too.
const MAX_UNKNOWN_READS: u32 = 100;

type BoxError = Box<dyn Error + Send + Sync>;

/// Allows a connection to this port only if the user at its other end is known and trusted.
#[derive(Clone)]
pub(crate) struct CheckPeer {
    port: u16,
    trusted: Trusted,
}

impl CheckPeer {
    pub(crate) fn new(port: u16, trusted: Trusted) -> Self {
        Self { port, trusted }
    }

    async fn check(&self) -> Result<(), PeerError> {
        let mut unknown_reads = 0;
        loop {
            match self.read_state()? {
                State::Trusted => return Ok(()),
                State::NotAccepted => (),
                State::Unknown if unknown_reads == MAX_UNKNOWN_READS => return Err(PeerError::Unknown),
                State::Unknown => unknown_reads += 1,
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Reads the table once. All connections of this process to the port must be trusted, because
    /// the table does not say which one is new.
    fn read_state(&self) -> Result<State, PeerError> {
        let rows = rows().map_err(PeerError::NoTable)?;
        let own = own_sockets().map_err(PeerError::NoTable)?;
        let mut state = State::Trusted;
        for peer in table::peers(&rows, &own, self.port) {
            match peer {
                Peer::User(uid) => self.trusted.check(uid)?,
                Peer::NotAccepted(listeners) => {
                    // A user who listens and does not accept must not delay a login.
                    listeners.into_iter().try_for_each(|uid| self.trusted.check(uid))?;
                    if state == State::Trusted {
                        state = State::NotAccepted;
                    }
                }
                Peer::Unknown => state = State::Unknown,
            }
        }
        Ok(state)
    }
}

/// The result of reading the table once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Every connection was accepted by a trusted user.
    Trusted,
    /// A connection was not accepted yet.
    NotAccepted,
    /// A connection has no other end in the table.
    Unknown,
}

/// Returns the rows of both families, because an IPv6 socket also serves IPv4. A kernel without
/// IPv6 has one table only.
fn rows() -> io::Result<Vec<table::Row>> {
    let mut rows = table::parse(&fs::read_to_string("/proc/self/net/tcp")?);
    match fs::read_to_string("/proc/self/net/tcp6") {
        Ok(text) => rows.extend(table::parse(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(rows)
}

/// Returns the inodes of this process's sockets.
fn own_sockets() -> io::Result<Vec<u64>> {
    let links = fs::read_dir("/proc/self/fd")?.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let inode =
        |link: std::path::PathBuf| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok();
    Ok(links.filter_map(inode).collect())
}

impl<S> Layer<S> for CheckPeer {
    type Service = CheckedConnector<S>;

    fn layer(&self, connector: S) -> Self::Service {
        CheckedConnector { connector, check: self.clone() }
    }
}

/// A connector that checks each connection.
#[derive(Clone)]
pub(crate) struct CheckedConnector<S> {
    connector: S,
    check: CheckPeer,
}

impl<S, R> Service<R> for CheckedConnector<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let (connecting, check) = (self.connector.call(request), self.check.clone());
        Box::pin(async move {
            let connection = connecting.await?;
            check.check().await?;
            Ok(connection)
        })
    }
}

//! A relay in front of a server that counts the connections and otherwise passes everything on,
//! encrypted as it is.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The counter. The relay itself lasts as long as the thread of its listener, which is that of the
/// process.
#[derive(Clone, Debug)]
pub struct CountingRelay {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl CountingRelay {
    /// Relays from a free loopback port to `server`, in the network of the calling thread.
    ///
    /// # Errors
    /// Errors of binding a port.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let relay = Self { address: listener.local_addr()?, connections: Arc::default() };
        let connections = Arc::clone(&relay.connections);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::AcqRel);
                thread::spawn(move || relay_one(&client, server));
            }
        });
        Ok(relay)
    }

    /// Returns its socket address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }
}

/// Ends when both sides have sent everything. A side that breaks off ends the other.
fn relay_one(client: &TcpStream, server: SocketAddr) {
    let Ok(server) = TcpStream::connect(server) else { return };
    // Small responses must not wait for delayed acknowledgements.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    thread::scope(|scope| {
        scope.spawn(|| forward(client, &server));
        forward(&server, client);
    });
}

fn forward(mut from: &TcpStream, mut to: &TcpStream) {
    // Any error ends the relay.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

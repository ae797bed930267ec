//! Listening, TLS, and one request per connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::answer::Reaction;
use super::http::Request;
use super::state::State;

type Connection = StreamOwned<ServerConnection, TcpStream>;

/// The limit for a client that sends nothing.
const TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Accepts connections until the listener is shut down.
pub(super) fn serve(listener: &TcpListener, config: &Arc<ServerConfig>, state: &Arc<State>) {
    while let Ok((stream, _)) = listener.accept() {
        let (config, state) = (Arc::clone(config), Arc::clone(state));
        // A connection may break off, because tests break connections deliberately.
        thread::spawn(move || drop(start_conversation(stream, config, &state)));
    }
}

fn start_conversation(stream: TcpStream, config: Arc<ServerConfig>, state: &State) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let Some(request) = Request::read(&mut stream)? else { return Ok(()) };
    match state.react(&request, Instant::now()) {
        Reaction::Answer(response) => {
            response.write(&mut stream)?;
            stream.conn.send_close_notify();
            stream.flush()
        }
        Reaction::AnswerAndStall(response) => {
            response.write_unfinished(&mut stream)?;
            hold_connection(&mut stream, state)
        }
        Reaction::Silence => hold_connection(&mut stream, state),
        Reaction::Disconnect => stream.sock.shutdown(Shutdown::Both),
    }
}

/// Keeps the connection open and sends nothing until the client leaves or the server stops.
fn hold_connection(stream: &mut Connection, state: &State) -> io::Result<()> {
    stream.sock.set_read_timeout(Some(POLL_INTERVAL))?;
    let mut ignored = [0; 256];
    while !state.lock().stopping {
        match stream.sock.read(&mut ignored) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

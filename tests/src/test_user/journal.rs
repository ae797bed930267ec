//! The lines that are written to `/dev/log`.

use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

const PATH: &str = "/dev/log";
const MARKER: &[u8] = b"the end, so far";

/// A listener. Its thread ends with the process, or when the journal is dropped.
pub(super) struct Journal(Mutex<Lines>);

struct Lines {
    coming: Receiver<Vec<u8>>,
    so_far: String,
}

impl Journal {
    /// Listens at `/dev/log` of the thread's own mount namespace.
    pub(super) fn listen() -> Self {
        let socket = UnixDatagram::bind(PATH).expect("a log of our own");
        std::fs::set_permissions(PATH, std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .expect("open to all");
        let (sender, coming) = channel();
        // The kernel keeps ten lines only, and the product does not wait for a log that is full.
        thread::spawn(move || {
            let mut line = vec![0; 1 << 16];
            while let Ok(length) = socket.recv(&mut line) {
                if sender.send(line.get(..length).unwrap_or_default().to_vec()).is_err() {
                    break;
                }
            }
        });
        Self(Mutex::new(Lines { coming, so_far: String::new() }))
    }

    /// Writes the line that [`Journal::until_marker`] waits for; in the same mount namespace.
    pub(super) fn send_marker() {
        let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to(MARKER, PATH));
        sent.expect("the log listens");
    }

    /// Returns everything written before the marker.
    pub(super) fn until_marker(&self) -> String {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let line = lines.coming.recv_timeout(Duration::from_secs(20)).expect("the marker");
            if line == MARKER {
                return lines.so_far.clone();
            }
            lines.so_far.push_str(&String::from_utf8_lossy(&line));
            lines.so_far.push('\n');
        }
    }
}

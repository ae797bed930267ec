//! The system log of a fixture: a socket at `/dev/log`.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// One line as the log received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// syslog's facility, `LOG_AUTHPRIV >> 3` being 10.
    pub facility: u8,
    /// syslog's level: 4 warning, 7 debug.
    pub level: u8,
    /// The text after the time stamp.
    pub text: String,
}

impl LogLine {
    /// Reads `<PRIORITY>Mmm dd hh:mm:ss TEXT`.
    fn parse(bytes: &[u8]) -> Self {
        const STAMP: usize = "Nov 21 08:12:00 ".len();
        let line = String::from_utf8(bytes.to_vec()).expect("the log is UTF-8");
        let (priority, rest) =
            line.strip_prefix('<').and_then(|rest| rest.split_once('>')).expect("a priority");
        let priority: u8 = priority.parse().expect("a priority below 192");
        Self {
            facility: priority / 8,
            level: priority % 8,
            text: rest[STAMP..].trim_end_matches('\0').to_owned(),
        }
    }
}

pub(super) struct LogSocket(UnixDatagram);

impl LogSocket {
    pub(super) fn bind(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("the log socket is bound");
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .expect("its mode can be changed");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket takes a timeout");
        Self(socket)
    }

    /// Runs `work` while the log is read, because a full socket would block the host.
    pub(super) fn while_listening<T>(&self, work: impl FnOnce() -> T) -> (T, Vec<LogLine>) {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut lines = Vec::new();
                let mut buffer = [0; 8192];
                loop {
                    let last = over.load(Ordering::Acquire);
                    while let Ok(length) = self.0.recv(&mut buffer) {
                        lines.push(LogLine::parse(&buffer[..length]));
                    }
                    if last {
                        return lines;
                    }
                }
            });
            let result = work();
            over.store(true, Ordering::Release);
            (result, reader.join().expect("the reader ends well"))
        })
    }
}

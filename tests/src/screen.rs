//! The output of a terminal or a pipe so far, with waiting for more.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use cas_protocol::deadline::Deadline;

/// Everything that was read from one end.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    shown: Mutex<Shown>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Shown {
    /// Not text: a character may be received in two parts.
    bytes: Vec<u8>,
    ended: bool,
}

impl Screen {
    /// Collects everything from `output` until its end. An error counts as the end, as when the
    /// other side of a terminal is closed.
    pub(crate) fn new(mut output: impl Read + Send + 'static) -> Arc<Self> {
        let screen = Arc::new(Self::default());
        let visible = Arc::clone(&screen);
        thread::spawn(move || visible.show_output(&mut output));
        screen
    }

    /// Returns all of it so far.
    pub(crate) fn text(&self) -> String {
        self.lock().text()
    }

    /// Waits until `find` returns a result for the collected output, and returns it.
    ///
    /// # Panics
    /// If it does not within `timeout`, or the output has ended; the message contains the output.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, patience: Duration, find: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Deadline::after(patience);
        let mut output = self.lock();
        loop {
            let text = output.text();
            if let Some(found) = find(&text) {
                return found;
            }
            let is_over = output.ended || deadline.is_expired();
            assert!(!is_over, "waited in vain for {what:?}; the screen shows:\n{text}\n---");
            output = self.wait(output, &deadline);
        }
    }

    /// Waits until the output ends. Returns true if that was before the deadline.
    pub(crate) fn wait_for_end(&self, deadline: &Deadline) -> bool {
        let mut output = self.lock();
        while !output.ended && !deadline.is_expired() {
            output = self.wait(output, deadline);
        }
        output.ended
    }

    fn wait<'a>(&self, output: MutexGuard<'a, Shown>, deadline: &Deadline) -> MutexGuard<'a, Shown> {
        let waited = self.changed.wait_timeout(output, deadline.remaining());
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show_output(&self, output: &mut impl Read) {
        let mut buffer = [0; 4096];
        loop {
            let read = output.read(&mut buffer).unwrap_or(0);
            let mut visible = self.lock();
            match buffer.get(..read) {
                Some(bytes) if read > 0 => visible.bytes.extend_from_slice(bytes),
                _ => visible.ended = true,
            }
            self.changed.notify_all();
            if visible.ended {
                return;
            }
        }
    }
}

impl Shown {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::{Write, pipe};

    #[test]
    fn character_received_in_two_parts_is_joined() {
        let (reader, mut writer) = pipe().expect("a pipe");
        let screen = Screen::new(reader);
        let [first, second] = *"\u{e9}".as_bytes() else { panic!("two bytes") };
        writer.write_all(&[b'a', first]).expect("written");
        screen.wait_for("a", Duration::from_secs(60), |text| text.starts_with('a').then_some(()));
        writer.write_all(&[second]).expect("written");
        drop(writer);
        assert!(screen.wait_for_end(&Deadline::after(Duration::from_secs(60))));
        assert_eq!(screen.text(), "a\u{e9}");
    }
}

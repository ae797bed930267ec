//! What a terminal has shown, filled by a thread of its own.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// All that was shown, for whoever waits for something of it.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    shown: Mutex<Shown>,
    changed: Condvar,
}

/// What it shows at a moment.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// All of it.
    pub(crate) text: String,
    /// Whether nothing more will come.
    pub(crate) ended: bool,
}

impl Screen {
    /// One that shows whatever comes from there. The other end is closed when the last process there has ended, which may read
    /// as an error.
    pub(crate) fn of(mut output: impl Read + Send + 'static) -> Arc<Self> {
        let screen = Arc::new(Self::default());
        let shown = Arc::clone(&screen);
        thread::spawn(move || shown.show_all_of(&mut output));
        screen
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it shows something else, or for so long.
    pub(crate) fn wait<'screen>(
        &'screen self,
        shown: MutexGuard<'screen, Shown>,
        patience: Duration,
    ) -> MutexGuard<'screen, Shown> {
        self.changed.wait_timeout(shown, patience).unwrap_or_else(PoisonError::into_inner).0
    }

    fn show_all_of(&self, output: &mut impl Read) {
        let mut buffer = [0; 4096];
        loop {
            let read = output.read(&mut buffer).unwrap_or(0);
            let mut shown = self.lock();
            match buffer.get(..read) {
                Some(bytes) if read > 0 => shown.text.push_str(&String::from_utf8_lossy(bytes)),
                _ => shown.ended = true,
            }
            self.changed.notify_all();
            if shown.ended {
                return;
            }
        }
    }
}

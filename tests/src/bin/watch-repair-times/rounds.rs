//! Rounds: a good generation is written, and overwritten some time later.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cas_tests::test_user::{LOGIN, TestUser};
use cas_tests::watcher::{WriteMethod, WriteStep, Writer};
use cas_tests::{claude_login, now_ms};

/// How many rounds of each kind.
const ROUNDS: usize = 30;

/// A login that the watcher has not read cannot be restored.
const ROUND_TIMEOUT: Duration = Duration::from_secs(2);

/// The delays between the valid generation and the cleared login, in milliseconds.
pub(crate) const PAUSES: [u64; 7] = [0, 1, 2, 5, 10, 20, 50];

/// How the cleared login is written.
pub(crate) const WAYS: [WriteMethod; 2] = [WriteMethod::Rename, WriteMethod::InPlace];

/// All rounds so far.
pub(crate) struct Rounds<'a> {
    test_user: &'a TestUser,
    writer: Writer,
    generations: u64,
    times: Vec<Option<Duration>>,
    /// The duration of such a write without the watcher.
    writes: Vec<Duration>,
}

impl<'a> Rounds<'a> {
    pub(crate) fn new(test_user: &'a TestUser) -> Self {
        let writer = Writer::new(test_user);
        Self { test_user, writer, generations: 0, times: Vec::new(), writes: Vec::new() }
    }

    /// Returns the median duration of a write, in ms.
    pub(crate) fn one_write(&self) -> f64 {
        median(&self.writes).as_secs_f64() * 1e3
    }

    /// Returns the number of rounds.
    pub(crate) fn count(&self) -> usize {
        self.times.len()
    }

    /// Rounds of one kind.
    pub(crate) fn run(&mut self, pause: u64, way: WriteMethod) -> Distribution {
        let already = self.writes.len();
        let times: Vec<_> = (0..ROUNDS).map(|_| self.round(Duration::from_millis(pause), way)).collect();
        self.times.extend(&times);
        let how = if way == WriteMethod::Rename { "by rename" } else { "in place" };
        let writes = self.writes.get(already..).unwrap_or_default();
        Distribution::new(format!("cleared {how} after {pause} ms"), &times, writes)
    }

    /// Returns the distribution over all rounds.
    pub(crate) fn all(&self) -> Distribution {
        Distribution::new("all".into(), &self.times, &self.writes)
    }

    /// Runs one round. Returns `None` if the good generation was lost.
    fn round(&mut self, pause: Duration, way: WriteMethod) -> Option<Duration> {
        self.generations += 1;
        let name = format!("round-{}", self.generations);
        // Each refresh has a later expiry.
        let good = claude_login::valid_login(&name, now_ms() + 7 * claude_login::HOUR_MS + self.generations);
        self.writes.push(write_once(&self.test_user.path(".config/login.json"), &good));
        let mut acts = vec![WriteStep::Write(WriteMethod::Rename, good.clone())];
        if !pause.is_zero() {
            acts.push(WriteStep::Wait(pause));
        }
        acts.push(WriteStep::Write(way, claude_login::cleared_login(&good)));
        let overwritten = self.writer.perform(acts);
        let wanted = format!("refresh-of-{name}\"");
        while overwritten.elapsed() < ROUND_TIMEOUT {
            if fs::read_to_string(self.test_user.path(LOGIN)).is_ok_and(|text| text.contains(&wanted)) {
                return Some(Instant::now() - overwritten);
            }
            thread::sleep(Duration::from_micros(100));
        }
        None
    }
}

/// Performs the minimum work of a repair: a temporary file, synced and renamed.
fn write_once(path: &Path, text: &str) -> Duration {
    let begun = Instant::now();
    let temporary = path.with_extension("tmp");
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&temporary, path)).expect("it is written");
    begun.elapsed()
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// Repair times, sorted.
pub(crate) struct Distribution {
    title: String,
    sorted: Vec<Duration>,
    missed: usize,
    one_write: Duration,
}

impl Distribution {
    fn new(title: String, times: &[Option<Duration>], writes: &[Duration]) -> Self {
        let mut sorted: Vec<_> = times.iter().flatten().copied().collect();
        sorted.sort();
        Self { title, missed: times.len() - sorted.len(), sorted, one_write: median(writes) }
    }

    /// Returns the time that a percentage of the rounds did not exceed, in ms.
    fn percentile(&self, percent: usize) -> f64 {
        let index = (self.sorted.len() * percent).div_ceil(100).max(1) - 1;
        self.sorted.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:<34}{:>7}", self.title, self.sorted.len() + self.missed)?;
        let ratio = median(&self.sorted).as_secs_f64() / self.one_write.as_secs_f64();
        write!(formatter, "{ratio:>9.1}")?;
        for percent in [50, 95, 99, 100] {
            write!(formatter, "{:>9.1}", self.percentile(percent))?;
        }
        write!(formatter, "{:>9}", self.missed)
    }
}

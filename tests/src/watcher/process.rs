//! A watcher process, observed from outside.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::{Account, eventually};

/// A running `cas-sync watch`.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    pid: u32,
}

impl Process {
    /// Returns the process with this id.
    pub fn from_pid(pid: u32) -> Self {
        Self { pid }
    }

    /// Waits until the kernel has a watch of the watcher on this directory.
    ///
    /// # Panics
    /// If that takes longer than a minute.
    pub fn wait_until_watching(&self, directory: &Path) {
        let watches = || {
            let inode = fs::metadata(directory).map_or(0, |found| found.ino());
            let wanted = format!(" ino:{inode:x} ");
            self.descriptors().iter().any(|(_, information)| information.contains(&wanted))
        };
        eventually(&format!("a watch on {}", directory.display()), watches);
        // The watcher scans once at its start; the test counts what follows.
        self.wait_until_idle();
    }

    /// Waits until all of its threads are idle.
    ///
    /// # Panics
    /// If that takes longer than a minute.
    pub fn wait_until_idle(&self) {
        let mut before = None;
        eventually("a watcher that sleeps", || {
            let account = self.account();
            let is_quiet = account.is_asleep && before.as_ref() == Some(&account);
            before = Some(account);
            thread::sleep(Duration::from_millis(20));
            is_quiet
        });
    }

    /// Returns the counters of the kernel so far.
    pub fn account(&self) -> Account {
        Account::read(self.pid)
    }

    /// Returns its open files: the path, and the information of the kernel.
    pub fn descriptors(&self) -> Vec<(String, String)> {
        let process = self.directory();
        let entries = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        entries
            .map(|entry| {
                let path = fs::read_link(entry.path()).unwrap_or_default().display().to_string();
                (path, fs::read_to_string(process.join("fdinfo").join(entry.file_name())).unwrap_or_default())
            })
            .collect()
    }

    /// Its directory in `/proc`.
    pub fn directory(&self) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string())
    }
}

//! A home on its own disk, which can be full.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::chown;

use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::statvfs;
use serde_json::json;

use super::{ClaudeFixture, ClaudeUser, create_home_directories};

/// The size of the disk; more than the client and the sync store in a home.
const SIZE_KIB: u64 = 16 << 10;

impl ClaudeFixture {
    /// Creates a user whose empty home is on its own disk, mounted only in the fixture.
    ///
    /// # Errors
    /// Errors of creating and mounting the home.
    pub fn user_with_own_disk(&self, name: &str) -> io::Result<ClaudeUser<'_>> {
        let mut user = self.create_user(name)?;
        let home = user.own_view.clone();
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        let options = format!("size={SIZE_KIB}k,mode=700");
        self.namespaces.run(move || {
            mount(Some("none"), &home, Some("tmpfs"), flags, Some(options.as_str())).map_err(io::Error::from)
        })?;
        user.home = self.namespaces.from_outside(&user.own_view);
        create_home_directories(&user.home, user.uid)?;
        Ok(user)
    }
}

impl ClaudeUser<'_> {
    /// Fills the disk of the home until this many KiB are free.
    ///
    /// # Errors
    /// Errors of writing to it, and if less is free already.
    pub fn fill_disk_except(&self, kibibytes: u64) -> io::Result<()> {
        let free = self.free_disk_space()?;
        let wanted = free.checked_sub(kibibytes << 10).ok_or(io::ErrorKind::StorageFull)?;
        let mut ballast = OpenOptions::new().create(true).append(true).open(self.home.join(BALLAST))?;
        // Writes page by page: the kernel allocates complete pages, so none is left partly used.
        (0..wanted / PAGE.len() as u64).try_for_each(|_| ballast.write_all(&PAGE))
    }

    /// Frees the space that was filled.
    ///
    /// # Errors
    /// If it was not.
    pub fn empty_disk(&self) -> io::Result<()> {
        fs::remove_file(self.home.join(BALLAST))
    }

    /// Writes a `~/.claude.json` of about this many KiB, in which the client stores its data about
    /// projects.
    ///
    /// # Errors
    /// Errors of writing it.
    pub fn write_client_state(&self, kibibytes: usize) -> io::Result<()> {
        let path = self.home.join(".claude.json");
        let projects: serde_json::Map<_, _> =
            (0..kibibytes).map(|number| (format!("/{number:0>950}"), json!({"allowedTools": []}))).collect();
        fs::write(&path, json!({"numStartups": 5, "projects": projects}).to_string())?;
        chown(&path, Some(self.uid), Some(self.uid))
    }

    /// Returns the number of bytes that can still be written to the disk of the home.
    ///
    /// # Errors
    /// Errors of statvfs(3).
    pub fn free_disk_space(&self) -> io::Result<u64> {
        let disk = statvfs(&self.home)?;
        Ok(disk.blocks_available() * disk.fragment_size())
    }
}

const BALLAST: &str = "ballast";

const PAGE: [u8; 4096] = [0; 4096];

//! Attacks on the request files.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

/// Requests a sync as fast as it can, without end, and tries the same for all other users.
pub(crate) fn flood(directory: &Path) {
    let own = directory.join(uid().to_string());
    loop {
        for _ in 0..1000 {
            set_time(&own);
        }
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            // The owner of a file can permit others to write it, and so to set its time.
            if path != own
                && set_time(&path)
                && fs::metadata(&path).is_ok_and(|file| file.mode() & 0o022 == 0)
            {
                panic!("a request of another user: {}", path.display());
            }
        }
    }
}

/// Opens the own request file in each way, holds it, and fills it with data. Tries to put something
/// else in its place.
pub(crate) fn hold(directory: &Path) {
    let own = directory.join(uid().to_string());
    let held = occupy(&own);
    loop {
        for name in ["new", "0", "1", "new/file"] {
            let path = directory.join(name);
            assert!(File::create(&path).is_err() && fs::create_dir(&path).is_err(), "{name} was created");
        }
        assert!(fs::remove_file(&own).is_err() && fs::rename(&own, directory.join("moved")).is_err());
        drop(fs::set_permissions(&own, Permissions::from_mode(0o777)));
        set_time(&own);
        std::thread::sleep(Duration::from_millis(held.len() as u64 + 1));
    }
}

/// Fills the FIFO as far as the kernel allows. A user who is not enrolled has none.
fn occupy(own: &Path) -> Vec<File> {
    drop(fs::set_permissions(own, Permissions::from_mode(0o777)));
    let open = || OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(own);
    let held: Vec<File> = std::iter::repeat_with(open).take(100).flatten().collect();
    for mut file in &held {
        while file.write(&[b'x'; 4096]).is_ok_and(|written| written > 0) {}
    }
    held
}

fn set_time(path: &Path) -> bool {
    let now = TimeSpec::UTIME_NOW;
    utimensat(AT_FDCWD, path, &now, &now, UtimensatFlags::NoFollowSymlink).is_ok()
}

fn uid() -> u32 {
    fs::metadata("/proc/self").expect("this process").uid()
}

//! A file system that answers the mount and never answers a lookup.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, getgid, getuid, setgid, setuid};

/// The directory of the file systems in the namespace of the user.
const MOUNT_DIRECTORY: &str = "/tmp";

/// The root directory of each file system that is served.
const ROOT_NODE: u64 = 1;

const NO_SUCH_CALL: i32 = -nix::libc::ENOSYS;

/// The names of the handled requests in linux/fuse.h.
mod opcode {
    pub(super) const GETATTR: u32 = 3;
    pub(super) const LOOKUP: u32 = 1;
    pub(super) const STATFS: u32 = 17;
    pub(super) const OPENDIR: u32 = 27;
    pub(super) const READDIR: u32 = 28;
    pub(super) const INIT: u32 = 26;
}

/// Makes each of these paths a symlink to a file whose lookup never ends, in a mount namespace of
/// this user. The overlay over it lets other users, and root, reach that symlink.
pub(crate) fn link(paths: &[&Path]) -> ! {
    let (uid, gid) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).expect("a namespace of its own");
    fs::write("/proc/self/setgroups", "deny").expect("no groups");
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).expect("a user id");
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).expect("a group id");
    mount_on(MOUNT_DIRECTORY, "tmpfs", "tmpfs", "mode=755");
    for directory in ["silent", "other", "over"] {
        fs::create_dir(format!("{MOUNT_DIRECTORY}/{directory}")).expect("a directory");
    }
    let device = device();
    let options = format!("fd={},rootmode=40755,user_id=0,group_id=0", device.as_raw_fd());
    mount_on(&format!("{MOUNT_DIRECTORY}/silent"), "silent", "fuse", &options);
    thread::spawn(|| serve(device, true));
    mount_on(
        &format!("{MOUNT_DIRECTORY}/over"),
        "over",
        "overlay",
        &format!("lowerdir={MOUNT_DIRECTORY}/silent:{MOUNT_DIRECTORY}/other"),
    );
    for path in paths {
        let name = path.file_name().expect("a name").display();
        let target = format!("/proc/{}/root{MOUNT_DIRECTORY}/over/{name}", std::process::id());
        // Removes the previous object; a directory is moved aside.
        let aside = path.with_extension("aside");
        if path.symlink_metadata().is_ok() {
            fs::rename(path, aside).expect("moved aside");
        }
        symlink(&target, path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// Mounts a file system that never answers over `directory`, for all users of the machine, as
/// fusermount3(1) does where fuse.conf(5) has `user_allow_other`. Serves it with the rights of the
/// user.
pub(crate) fn cover(directory: &Path, uid: u32) -> ! {
    let device = device();
    let options =
        format!("fd={},rootmode=40755,user_id={uid},group_id={uid},allow_other", device.as_raw_fd());
    mount(
        Some("silent"),
        directory,
        Some("fuse"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some(options.as_str()),
    )
    .expect("mounted");
    setgid(Gid::from_raw(uid)).expect("the user's group");
    setuid(Uid::from_raw(uid)).expect("the user");
    serve(device, false)
}

fn device() -> File {
    OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("/dev/fuse")
}

fn mount_on(place: &str, source: &str, kind: &str, options: &str) {
    mount(Some(source), place, Some(kind), MsFlags::empty(), Some(options))
        .unwrap_or_else(|error| panic!("mounting {kind} at {place}: {error}"));
}

/// Serves the requests of the kernel. `is_mountable` gives the root directory attributes, which an
/// overlay requires.
fn serve(mut device: File, is_mountable: bool) -> ! {
    let mut request = vec![0; 1 << 20];
    loop {
        // It ends with its mount.
        let length = device.read(&mut request).expect("a request");
        let number = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().expect("four bytes"));
        let wide = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().expect("eight bytes"));
        assert!(length >= 40, "a complete header");
        let (code, unique, node) = (number(4), wide(8), wide(16));
        let answer = match code {
            opcode::INIT => Ok(initialized()),
            opcode::GETATTR if is_mountable && node == ROOT_NODE => Ok(root_attributes()),
            opcode::STATFS if is_mountable => Ok(vec![0; 80]),
            opcode::LOOKUP | opcode::GETATTR | opcode::OPENDIR | opcode::READDIR | opcode::STATFS => continue,
            _ => Err(NO_SUCH_CALL),
        };
        let (error, body) = answer.map_or_else(|error| (error, Vec::new()), |body| (0, body));
        let length = u32::try_from(16 + body.len()).expect("a short answer");
        let mut reply = Vec::new();
        reply.extend(length.to_ne_bytes());
        reply.extend(error.to_ne_bytes());
        reply.extend(unique.to_ne_bytes());
        reply.extend(body);
        // An interrupted request does not exist any longer.
        let _ = device.write(&reply);
    }
}

/// Returns `struct fuse_init_out`: version 7.31, and the limits of a write.
fn initialized() -> Vec<u8> {
    let mut out = vec![0; 64];
    for (at, value) in [(0, 7_u32), (4, 31), (8, 4096), (20, 4096)] {
        out[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    out
}

/// Returns `struct fuse_attr_out` of a directory of root.
fn root_attributes() -> Vec<u8> {
    let mut out = vec![0; 104];
    out[16..24].copy_from_slice(&ROOT_NODE.to_ne_bytes());
    for (at, value) in [(76, 0o40_755_u32), (80, 2), (96, 4096)] {
        out[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    out
}

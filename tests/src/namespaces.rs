//! A network that has only a loopback interface, and a private view of the file system, for the
//! processes of one test. Both belong to one thread: its sockets and its processes are in them, and
//! they end with the last of these. Nothing in them can reach another host.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Pid, gettid};
use std::os::fd::AsRawFd;

use crate::openbao::Prefix;

/// A mount in the namespace that hides the file or directory of the host.
#[derive(Clone, Debug)]
pub enum Mount {
    /// The file or directory `source`, read-only.
    Bind {
        /// Outside.
        source: PathBuf,
        /// Inside; it has to exist outside too.
        target: PathBuf,
    },
    /// Nothing: an empty, read-only directory.
    Empty(PathBuf),
    /// The directory `source`, to be written to.
    Share {
        /// Outside.
        source: PathBuf,
        /// Inside; it has to exist outside too.
        target: PathBuf,
    },
    /// A private `/dev` with only the devices that any program needs; a `/dev/log` can be bound in
    /// it.
    Devices,
    /// The content of `source` over that of the directory; read-only.
    Over {
        /// Outside.
        source: PathBuf,
        /// A directory, inside and outside.
        target: PathBuf,
    },
}

type Job = Box<dyn FnOnce() + Send>;

/// The thread that runs inside. Dropping it lets the thread end, while its children continue to
/// run.
pub struct Namespaces {
    jobs: Sender<Job>,
    thread: Pid,
}

impl Namespaces {
    /// Enters new namespaces, brings the loopback interface up and mounts `mounts` in their order.
    ///
    /// # Errors
    /// The first step that the kernel refused; without root that is the first step.
    pub fn new(mounts: Vec<Mount>) -> io::Result<Self> {
        let (jobs, inbox) = channel();
        let (entered, result) = sync_channel(1);
        thread::spawn(move || {
            let outcome = enter(&mounts).map(|()| gettid());
            let inside = outcome.is_ok();
            if entered.send(outcome).is_ok() && inside {
                work(&inbox);
            }
        });
        let thread = result.recv().map_err(io::Error::other)??;
        Ok(Self { jobs, thread })
    }

    /// Returns the prefix of a command that runs in this network, with the files of the host.
    pub fn network_prefix(&self) -> Prefix {
        let network = format!("--net=/proc/{}/task/{}/ns/net", std::process::id(), self.thread);
        Prefix(vec!["nsenter".to_owned(), network, "--".to_owned()])
    }

    /// Returns the path outside of the namespace for `inside`.
    pub fn from_outside(&self, inside: &Path) -> PathBuf {
        let root = format!("/proc/{}/task/{}/root", std::process::id(), self.thread);
        Path::new(&root).join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// Runs `job` inside and returns its result. Jobs run one after the other: they start processes
    /// and do not wait.
    ///
    /// # Panics
    /// If the job panics.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, result) = sync_channel(1);
        let job: Job = Box::new(move || drop(sender.send(job())));
        self.jobs.send(job).ok().and_then(|()| result.recv().ok()).expect("the thread inside runs")
    }
}

fn work(inbox: &Receiver<Job>) {
    while let Ok(job) = inbox.recv() {
        job();
    }
}

fn enter(mounts: &[Mount]) -> io::Result<()> {
    let root = |error| {
        io::Error::new(io::Error::from(error).kind(), "new namespaces need root: run the suites as root")
    };
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).map_err(root)?;
    raise_loopback()?;
    // Otherwise the mounts below would appear outside too.
    mount(None::<&Path>, "/", None::<&Path>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&Path>)?;
    mounts.iter().try_for_each(|wanted| {
        wanted.make().map_err(|error| io::Error::new(error.kind(), format!("{wanted:?}: {error}")))
    })
}

impl Mount {
    fn make(&self) -> io::Result<()> {
        let none = None::<&Path>;
        match self {
            Self::Bind { source, target } => {
                mount(Some(source), target, none, MsFlags::MS_BIND, none)?;
                let read_only =
                    MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID;
                mount(none, target, none, read_only, none)?;
            }
            Self::Empty(target) => mount(Some("none"), target, Some("tmpfs"), MsFlags::MS_RDONLY, none)?,
            Self::Share { source, target } => mount(Some(source), target, none, MsFlags::MS_BIND, none)?,
            Self::Devices => make_devices(Path::new("/dev"))?,
            Self::Over { source, target } => {
                let layers = format!("lowerdir={}:{}", source.display(), target.display());
                mount(Some("overlay"), target, Some("overlay"), MsFlags::MS_RDONLY, Some(layers.as_str()))?;
            }
        }
        Ok(())
    }
}

/// Creates the devices. The numbers are those of null(4), full(4) and random(4).
fn make_devices(directory: &Path) -> io::Result<()> {
    let everybody = Mode::from_bits_truncate(0o666);
    mount(Some("none"), directory, Some("tmpfs"), MsFlags::MS_NOEXEC, Some("mode=755"))?;
    for (name, minor) in [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)] {
        let path = directory.join(name);
        mknod(&path, SFlag::S_IFCHR, everybody, makedev(1, minor))?;
        // Sets the modes that the umask may have changed.
        fs::set_permissions(&path, Permissions::from_mode(0o666))?;
    }
    Ok(())
}

/// Sends RTM_NEWLINK with IFF_UP for interface 1 (rtnetlink(7)). In a new network that is always
/// the loopback interface.
fn raise_loopback() -> io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
    const LOOPBACK: i32 = 1;
    const IFF_UP: u32 = 1;
    let mut message = Vec::new();
    message.extend(32_u32.to_ne_bytes()); // struct nlmsghdr: length, type, flags, sequence, port
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(REQUEST_AND_ACKNOWLEDGE.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([0; 4]); // struct ifinfomsg: family and type, index, flags, which flags change
    message.extend(LOOPBACK.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());

    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        Some(SockProtocol::NetlinkRoute),
    )?;
    sendto(netlink.as_raw_fd(), &message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answer = [0; 1024];
    let length = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    // struct nlmsgerr follows the header: 0, or an error number below zero.
    let error = answer.get(16..20).filter(|_| length >= 20).and_then(|bytes| bytes.try_into().ok());
    match error.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(-number)),
        None => Err(io::Error::other("netlink gave a short answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::{TcpListener, TcpStream};
    use std::process::Command;

    #[test]
    fn namespace_isolates_network_and_mounts() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let (source, target) = (directory.path().join("source"), directory.path().join("target"));
        fs::write(&source, "inside").expect("written");
        fs::write(&target, "outside").expect("written");
        let mounts = vec![Mount::Bind { source, target: target.clone() }, Mount::Empty("/home".into())];
        let inside = Namespaces::new(mounts).expect("new namespaces");

        let path = target.clone();
        let visible = inside.run(move || Command::new("cat").arg(path).output()).expect("cat");
        assert_eq!(visible.stdout, b"inside");
        assert_eq!(fs::read_to_string(&target).expect("read"), "outside");

        let routes =
            inside.run(|| fs::read_to_string("/proc/thread-self/net/route")).expect("the routing table");
        assert_eq!(routes.lines().count(), 1, "a header and no route: {routes}");
        let address = inside.run(|| TcpListener::bind("127.0.0.1:443")).expect("a free port");
        let connected = inside.run(|| TcpStream::connect("127.0.0.1:443").is_ok());
        assert!(connected && address.local_addr().is_ok());
        assert!(inside.run(|| TcpStream::connect("192.0.2.1:443").is_err()));
    }
}

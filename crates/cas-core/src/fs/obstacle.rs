//! What keeps a file from being replaced, and how to remove it. None of it passes by itself.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags, open, statfs, statx};

/// The magic numbers of file systems whose access depends on a ticket: NFS, CIFS, SMB2 and AFS
/// (`linux/magic.h`).
const NETWORK_FILE_SYSTEMS: [u32; 4] = [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x5346_414f];

/// Why a file cannot be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The cause.
    pub kind: ObstacleKind,
    /// The file, or what could not be created beside it.
    pub path: PathBuf,
}

/// The cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObstacleKind {
    /// The file or its directory has the immutable or the append-only attribute.
    Immutable,
    /// Something is mounted over the file.
    MountPoint,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The file system is full.
    NoSpace,
    /// The user's quota is used up.
    QuotaExceeded,
    /// The file size limit of the process is too low.
    FileSizeLimit,
    /// The user may not write to the directory.
    NoPermission,
    /// The user may not open the file, for instance because it belongs to root.
    NotAccessible,
    /// A network file system does not let the user in, as with an expired Kerberos ticket.
    NoTicket,
    /// The home is encrypted, and its key is not available.
    NoKey,
}

impl ObstacleKind {
    /// Returns the cause of a failed operation, or `None` if it may pass by itself. `is_network`
    /// tells whether the file is on a network file system.
    pub fn from_errno(errno: Errno, is_network: bool) -> Option<Self> {
        Some(match errno {
            Errno::EPERM => Self::Immutable,
            Errno::EBUSY => Self::MountPoint,
            Errno::EROFS => Self::ReadOnly,
            Errno::ENOSPC => Self::NoSpace,
            Errno::EDQUOT => Self::QuotaExceeded,
            Errno::EFBIG => Self::FileSizeLimit,
            Errno::EACCES | Errno::EKEYEXPIRED if is_network => Self::NoTicket,
            Errno::EACCES => Self::NoPermission,
            Errno::ENOKEY | Errno::EKEYEXPIRED | Errno::EKEYREVOKED | Errno::EKEYREJECTED => Self::NoKey,
            _ => return None,
        })
    }

    /// Returns true if the obstacle is absent in each session of the user: a sync without a session
    /// has nothing to report.
    pub fn ends_with_a_session(self) -> bool {
        matches!(self, Self::NoTicket | Self::NoKey)
    }

    /// Returns the cause, in words that follow "because".
    pub fn cause(self) -> &'static str {
        match self {
            Self::Immutable => "it or its directory has the immutable or append-only attribute",
            Self::MountPoint => "something is mounted over it",
            Self::ReadOnly => "its file system is mounted read-only",
            Self::NoSpace => "its disk has no space",
            Self::QuotaExceeded => "your quota is used up",
            Self::FileSizeLimit => "the file size limit is too low",
            Self::NoPermission => "its directory is not writable for its user",
            Self::NotAccessible => "the user has no permission to open it",
            Self::NoTicket => "its file server does not accept the user, as without a Kerberos ticket",
            Self::NoKey => "it is encrypted and its key is not available",
        }
    }
}

impl Obstacle {
    /// Returns the obstacle that an error at `path` shows, if it does not pass by itself.
    pub fn from_error(path: &Path, error: &io::Error) -> Option<Self> {
        let found = ObstacleKind::from_errno(errno_of(error)?, is_on_network(path))?;
        let is_of_file = || {
            let directory = path.parent().unwrap_or(Path::new("/"));
            path.symlink_metadata().is_ok() && access_obstacle(directory).is_none()
        };
        let kind = match found {
            ObstacleKind::NoPermission if is_of_file() => ObstacleKind::NotAccessible,
            found => found,
        };
        Some(Self { kind, path: path.to_owned() })
    }

    /// Returns what keeps the file at `path` from being replaced, as far as that is known without
    /// writing. A missing file or directory is no obstacle.
    pub fn find(path: &Path) -> Option<Self> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        let kind = attribute_obstacle(path, StatxAttributes::MOUNT_ROOT)
            .or_else(|| attribute_obstacle(directory, StatxAttributes::empty()))
            .or_else(|| access_obstacle(directory))?;
        Some(Self { kind, path: path.to_owned() })
    }

    /// Returns what removes the obstacle: a command, or one sentence.
    pub fn remedy(&self) -> String {
        let path = self.path.display();
        let directory = self.path.parent().unwrap_or(Path::new("/")).display();
        match self.kind {
            ObstacleKind::Immutable => format!("as root, run `chattr -ia {directory} {path}`"),
            ObstacleKind::MountPoint => {
                format!("as root, run `umount {path}`, and mount its directory instead")
            }
            ObstacleKind::ReadOnly => {
                format!("as root, mount it writable: `findmnt --target {directory}` shows it")
            }
            ObstacleKind::NoSpace => format!("free space on it: `df {directory}` shows it"),
            ObstacleKind::QuotaExceeded => "free space in it: `quota` shows it".into(),
            ObstacleKind::FileSizeLimit => "raise it (ulimit -f)".into(),
            ObstacleKind::NoPermission => format!("make {directory} owned by the user and writable"),
            ObstacleKind::NotAccessible => format!("remove {path}, or make it owned by the user"),
            ObstacleKind::NoTicket => "run `kinit`, or log in".into(),
            ObstacleKind::NoKey => "log in, which unlocks it".into(),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(formatter, "cannot replace {path}, because {}; {}", self.kind.cause(), self.remedy())
    }
}

/// Returns the obstacle that the attributes of a file or directory show. `mounted` is checked as
/// well.
fn attribute_obstacle(path: &Path, mounted: StatxAttributes) -> Option<ObstacleKind> {
    let found = match statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()) {
        Ok(found) => found.stx_attributes,
        Err(errno) => {
            let error = io::Error::from(errno);
            return Obstacle::from_error(path, &error).map(|obstacle| obstacle.kind);
        }
    };
    if found.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND) {
        Some(ObstacleKind::Immutable)
    } else {
        found.intersects(mounted).then_some(ObstacleKind::MountPoint)
    }
}

/// Returns the error number. An error of the crate `tempfile` contains a path and no number, but
/// has the kind of the original one.
fn errno_of(error: &io::Error) -> Option<Errno> {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    error.raw_os_error().map(Errno::from_raw).or(match error.kind() {
        StorageFull => Some(Errno::ENOSPC),
        QuotaExceeded => Some(Errno::EDQUOT),
        FileTooLarge => Some(Errno::EFBIG),
        ReadOnlyFilesystem => Some(Errno::EROFS),
        _ => None,
    })
}

/// Returns true if this directory is encrypted and its key is not available. The kernel then finds
/// no file by its name, so that all of them seem to be missing.
pub fn is_locked(directory: &Path) -> bool {
    let found = statx(CWD, directory, AtFlags::empty(), StatxFlags::TYPE);
    if !found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::ENCRYPTED)) {
        return false;
    }
    // A file without a name, which needs the key as well and leaves nothing behind.
    let opened = open(directory, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR);
    opened.is_err_and(|errno| {
        let errno = Errno::from_raw(errno.raw_os_error());
        ObstacleKind::from_errno(errno, false) == Some(ObstacleKind::NoKey)
    })
}

fn access_obstacle(directory: &Path) -> Option<ObstacleKind> {
    let errno = access(directory, AccessFlags::W_OK | AccessFlags::X_OK).err()?;
    ObstacleKind::from_errno(errno, is_on_network(directory))
}

/// Returns true if the nearest directory that can be examined is on a network file system.
fn is_on_network(path: &Path) -> bool {
    let found = path.ancestors().find_map(|place| statfs(place).ok());
    let magic = |found: rustix::fs::StatFs| u32::try_from(found.f_type & 0xffff_ffff).ok();
    found.and_then(magic).is_some_and(|magic| NETWORK_FILE_SYSTEMS.contains(&magic))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn error_is_an_obstacle_unless_it_passes_by_itself() {
        use ObstacleKind::*;
        let rows = [
            (Errno::EPERM, Some(Immutable), Some(Immutable)),
            (Errno::EBUSY, Some(MountPoint), Some(MountPoint)),
            (Errno::EROFS, Some(ReadOnly), Some(ReadOnly)),
            (Errno::ENOSPC, Some(NoSpace), Some(NoSpace)),
            (Errno::EDQUOT, Some(QuotaExceeded), Some(QuotaExceeded)),
            (Errno::EFBIG, Some(FileSizeLimit), Some(FileSizeLimit)),
            (Errno::EACCES, Some(NoPermission), Some(NoTicket)),
            (Errno::ENOKEY, Some(NoKey), Some(NoKey)),
            (Errno::EKEYREVOKED, Some(NoKey), Some(NoKey)),
            (Errno::EKEYREJECTED, Some(NoKey), Some(NoKey)),
            (Errno::EKEYEXPIRED, Some(NoKey), Some(NoTicket)),
            (Errno::ENOENT, None, None),
            (Errno::EIO, None, None),
            (Errno::ESTALE, None, None),
            (Errno::ETIMEDOUT, None, None),
            (Errno::EINTR, None, None),
            (Errno::EMFILE, None, None),
        ];
        for (errno, local, network) in rows {
            assert_eq!(ObstacleKind::from_errno(errno, false), local, "{errno}");
            assert_eq!(ObstacleKind::from_errno(errno, true), network, "{errno} on a network");
        }
    }

    /// As an error of the crate `tempfile`, which adds the path.
    #[test]
    fn error_without_a_number_is_an_obstacle_as_well() {
        let kind = |errno: Errno| {
            let error = io::Error::new(io::Error::from(errno).kind(), "at path /x");
            Obstacle::from_error(Path::new("/x"), &error).map(|found| found.kind)
        };
        assert_eq!(kind(Errno::ENOSPC), Some(ObstacleKind::NoSpace));
        assert_eq!(kind(Errno::EDQUOT), Some(ObstacleKind::QuotaExceeded));
        assert_eq!(kind(Errno::EFBIG), Some(ObstacleKind::FileSizeLimit));
        assert_eq!(kind(Errno::EROFS), Some(ObstacleKind::ReadOnly));
        assert_eq!(kind(Errno::EIO), None);
    }

    #[test]
    fn obstacle_names_cause_and_remedy() {
        use ObstacleKind::*;
        let path = PathBuf::from("/home/alice/.claude/.credentials.json");
        for (kind, remedy) in [
            (Immutable, "`chattr -ia /home/alice/.claude /home/alice/.claude/.credentials.json`"),
            (MountPoint, "`umount /home/alice/.claude/.credentials.json`"),
            (ReadOnly, "`findmnt --target /home/alice/.claude`"),
            (NoSpace, "free space"),
            (QuotaExceeded, "free space"),
            (FileSizeLimit, "ulimit -f"),
            (NoPermission, "owned by the user and writable"),
            (NoTicket, "`kinit`"),
            (NoKey, "log in"),
        ] {
            let text = Obstacle { kind, path: path.clone() }.to_string();
            assert!(text.contains(remedy) && text.contains(kind.cause()), "{text}");
            assert!(!text.contains("later"), "{text}");
        }
    }

    #[test]
    fn writable_or_missing_file_has_no_obstacle() {
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = directory.path().join("file");
        assert_eq!(Obstacle::find(&path), None);
        fs::write(&path, "{}").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("a mode");
        assert_eq!(Obstacle::find(&path), None, "a rename needs no permission on the file");
        assert_eq!(Obstacle::find(&directory.path().join("none/file")), None);
    }
}

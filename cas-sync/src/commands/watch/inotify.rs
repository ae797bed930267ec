//! Watches the credential file and its ancestors with inotify.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use super::mounts::Mounts;
use super::sync_marker::SyncMarker;
use super::watch_paths::{self, Role, WatchPath};

/// The mask of each directory: new names, and its removal.
const DIR_MASK: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);

/// The mask of the directory of the file.
const FILE_DIR_MASK: AddWatchFlags = DIR_MASK
    .union(AddWatchFlags::IN_MODIFY)
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_MOVED_FROM);

/// The mask of an ancestor: also changes of permissions, which can make it accessible.
const ANCESTOR_MASK: AddWatchFlags = DIR_MASK.union(AddWatchFlags::IN_ATTRIB);

/// The mask of the marker.
const MARKER_MASK: AddWatchFlags = AddWatchFlags::IN_ATTRIB;

/// Limits the attempts to set up watches while the paths change.
const MAX_ATTEMPTS: usize = 32;

/// An event; events are in the order in which they happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A name appeared in the directory of the file.
    Created(PathBuf),
    /// A file was written and is still open.
    Modified(PathBuf),
    /// A file was closed after a write.
    Closed(PathBuf),
    /// A file was renamed; the event for its new name has the same cookie.
    MovedFrom(PathBuf, u32),
    /// A file was renamed to the name of the credential file.
    RenamedTo(PathBuf, u32),
    /// The marker was touched: all earlier events have been read.
    MarkerTouched,
    /// The watched paths have changed, or events were lost: set up the watches again.
    Lost,
}

/// The watches for one file.
pub(super) struct FileWatch {
    file: PathBuf,
    inotify: Inotify,
    mounts: Mounts,
    watched: Vec<(WatchDescriptor, WatchPath)>,
    /// Device and inode of the directories, to detect mounts over them.
    directories: Vec<Option<(u64, u64)>>,
    marker: Option<WatchDescriptor>,
}

impl FileWatch {
    /// Sets up the watches for `file`. All later changes cause events.
    ///
    /// # Errors
    /// If the user has no inotify watches left.
    pub(super) fn new(file: &Path) -> io::Result<Self> {
        for _ in 0..MAX_ATTEMPTS {
            let mounts = Mounts::open()?;
            let places = watch_paths::watch_paths_for(file);
            // Changes before the watches existed caused no events.
            if let Some(watch) =
                Self::watch(file, &places, mounts)?.filter(|_| watch_paths::watch_paths_for(file) == places)
            {
                return Ok(watch);
            }
        }
        // The service manager starts the watcher again later.
        Err(io::Error::other(format!("the ancestors of {} keep changing", file.display())))
    }

    /// Returns `None` if a path has disappeared.
    fn watch(file: &Path, places: &[WatchPath], mounts: Mounts) -> io::Result<Option<Self>> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
        let (directories, mut watched) = (identities(places), Vec::new());
        for place in places {
            match inotify.add_watch(&place.directory, mask(place, places)) {
                Ok(descriptor) => watched.push((descriptor, place.clone())),
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::ELOOP) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(Some(Self { file: file.to_owned(), inotify, mounts, watched, directories, marker: None }))
    }

    /// Adds a watch of the marker.
    ///
    /// # Errors
    /// If the user has no inotify watches left.
    pub(super) fn with_marker(mut self, marker: &SyncMarker) -> io::Result<Self> {
        self.marker = Some(self.inotify.add_watch(&marker.path(), MARKER_MASK)?);
        Ok(self)
    }

    /// Blocks until there are events.
    ///
    /// # Errors
    /// No expected errors.
    pub(super) fn wait(&self) -> io::Result<Vec<Event>> {
        loop {
            let woken = self.mounts.wait_or(self.inotify.as_fd())?;
            let mut happened = if woken.by_events { self.read_events()? } else { Vec::new() };
            if woken.by_mounts && self.has_moved() {
                happened.push(Event::Lost);
            }
            if woken.by_events || !happened.is_empty() {
                return Ok(happened);
            }
        }
    }

    fn read_events(&self) -> io::Result<Vec<Event>> {
        match self.inotify.read_events() {
            Ok(events) => Ok(events.iter().flat_map(|event| self.translate(event)).collect()),
            Err(Errno::EINTR) => Ok(Vec::new()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Returns true if the paths have changed, or their directories were replaced.
    fn has_moved(&self) -> bool {
        let places = watch_paths::watch_paths_for(&self.file);
        !places.iter().eq(self.watched.iter().map(|(_, place)| place))
            || identities(&places) != self.directories
    }

    fn translate(&self, event: &InotifyEvent) -> Vec<Event> {
        let is = |flags| event.mask.intersects(flags);
        if Some(event.wd) == self.marker {
            return if is(MARKER_MASK) { vec![Event::MarkerTouched] } else { vec![Event::Lost] };
        }
        let Some(name) = event.name.as_deref() else {
            // An event of the directory itself, or a queue overflow.
            return vec![Event::Lost];
        };
        let here = self.watched.iter().filter(|(descriptor, _)| *descriptor == event.wd);
        here.filter_map(|(_, place)| {
            let path = place.directory.join(name);
            let is_name = name == place.name;
            match place.role {
                Role::Ancestor => is_name.then_some(Event::Lost),
                Role::File if is(AddWatchFlags::IN_CREATE) && is_name && path.is_symlink() => {
                    Some(Event::Lost)
                }
                Role::File if is(AddWatchFlags::IN_CREATE) => Some(Event::Created(path)),
                Role::File if is(AddWatchFlags::IN_MODIFY) => Some(Event::Modified(path)),
                Role::File if is(AddWatchFlags::IN_CLOSE_WRITE) => Some(Event::Closed(path)),
                Role::File if is(AddWatchFlags::IN_MOVED_FROM) => Some(Event::MovedFrom(path, event.cookie)),
                Role::File if is(AddWatchFlags::IN_MOVED_TO) && is_name => {
                    Some(if path.is_symlink() { Event::Lost } else { Event::RenamedTo(path, event.cookie) })
                }
                Role::File => None,
            }
        })
        .collect()
    }

    /// Returns true if this is the path of the credential file or of its target.
    pub(super) fn is_credential_file(&self, path: &Path) -> bool {
        let parts = (path.parent(), path.file_name());
        self.watched.iter().any(|(_, place)| {
            place.role == Role::File
                && parts == (Some(place.directory.as_path()), Some(place.name.as_os_str()))
        })
    }
}

fn identities(places: &[WatchPath]) -> Vec<Option<(u64, u64)>> {
    let identity =
        |place: &WatchPath| fs::metadata(&place.directory).ok().map(|found| (found.dev(), found.ino()));
    places.iter().map(identity).collect()
}

/// Returns the mask of a directory, which is the same for all names in it.
fn mask(place: &WatchPath, places: &[WatchPath]) -> AddWatchFlags {
    let has_file = places.iter().any(|other| other.directory == place.directory && other.role == Role::File);
    if has_file { FILE_DIR_MASK } else { ANCESTOR_MASK }
}

//! What the kernel tells of the places that are watched.

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

/// Of every directory: what appears in it, and its own end.
const DIR_MASK: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR);

/// Of the file's own directory.
const FILE_DIR_MASK: AddWatchFlags = DIR_MASK
    .union(AddWatchFlags::IN_MODIFY)
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_MOVED_FROM);

/// Of a directory on the way to it: also whether what could not be entered can be now.
const ANCESTOR_MASK: AddWatchFlags = DIR_MASK.union(AddWatchFlags::IN_ATTRIB);

/// Of the marker.
const MARKER_MASK: AddWatchFlags = AddWatchFlags::IN_ATTRIB;

/// How often it is tried to find the same places before and after they were taken under watch.
const TRIES: usize = 32;

/// What happened, in the order in which it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A name appeared in the directory of the file.
    Created(PathBuf),
    /// Somebody has written to it, and may go on.
    Modified(PathBuf),
    /// Somebody who had written to it closed it.
    Closed(PathBuf),
    /// It has another name from now on, which is told by an event of the same number.
    MovedFrom(PathBuf, u32),
    /// Something was renamed to the name of the file.
    RenamedTo(PathBuf, u32),
    /// The marker was touched: all that happened before that has been told.
    MarkerTouched,
    /// The file is no longer where it was looked for, or events were lost: look for it anew.
    Lost,
}

/// The places of one file under watch.
pub(super) struct FileWatch {
    file: PathBuf,
    inotify: Inotify,
    mounts: Mounts,
    watched: Vec<(WatchDescriptor, WatchPath)>,
    /// Device and inode of the directories, for something may be mounted over them.
    directories: Vec<Option<(u64, u64)>>,
    marker: Option<WatchDescriptor>,
}

impl FileWatch {
    /// Takes the places of `file` under watch. Whatever happens to it after this is told.
    ///
    /// # Errors
    /// When the kernel gives no more watches to this user.
    pub(super) fn new(file: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let mounts = Mounts::open()?;
            let places = watch_paths::watch_paths_for(file);
            // What changed before the watches were there was not told.
            if let Some(eyes) =
                Self::watch(file, &places, mounts)?.filter(|_| watch_paths::watch_paths_for(file) == places)
            {
                return Ok(eyes);
            }
        }
        // Whoever is so quick has no login to lose; the service manager tries again later.
        Err(io::Error::other(format!("the directories on the way to {} keep changing", file.display())))
    }

    /// Nothing, when a place is gone already.
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

    /// Tells of every touch of the marker as well, in its turn.
    ///
    /// # Errors
    /// When the kernel gives no more watches to this user.
    pub(super) fn with_marker(mut self, marker: &SyncMarker) -> io::Result<Self> {
        self.marker = Some(self.inotify.add_watch(&marker.path(), MARKER_MASK)?);
        Ok(self)
    }

    /// Waits until something happens. Nothing is asked of the processor meanwhile.
    ///
    /// # Errors
    /// None that is to be expected.
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

    /// Whether the file is to be looked for elsewhere now, or in other directories of the same names.
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
            // About the directory itself, or a queue that was too short.
            return vec![Event::Lost];
        };
        let here = self.watched.iter().filter(|(descriptor, _)| *descriptor == event.wd);
        here.filter_map(|(_, place)| {
            let path = place.directory.join(name);
            let is_it = name == place.name;
            match place.role {
                Role::Ancestor => is_it.then_some(Event::Lost),
                Role::File if is(AddWatchFlags::IN_CREATE) && is_it && path.is_symlink() => Some(Event::Lost),
                Role::File if is(AddWatchFlags::IN_CREATE) => Some(Event::Created(path)),
                Role::File if is(AddWatchFlags::IN_MODIFY) => Some(Event::Modified(path)),
                Role::File if is(AddWatchFlags::IN_CLOSE_WRITE) => Some(Event::Closed(path)),
                Role::File if is(AddWatchFlags::IN_MOVED_FROM) => Some(Event::MovedFrom(path, event.cookie)),
                Role::File if is(AddWatchFlags::IN_MOVED_TO) && is_it => {
                    Some(if path.is_symlink() { Event::Lost } else { Event::RenamedTo(path, event.cookie) })
                }
                Role::File => None,
            }
        })
        .collect()
    }

    /// Whether this is the name of the file.
    pub(super) fn is_the_file(&self, path: &Path) -> bool {
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

/// One directory has one mask, whatever is waited for in it.
fn mask(place: &WatchPath, places: &[WatchPath]) -> AddWatchFlags {
    let is_the_files =
        places.iter().any(|other| other.directory == place.directory && other.role == Role::File);
    if is_the_files { FILE_DIR_MASK } else { ANCESTOR_MASK }
}

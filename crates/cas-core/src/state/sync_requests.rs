//! A person's requests for a sync, left by their logins and seen by systemd: as long as a file `request` lies in their
//! folder, the path unit starts the sync again. The folder is the person's own, so anything may lie there.
//!
//! A request is never just deleted; its name says how far it has come, and the time of its last renaming when:
//! `request` is waiting, `request.taken` was seen by a run that has not looked yet, `request.settled` was answered. The
//! first one is made in advance, as `request.spare`: a new name takes no inode, so nobody who fills the file system that all
//! requests share keeps another's request out.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

use crate::time::timestamp::Timestamp;
use cas_protocol::paths::{REQUEST_FILE, REQUESTS_DIR, SPARE_REQUEST_FILE};

const TAKEN: &str = "request.taken";
const SETTLED: &str = "request.settled";

/// The folder for one person's requests.
#[derive(Clone, Debug)]
pub struct Requests(PathBuf);

impl Requests {
    /// The folder of the person with this login name; it is there when they are enrolled.
    pub fn of(name: &str) -> Self {
        Self(Path::new(REQUESTS_DIR).join(name))
    }

    /// The folder, which is there when they are enrolled.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Asks the sync service to look soon. Where nobody enrolled the person there is no folder, and nobody to ask.
    pub fn leave(&self) {
        let waits = fs::symlink_metadata(self.path(REQUEST_FILE)).is_ok();
        if !waits && !self.renamed_to_request(SETTLED) && !self.renamed_to_request(SPARE_REQUEST_FILE) {
            self.make_request();
        }
    }

    /// Whether a request can be left where there is no room for a file.
    pub fn needs_no_room(&self) -> bool {
        [REQUEST_FILE, TAKEN, SETTLED, SPARE_REQUEST_FILE].into_iter().any(|name| self.is_file(name))
    }

    /// When the sync was last asked, or last took or settled a request.
    pub fn asked_at(&self) -> Option<Timestamp> {
        let changed_at = |name| {
            let found = fs::symlink_metadata(self.path(name)).ok()?;
            let (seconds, nanoseconds) = (found.ctime(), found.ctime_nsec());
            Some(Timestamp::from_millis(u64::try_from(seconds * 1000 + nanoseconds / 1_000_000).ok()?))
        };
        [REQUEST_FILE, TAKEN, SETTLED].into_iter().filter_map(changed_at).max()
    }

    /// Before anything else in a run: the waiting request becomes one that starts no further run, whatever becomes of this
    /// one.
    ///
    /// # Errors
    /// [`Stays`]: the sync is started again and again, until systemd's limit ends that.
    pub fn take(&self) -> Result<(), Stays> {
        self.renamed_or_removed(REQUEST_FILE, TAKEN)
    }

    /// Under the sync's lock, before looking: all that was asked for so far is answered by this look.
    ///
    /// # Errors
    /// [`Stays`]: then nothing may be handed back.
    pub fn settle(&self) -> Result<(), Stays> {
        self.take()?;
        self.renamed_or_removed(TAKEN, SETTLED)
    }

    /// After a run has let go of the lock: a request that another run has taken meanwhile, and could not answer because
    /// the lock was held, waits again.
    pub fn hand_back(&self) {
        self.renamed_to_request(TAKEN);
    }

    /// Only what a login may have left: what cannot be settled must not wait again.
    fn renamed_to_request(&self, name: &str) -> bool {
        self.is_file(name) && fs::rename(self.path(name), self.path(REQUEST_FILE)).is_ok()
    }

    fn make_request(&self) {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let mut file = OpenOptions::new();
        file.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
        drop(file.open(self.path(REQUEST_FILE)));
    }

    fn is_file(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok_and(|found| found.is_file())
    }

    /// A folder that lies in the place of a request, or in that of what it becomes, is removed.
    fn renamed_or_removed(&self, from: &str, to: &str) -> Result<(), Stays> {
        let path = self.path(from);
        match fs::rename(&path, self.path(to)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(_) => removed(&path).map_err(|error| Stays { path, error }),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

fn removed(path: &Path) -> io::Result<()> {
    let is_directory = fs::symlink_metadata(path)?.is_dir();
    if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// A request that can neither be renamed nor removed.
#[derive(Debug)]
pub struct Stays {
    path: PathBuf,
    error: io::Error,
}

impl fmt::Display for Stays {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, error) = (self.path.display(), &self.error);
        write!(
            formatter,
            "the request {path} stays ({error}): remove it, and make its folder yours and writable"
        )
    }
}

impl std::error::Error for Stays {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(requests: &Requests) -> Vec<String> {
        let entries = fs::read_dir(&requests.0).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn scratch() -> (tempfile::TempDir, Requests) {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let requests = Requests(scratch.path().to_owned());
        (scratch, requests)
    }

    #[test]
    fn a_request_is_taken_settled_and_left_again() {
        let (_scratch, requests) = scratch();
        requests.take().expect("nothing to take");
        requests.settle().expect("nothing to settle");
        assert_eq!(names(&requests), [""; 0]);
        for _ in 0..2 {
            requests.leave();
            requests.leave();
            requests.take().expect("taken");
            requests.settle().expect("settled");
            requests.hand_back();
            assert_eq!(names(&requests), [SETTLED]);
        }
    }

    /// That there need be no room for it is shown where there is none: `guest_triggers::requests`.
    #[test]
    fn a_request_is_the_file_that_was_made_in_advance_and_later_the_one_that_was_answered() {
        let (scratch, requests) = scratch();
        assert!(!requests.needs_no_room());
        fs::write(scratch.path().join(SPARE_REQUEST_FILE), "").expect("made in advance");
        assert_eq!((requests.needs_no_room(), requests.asked_at()), (true, None), "nobody has asked yet");
        let inode = |name| fs::symlink_metadata(requests.path(name)).expect("there").ino();
        let first = inode(SPARE_REQUEST_FILE);
        for _ in 0..2 {
            requests.leave();
            assert_eq!((names(&requests), inode(REQUEST_FILE)), (vec![REQUEST_FILE.into()], first));
            requests.settle().expect("settled");
            assert!(requests.needs_no_room());
        }
    }

    /// One run holds the lock and has looked; another is started by a request, and finds the lock held.
    #[test]
    fn a_request_that_a_busy_run_took_waits_again_when_the_other_is_done() {
        let (_scratch, requests) = scratch();
        requests.settle().expect("the first run looks");
        requests.leave();
        requests.take().expect("the second run begins, and is told that it is not the only one");
        assert_eq!(names(&requests), [TAKEN], "nothing starts a third one meanwhile");
        requests.hand_back();
        assert_eq!(names(&requests), [REQUEST_FILE]);
        requests.settle().expect("the third looks");
        assert_eq!(names(&requests), [SETTLED], "what came before it looked is answered");
    }

    #[test]
    fn whatever_lies_there_starts_one_run_and_not_the_next() {
        let obstacles: [fn(&Path); 5] = [
            |path| fs::create_dir(path).expect("a folder"),
            |path| fs::create_dir_all(path.join("a/b")).expect("a tree"),
            |path| symlink("/etc/passwd", path).expect("a link"),
            |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe"),
            |path| fs::write(path, "content").expect("a file"),
        ];
        for (first, make) in obstacles.iter().enumerate() {
            for (second, make_other) in obstacles.iter().enumerate() {
                let (_scratch, requests) = scratch();
                for name in [TAKEN, SETTLED] {
                    make_other(&requests.path(name));
                }
                for _ in 0..3 {
                    make(&requests.path(REQUEST_FILE));
                    requests.settle().unwrap_or_else(|stays| panic!("{first} {second}: {stays}"));
                    requests.hand_back();
                    let left = names(&requests);
                    assert!(
                        !left.iter().any(|name| name == REQUEST_FILE || name == TAKEN),
                        "{first} {second}: {left:?}"
                    );
                }
            }
        }
        assert!(fs::metadata("/etc/passwd").is_ok());
    }

    #[test]
    fn what_cannot_be_taken_away_is_named_with_the_remedy() {
        let no_folder = tempfile::NamedTempFile::new().expect("a file");
        let requests = Requests(no_folder.path().to_owned());
        requests.leave();
        let stays = requests.settle().expect_err("it lies below a file").to_string();
        assert!(stays.contains("remove it") && stays.contains(REQUEST_FILE), "{stays}");
    }

    #[test]
    fn each_step_of_a_request_has_its_time_and_a_new_folder_has_none() {
        let (_scratch, requests) = scratch();
        assert_eq!(requests.asked_at(), None);
        let mut times = Vec::new();
        let take = |requests: &Requests| requests.take().expect("taken");
        let settle = |requests: &Requests| requests.settle().expect("settled");
        for step in [Requests::leave, take, settle] {
            step(&requests);
            times.extend(requests.asked_at());
            std::thread::sleep(std::time::Duration::from_millis(20)); // more than the file system's clock ticks
        }
        assert!(times.len() == 3 && times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    }
}

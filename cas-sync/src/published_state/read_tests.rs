use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::unistd::{Uid, mkfifo};

use super::*;

const STATE: &str = r#"{"schema":1,"user":"alice","at_ms":1,"status":"OK","text":"fine","exit_code":0}"#;

struct Bed {
    scratch: tempfile::TempDir,
}

impl Bed {
    fn with(names: &[&str]) -> Self {
        let bed = Self { scratch: tempfile::tempdir().expect("a scratch directory") };
        fs::create_dir_all(bed.path("enrolled")).expect("a folder");
        for name in names {
            fs::write(bed.path("enrolled").join(name), "").expect("a marker");
            fs::create_dir_all(bed.folder(name)).expect("a folder");
        }
        fs::write(bed.path("passwd"), "root:x:0:0::/root:/bin/sh\n").expect("a list");
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.path(USERS_DIR).join(name)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder(name).join(FILE_NAME)
    }

    fn found(&self, name: &str) -> PublishedEntry {
        let all = read_all(self.scratch.path(), &self.path("passwd")).expect("readable");
        all.into_iter().find(|person| person.name == name).expect("enrolled").found
    }

    #[track_caller]
    fn assert_unreadable(&self, name: &str, why: &str) {
        assert_eq!(self.found(name), PublishedEntry::Unreadable(why.to_owned()), "{name}");
    }
}

#[test]
fn everybody_who_is_enrolled_is_there_and_nobody_else() {
    let bed = Bed::with(&["bob", "alice"]);
    fs::write(bed.file("alice"), STATE).expect("a state");
    fs::create_dir(bed.folder("former")).expect("a folder");
    fs::write(bed.path("enrolled/carol"), "").expect("a marker");
    let all = read_all(bed.scratch.path(), &bed.path("passwd")).expect("readable");
    assert_eq!(all.iter().map(|person| person.name.as_str()).collect::<Vec<_>>(), ["alice", "bob", "carol"]);
    assert!(matches!(&all[0].found, PublishedEntry::Standing(standing) if standing.text == "fine"));
    assert_eq!((&all[1].found, &all[2].found), (&PublishedEntry::Nothing, &PublishedEntry::Nothing));
    fs::remove_dir_all(bed.path(USERS_DIR)).expect("removed");
    assert_eq!(bed.found("alice"), PublishedEntry::Nothing, "no service ever ran");
}

#[test]
fn a_machine_on_which_nobody_was_ever_enrolled_says_so() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    assert!(read_all(scratch.path(), Path::new("/etc/passwd")).is_err());
}

#[test]
fn what_is_no_file_is_neither_followed_nor_waited_for() {
    let bed = Bed::with(&["fifo", "link", "folder", "socket", "outside"]);
    fs::write(bed.path("elsewhere"), STATE).expect("a state");
    mkfifo(&bed.file("fifo"), Mode::S_IRWXU).expect("a FIFO");
    symlink(bed.path("elsewhere"), bed.file("link")).expect("a link");
    fs::create_dir(bed.file("folder")).expect("a folder");
    let _socket = UnixListener::bind(bed.file("socket")).expect("a socket");
    bed.assert_unreadable("fifo", "it is no regular file");
    bed.assert_unreadable("link", "it is a link");
    bed.assert_unreadable("folder", "it is no regular file");
    bed.assert_unreadable("socket", "it is no regular file");
    fs::remove_dir(bed.folder("outside")).expect("removed");
    symlink(bed.folder("link"), bed.folder("outside")).expect("a link");
    bed.assert_unreadable("outside", "the folder is none");
}

#[test]
fn what_is_too_large_or_too_deep_or_no_state_is_named() {
    let bed = Bed::with(&["huge", "large", "deep", "torn", "whole"]);
    File::create(bed.file("huge")).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    fs::write(bed.file("large"), format!("{STATE}{}", " ".repeat(LIMIT + 1 - STATE.len()))).expect("a file");
    fs::write(bed.file("deep"), "[".repeat(LIMIT)).expect("a file");
    fs::write(bed.file("torn"), &STATE[..40]).expect("a file");
    fs::write(bed.file("whole"), format!("{STATE}{}", " ".repeat(LIMIT - STATE.len()))).expect("a file");
    bed.assert_unreadable("huge", "it is larger than 64 KiB");
    bed.assert_unreadable("large", "it is larger than 64 KiB");
    bed.assert_unreadable("deep", "it is no JSON");
    bed.assert_unreadable("torn", "it is no JSON");
    assert!(matches!(bed.found("whole"), PublishedEntry::Standing(_)));
}

/// Only root can give files away.
#[test]
fn a_second_name_of_somebody_elses_file_is_not_read() {
    if !Uid::effective().is_root() {
        eprintln!("SKIPPED: only root can give files away; run the tests as root");
        return;
    }
    let bed = Bed::with(&["mallory", "alice"]);
    for (name, uid) in [("mallory", 61_001), ("alice", 61_002)] {
        chown(bed.folder(name), Some(uid), Some(uid)).expect("given");
    }
    fs::write(bed.file("alice"), STATE).expect("a state");
    chown(bed.file("alice"), Some(61_002), None).expect("given");
    fs::hard_link(bed.file("alice"), bed.file("mallory")).expect("a second name");
    assert!(matches!(bed.found("alice"), PublishedEntry::Standing(_)));
    bed.assert_unreadable("mallory", "it belongs to user id 61002, and not to 61001");
}

#[test]
fn a_user_id_that_went_to_somebody_else_speaks_for_nobody() {
    let bed = Bed::with(&["alice"]);
    fs::write(bed.file("alice"), STATE).expect("a state");
    let own = Uid::effective().as_raw();
    fs::write(bed.path("passwd"), format!("alice:x:{own}:0::/:\nbob:x:77:0::/:\nbroken\n:::\n"))
        .expect("a list");
    assert!(matches!(bed.found("alice"), PublishedEntry::Standing(_)));
    fs::write(bed.path("passwd"), format!("alice:x:61003:0::/:\nbob:x:{own}:0::/:\n")).expect("a list");
    bed.assert_unreadable(
        "alice",
        &format!("the folder belongs to user id {own}, and alice is 61003: `cas-sync enroll alice`"),
    );
}

#[test]
fn a_file_that_may_not_be_opened_is_named() {
    let bed = Bed::with(&["alice"]);
    fs::write(bed.file("alice"), STATE).expect("a state");
    fs::set_permissions(bed.file("alice"), Permissions::from_mode(0o000)).expect("a mode");
    match (Uid::effective().is_root(), bed.found("alice")) {
        (true, PublishedEntry::Standing(_)) => (),
        (false, PublishedEntry::Unreadable(why)) => assert!(why.starts_with("it cannot be opened"), "{why}"),
        (_, found) => panic!("{found:?}"),
    }
}

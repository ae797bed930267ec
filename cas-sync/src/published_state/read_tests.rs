use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;

const STATE: &str = r#"{"schema":1,"user":"alice","at_ms":1,"status":"OK","text":"fine","exit_code":0}"#;

struct Bed {
    scratch: tempfile::TempDir,
}

impl Bed {
    fn with(names: &[&str]) -> Self {
        let bed = Self { scratch: tempfile::tempdir().expect("a scratch directory") };
        for directory in ["enrolled", PUBLISHED_DIR] {
            fs::create_dir(bed.path(directory)).expect("a directory");
        }
        for name in names {
            fs::write(bed.path("enrolled").join(name), "").expect("a marker");
        }
        let own = Uid::effective();
        let lines = names.iter().chain(&["carol"]).map(|name| format!("{name}:x:{own}:0::/:\n"));
        fs::write(bed.path("passwd"), lines.collect::<String>()).expect("a list");
        bed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path(PUBLISHED_DIR).join(name)
    }

    fn publish(&self, name: &str, record: &Record) {
        fs::write(self.file(name), record.to_bytes()).expect("a state");
    }

    fn publish_own(&self, name: &str) {
        self.publish(name, &Record::from_state(Uid::effective().as_raw(), STATE.as_bytes()));
    }

    fn accounts(&self) -> Accounts {
        let directory = [("removed", None)];
        Accounts::from_parts(&fs::read(self.path("passwd")).expect("a list"), &directory)
    }

    fn found(&self, name: &str) -> PublishedEntry {
        let all = read_all(self.scratch.path(), |_| self.accounts()).expect("readable");
        all.into_iter().find(|person| person.name == name).expect("enrolled").found
    }

    #[track_caller]
    fn assert_unreadable(&self, name: &str, why: &str) {
        let found = self.found(name);
        assert!(
            matches!(&found, PublishedEntry::Unreadable(said) if said.contains(why)),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn everybody_who_is_enrolled_is_there_and_nobody_else() {
    let bed = Bed::with(&["bob", "alice"]);
    bed.publish_own("alice");
    bed.publish_own("former");
    fs::write(bed.path("enrolled/carol"), "").expect("a marker");
    let all = read_all(bed.scratch.path(), |_| bed.accounts()).expect("readable");
    assert_eq!(all.iter().map(|person| person.name.as_str()).collect::<Vec<_>>(), ["alice", "bob", "carol"]);
    assert!(matches!(&all[0].found, PublishedEntry::Standing(standing) if standing.text == "fine"));
    assert_eq!((&all[1].found, &all[2].found), (&PublishedEntry::Nothing, &PublishedEntry::Nothing));
    fs::remove_dir_all(bed.path(PUBLISHED_DIR)).expect("removed");
    assert_eq!(bed.found("alice"), PublishedEntry::Nothing, "no service ever ran");
}

#[test]
fn a_machine_on_which_nobody_was_ever_enrolled_says_so() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    assert!(read_all(scratch.path(), |_| Accounts::default()).is_err());
}

#[test]
fn reason_for_an_unpublished_state_is_shown() {
    let bed = Bed::with(&["alice"]);
    bed.publish("alice", &Record::unreadable(Uid::effective().as_raw(), "state.json is a FIFO\u{1b}[2J"));
    assert_eq!(bed.found("alice"), PublishedEntry::Unreadable("state.json is a FIFO?[2J".into()));
}

#[test]
fn file_that_root_did_not_write_is_rejected() {
    let bed = Bed::with(&["fifo", "link", "directory", "huge", "torn", "shared", "no-uid"]);
    mkfifo(&bed.file("fifo"), Mode::S_IRWXU).expect("a FIFO");
    bed.publish_own("elsewhere");
    symlink(bed.file("elsewhere"), bed.file("link")).expect("a link");
    fs::create_dir(bed.file("directory")).expect("a directory");
    File::create(bed.file("huge")).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    fs::write(bed.file("torn"), &STATE[..40]).expect("a file");
    fs::write(bed.file("no-uid"), STATE).expect("a file");
    bed.publish_own("shared");
    fs::set_permissions(bed.file("shared"), Permissions::from_mode(0o622)).expect("a mode");
    for name in ["fifo", "link", "directory"] {
        bed.assert_unreadable(name, "regular file");
    }
    bed.assert_unreadable("huge", "larger than");
    bed.assert_unreadable("torn", "damaged");
    bed.assert_unreadable("shared", "written by others");
    bed.assert_unreadable("no-uid", "does not name the user");
}

/// Only root can give files away.
#[test]
fn file_of_another_owner_is_rejected() {
    if !Uid::effective().is_root() {
        eprintln!("SKIPPED: only root can give files away; run the tests as root");
        return;
    }
    let bed = Bed::with(&["mallory"]);
    bed.publish_own("mallory");
    chown(bed.file("mallory"), Some(61_001), None).expect("given");
    bed.assert_unreadable("mallory", "belongs to user id 61001");
}

#[test]
fn a_user_id_that_went_to_somebody_else_speaks_for_nobody() {
    let bed = Bed::with(&["alice"]);
    bed.publish_own("alice");
    let own = Uid::effective().as_raw();
    assert!(matches!(bed.found("alice"), PublishedEntry::Standing(_)));
    // Enrolled for the uid that is bob's now, whatever was published.
    fs::create_dir(bed.path("identities")).expect("a directory");
    fs::write(bed.path("identities/alice"), format!("{own}\n")).expect("bound");
    fs::write(bed.path("passwd"), format!("alice:x:61003:0::/:\nbob:x:{own}:0::/:\n")).expect("a list");
    assert!(
        matches!(bed.found("alice"), PublishedEntry::Gone(why) if why.contains("its account has uid 61003"))
    );
    // Adopted: what was published is still of the account before.
    fs::write(bed.path("identities/alice"), "61003\n").expect("bound");
    bed.assert_unreadable("alice", &format!("it was published for user id {own}, and alice is 61003"));
}

#[test]
fn what_a_removed_account_published_is_not_read() {
    let bed = Bed::with(&["removed", "unknown"]);
    for name in ["removed", "unknown"] {
        bed.publish_own(name);
    }
    fs::write(bed.path("passwd"), "root:x:0:0::/:\n").expect("a list");
    assert!(
        matches!(bed.found("removed"), PublishedEntry::Gone(why) if why.starts_with("the account was removed"))
    );
    bed.assert_unreadable("unknown", "the directory does not say which account that is");
}

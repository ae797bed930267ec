use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;

const STATE: &str = r#"{"schema":1,"user":"alice","at_ms":1,"status":"OK","text":"fine","exit_code":0}"#;

struct Fixture {
    scratch: tempfile::TempDir,
}

impl Fixture {
    fn with(names: &[&str]) -> Self {
        let fixture = Self { scratch: tempfile::tempdir().expect("a scratch directory") };
        for directory in ["enrolled", PUBLISHED_DIR] {
            fs::create_dir(fixture.path(directory)).expect("a directory");
        }
        for name in names {
            fs::write(fixture.path("enrolled").join(name), "").expect("a marker");
        }
        let own = Uid::effective();
        let lines = names.iter().chain(&["carol"]).map(|name| format!("{name}:x:{own}:0::/:\n"));
        fs::write(fixture.path("passwd"), lines.collect::<String>()).expect("a list");
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path(PUBLISHED_DIR).join(name)
    }

    fn publish(&self, name: &str, record: &PublishedRecord) {
        fs::write(self.file(name), record.to_bytes()).expect("a state");
    }

    fn publish_own(&self, name: &str) {
        self.publish(name, &PublishedRecord::from_state(Uid::effective().as_raw(), STATE.as_bytes()));
    }

    fn accounts(&self) -> Accounts {
        let directory = [("removed", None)];
        Accounts::from_parts(&fs::read(self.path("passwd")).expect("a list"), &directory)
    }

    fn found(&self, name: &str) -> PublishedEntry {
        let all = read_all(self.scratch.path(), |_| self.accounts()).expect("readable");
        all.into_iter().find(|user| user.name == name).expect("enrolled").found
    }

    #[track_caller]
    fn assert_unreadable(&self, name: &str, why: &str) {
        let found = self.found(name);
        assert!(
            matches!(&found, PublishedEntry::Unreadable(reason) if reason.contains(why)),
            "{name}: {found:?}"
        );
    }
}

#[test]
fn exactly_the_enrolled_users_are_listed() {
    let fixture = Fixture::with(&["bob", "alice"]);
    fixture.publish_own("alice");
    fixture.publish_own("former");
    fs::write(fixture.path("enrolled/carol"), "").expect("a marker");
    let all = read_all(fixture.scratch.path(), |_| fixture.accounts()).expect("readable");
    assert_eq!(all.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["alice", "bob", "carol"]);
    assert!(matches!(&all[0].found, PublishedEntry::Known(report) if report.text == "fine"));
    assert_eq!((&all[1].found, &all[2].found), (&PublishedEntry::Nothing, &PublishedEntry::Nothing));
    fs::remove_dir_all(fixture.path(PUBLISHED_DIR)).expect("removed");
    assert_eq!(fixture.found("alice"), PublishedEntry::Nothing, "no service has run");
}

#[test]
fn missing_enrollment_directory_is_an_error() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    assert!(read_all(scratch.path(), |_| Accounts::default()).is_err());
}

#[test]
fn reason_of_an_unreadable_state_is_shown() {
    let fixture = Fixture::with(&["alice"]);
    fixture.publish(
        "alice",
        &PublishedRecord::unreadable(Uid::effective().as_raw(), "state.json is a FIFO\u{1b}[2J"),
    );
    assert_eq!(fixture.found("alice"), PublishedEntry::Unreadable("state.json is a FIFO?[2J".into()));
}

#[test]
fn file_that_root_did_not_write_is_rejected() {
    let fixture = Fixture::with(&["fifo", "link", "directory", "huge", "torn", "shared", "no-uid"]);
    mkfifo(&fixture.file("fifo"), Mode::S_IRWXU).expect("a FIFO");
    fixture.publish_own("elsewhere");
    symlink(fixture.file("elsewhere"), fixture.file("link")).expect("a link");
    fs::create_dir(fixture.file("directory")).expect("a directory");
    File::create(fixture.file("huge")).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    fs::write(fixture.file("torn"), &STATE[..40]).expect("a file");
    fs::write(fixture.file("no-uid"), STATE).expect("a file");
    fixture.publish_own("shared");
    fs::set_permissions(fixture.file("shared"), Permissions::from_mode(0o622)).expect("a mode");
    for name in ["fifo", "link", "directory"] {
        fixture.assert_unreadable(name, "regular file");
    }
    fixture.assert_unreadable("huge", "larger than");
    fixture.assert_unreadable("torn", "damaged");
    fixture.assert_unreadable("shared", "written by others");
    fixture.assert_unreadable("no-uid", "does not name its user");
}

/// Only root can change the owner of a file.
#[test]
fn file_of_another_owner_is_rejected() {
    if !Uid::effective().is_root() {
        eprintln!("SKIPPED: only root can change the owner of a file; run the tests as root");
        return;
    }
    let fixture = Fixture::with(&["mallory"]);
    fixture.publish_own("mallory");
    chown(fixture.file("mallory"), Some(61_001), None).expect("another owner");
    fixture.assert_unreadable("mallory", "belongs to user id 61001");
}

#[test]
fn state_published_for_another_uid_is_rejected() {
    let fixture = Fixture::with(&["alice"]);
    fixture.publish_own("alice");
    let own = Uid::effective().as_raw();
    assert!(matches!(fixture.found("alice"), PublishedEntry::Known(_)));
    // The name was enrolled for the uid that bob has now.
    fs::create_dir(fixture.path("identities")).expect("a directory");
    fs::write(fixture.path("identities/alice"), format!("{own}\n")).expect("bound");
    fs::write(fixture.path("passwd"), format!("alice:x:61003:0::/:\nbob:x:{own}:0::/:\n")).expect("a list");
    assert!(
        matches!(fixture.found("alice"), PublishedEntry::AccountMissing(why) if why.contains("its account has uid 61003"))
    );
    // After --adopt, the published state still belongs to the former account.
    fs::write(fixture.path("identities/alice"), "61003\n").expect("bound");
    fixture.assert_unreadable("alice", &format!("it was published for user id {own}, and alice is 61003"));
}

#[test]
fn state_of_a_removed_account_is_not_read() {
    let fixture = Fixture::with(&["removed", "unknown"]);
    for name in ["removed", "unknown"] {
        fixture.publish_own(name);
    }
    fs::write(fixture.path("passwd"), "root:x:0:0::/:\n").expect("a list");
    assert!(
        matches!(fixture.found("removed"), PublishedEntry::AccountMissing(why) if why.starts_with("the account was removed"))
    );
    fixture.assert_unreadable("unknown", "the directory service does not report the account");
}

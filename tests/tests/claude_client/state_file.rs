//! What the real clients do with an invalid `~/.claude.json`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use cas_tests::claude_client::{ClaudeFixture, ClaudeUser, NEWEST, OLDER};

use super::LIMIT;

/// The client that the credential files were recorded with.
const LATEST: &str = "2.1.332";

/// What the client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reaction {
    /// It exits with 1 and names the file and the command that restores its newest copy. The file
    /// stays.
    Refuses,
    /// It exits with 1 as above, and replaces the file.
    RefusesOnce,
    /// It answers, and replaces the file by a new one.
    Replaces,
    /// It answers, and the file stays.
    Ignores,
}

/// Damages a file that the client has written.
type Damage = fn(&Path);

fn put(path: &Path, content: &[u8]) {
    fs::write(path, content).expect("written");
}

fn damages(version: &str) -> Vec<(&'static str, Damage, Reaction)> {
    let refuses = if version == OLDER { Reaction::RefusesOnce } else { Reaction::Refuses };
    vec![
        ("empty", |path| put(path, b""), refuses),
        ("torn", |path| put(path, b"{"), refuses),
        ("stray bytes", |path| put(path, b"\0\xff\xfe"), refuses),
        (
            "bytes behind the object",
            |path| put(path, &[fs::read(path).expect("there"), b"}".to_vec()].concat()),
            refuses,
        ),
        ("array", |path| put(path, b"[]"), Reaction::Replaces),
        ("null", |path| put(path, b"null"), Reaction::Replaces),
        (
            "byte order mark",
            |path| put(path, &["\u{feff}".as_bytes(), &fs::read(path).expect("there")].concat()),
            Reaction::Ignores,
        ),
        (
            "directory",
            |path| {
                fs::remove_file(path).expect("removed");
                fs::create_dir(path).expect("a directory");
            },
            Reaction::Ignores,
        ),
        (
            "no permission",
            |path| fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("a mode"),
            Reaction::Replaces,
        ),
    ]
}

#[test]
fn latest_client_with_an_invalid_state_file_reacts_as_documented() {
    check(LATEST);
}

#[test]
fn client_with_an_invalid_state_file_reacts_as_documented() {
    check(NEWEST);
}

#[test]
fn older_client_with_an_invalid_state_file_reacts_as_documented() {
    check(OLDER);
}

#[track_caller]
fn check(version: &str) {
    let fixture = ClaudeFixture::with_version(version).unwrap_or_else(|error| panic!("{error}"));
    for (index, (case, damage, expected)) in damages(version).into_iter().enumerate() {
        let user = fixture.create_user(&format!("user{index}")).expect("a user");
        user.sign_in().expect("signed in");
        assert!(user.claude().run(LIMIT).expect("an end").answered(), "{version}");
        assert_eq!(reaction(&user, damage), expected, "{version}, {case}");
    }
}

fn reaction(user: &ClaudeUser<'_>, damage: Damage) -> Reaction {
    let path = user.home().join(".claude.json");
    let backups = user.list_directory(".claude/backups").expect("the copies of the client");
    let is_backup = |name: &&String| name.starts_with(".claude.json.backup.");
    let newest = backups.iter().rfind(is_backup).expect("a copy").clone();
    damage(&path);
    chown(&path, Some(user.uid()), Some(user.uid())).expect("owned by the user");
    let before = fs::read(&path).ok();
    let output = user.claude().run(LIMIT).expect("an end");
    let is_changed = fs::read(&path).ok() != before;
    if output.answered() {
        assert_eq!(output.exit_code, Some(0), "{}", output.stderr);
        return if is_changed { Reaction::Replaces } else { Reaction::Ignores };
    }
    assert_eq!(output.exit_code, Some(1), "{}", output.stderr);
    for part in ["Configuration error in ", "is corrupted", &newest] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
    let after = user.list_directory(".claude/backups").expect("the copies of the client");
    assert!(after.iter().any(|name| name.starts_with(".claude.json.corrupted.")), "{after:?}");
    if is_changed { Reaction::RefusesOnce } else { Reaction::Refuses }
}

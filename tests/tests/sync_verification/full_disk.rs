//! Homes without space: the result of a refresh there is lost, so none is started.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use cas_tests::anthropic::RefreshAnswer;
use cas_tests::claude_client::{NEWEST, OLDER};

use super::*;

/// The remedy for a full disk.
const FREE_SPACE: &str = "free space";

/// Records whether a client was started.
struct Trace(PathBuf);

impl Trace {
    fn trace_clients(fixture: &ClaudeFixture) -> Self {
        let path = fixture.client().with_file_name("started");
        fs::write(&path, "").expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("writable by all");
        let script = format!("echo started >>{}\nexec \"$claude\" \"$@\"", path.display());
        fixture.wrap_client(&script).expect("a wrapper");
        Self(path)
    }

    fn starts(&self) -> usize {
        fs::read_to_string(&self.0).expect("still there").lines().count()
    }
}

/// Signs in with a login whose access token has expired, and whose generation was recorded in the
/// ledger while there was space.
fn sign_in_with_known_expired_login(fixture: &ClaudeFixture, user: &ClaudeUser<'_>) -> Login {
    let login = sign_in(fixture, user, -1);
    fixture.anthropic().answer_refreshes(RefreshAnswer::InternalError);
    sync(user);
    fixture.anthropic().answer_refreshes(RefreshAnswer::Rotate);
    fixture.anthropic().forget_requests();
    login
}

#[test]
fn full_disk_prevents_the_refresh() {
    // The second time the client's own state needs more than the free space, because the client
    // copies it first.
    for (room, own_state) in [(0, 0), (60, 0), (300, 400)] {
        let fixture = fixture();
        let alice = fixture.user_with_own_disk("alice").expect("alice");
        if own_state > 0 {
            alice.write_client_state(own_state).expect("written");
        }
        let login = sign_in_with_known_expired_login(&fixture, &alice);
        alice.fill_disk_except(room).expect("filled");
        let (names, trace) =
            (alice.list_directory(".claude").expect("a directory"), Trace::trace_clients(&fixture));

        let output = assert_obstructed(&alice, FREE_SPACE);

        assert_eq!(
            (trace.starts(), fixture.anthropic().requests().len()),
            (0, 0),
            "{room} KiB: {}",
            output.stdout
        );
        assert_eq!(alice.list_directory(".claude").expect("a directory"), names, "{room} KiB");
        assert_eq!(oauth(&alice)["refreshToken"], login.refresh_token);

        alice.empty_disk().expect("room again");
        let output = sync(&alice);
        assert_eq!((output.exit_code, refreshes(&fixture)), (OK_MESSAGE, 1), "{room} KiB: {}", output.stdout);
        assert_ne!(oauth(&alice)["refreshToken"], login.refresh_token);
    }
}

#[test]
fn rejected_login_is_not_refreshed_on_a_full_disk() {
    let fixture = fixture();
    let alice = fixture.user_with_own_disk("alice").expect("alice");
    let login = sign_in(&fixture, &alice, 8);
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
    assert!(fixture.anthropic().expire(&login.family));
    alice.fill_disk_except(0).expect("full");
    let output = sync(&alice);
    assert_eq!((output.exit_code, refreshes(&fixture)), (FAILED, 0), "{}", output.stdout);
    assert!(output.stdout.starts_with("FAIL ") && output.stdout.contains(FREE_SPACE), "{}", output.stdout);
    alice.empty_disk().expect("room again");
    let output = sync(&alice);
    assert_eq!((output.exit_code, refreshes(&fixture)), (OK_MESSAGE, 1), "{}", output.stdout);
}

#[test]
fn disk_with_just_enough_space_loses_no_login() {
    for (version, own_state) in [(NEWEST, 0), (NEWEST, 400), (OLDER, 0), (OLDER, 400)] {
        let fixture = fixture_with(version);
        let alice = fixture.user_with_own_disk("alice").expect("alice");
        let login = sign_in_with_known_expired_login(&fixture, &alice);
        if own_state > 0 {
            alice.write_client_state(own_state).expect("written");
        }
        // The minimum space with which the sync starts a client.
        let mut room = 0;
        while refreshes(&fixture) == 0 {
            assert!(room < 2000, "{version}: nothing is ever enough");
            alice.empty_disk().ok();
            alice.fill_disk_except(room).expect("filled");
            sync(&alice);
            room += 32;
        }
        assert_eq!(refreshes(&fixture), 1, "{version}, {own_state}");
        let new = oauth(&alice)["refreshToken"].as_str().expect("a token").to_owned();
        assert!(
            !new.is_empty() && new != login.refresh_token && has_sibling(&alice),
            "{version}, {own_state}"
        );
    }
}

#[test]
fn unwritable_directory_is_named() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    sign_in_with_known_expired_login(&fixture, &alice);
    let trace = Trace::trace_clients(&fixture);
    let folder = alice.home().join(".claude");
    fs::set_permissions(&folder, Permissions::from_mode(0o500)).expect("a mode");
    let output = assert_obstructed(&alice, "owned by the user and writable");
    assert_eq!((trace.starts(), refreshes(&fixture)), (0, 0), "{}", output.stdout);
}

/// A refresh whose result cannot replace the file would log the user out.
#[test]
fn immutable_login_file_prevents_the_refresh() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    let login = sign_in_with_known_expired_login(&fixture, &alice);
    let trace = Trace::trace_clients(&fixture);
    let file = alice.credentials_file();
    for path in [file.clone(), alice.home().join(".claude")] {
        let change = |attribute: &str| {
            let changed = Command::new("chattr").arg(attribute).arg(&path).status().expect("chattr");
            assert!(changed.success(), "chattr {attribute}");
        };
        change("+i");
        let before = file_states(&alice);
        let output = sync(&alice);
        let after = file_states(&alice);
        change("-i");
        assert_eq!((output.exit_code, before == after), (FAILED, true), "{}", output.stdout);
        assert!(
            output.stdout.starts_with("FAIL ") && output.stdout.contains("chattr -ia"),
            "{}",
            output.stdout
        );
        assert_eq!((trace.starts(), refreshes(&fixture)), (0, 0), "{}", output.stdout);
    }
    let output = sync(&alice);
    assert_eq!((output.exit_code, refreshes(&fixture)), (OK_MESSAGE, 1), "{}", output.stdout);
    assert_ne!(oauth(&alice)["refreshToken"], login.refresh_token);
}

#[test]
fn oversized_client_state_is_named_and_no_client_started() {
    let fixture = fixture();
    let alice = fixture.create_user("alice").expect("alice");
    sign_in_with_known_expired_login(&fixture, &alice);
    let trace = Trace::trace_clients(&fixture);
    let state = alice.home().join(".claude.json");
    fs::remove_file(&state).expect("a client has left one");
    nix::unistd::mkfifo(&state, nix::sys::stat::Mode::from_bits_truncate(0o666)).expect("a FIFO");
    assert_nothing_written(
        &alice,
        TRY_LATER,
        "the user's .claude.json is not a regular file of at most 64 MiB",
    );
    fs::remove_file(&state).expect("removed");
    fs::File::create(&state).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    assert_nothing_written(&alice, TRY_LATER, "remove old projects from it");
    assert_eq!((trace.starts(), refreshes(&fixture)), (0, 0));
    fs::remove_file(&state).expect("removed");
    assert_eq!((sync(&alice).exit_code, refreshes(&fixture)), (OK_MESSAGE, 1));
}

//! A home that fscrypt(1) encrypts, before the first login: no file in it has its name.

use cas_tests::wait_until;
use cas_tests::watcher::Process;

use super::*;

#[test]
fn locked_home_is_named_and_its_login_is_not_taken_for_lost() {
    let fixture = fixture();
    let (alice, home) = fixture.user_with_encrypted_home("alice").expect("an encrypted home");
    let login = sign_in(&fixture, &alice, 8);
    let output = sync(&alice);
    assert_eq!(output.exit_code, OK_MESSAGE, "{}{}", output.stdout, output.stderr);

    home.lock().expect("locked");
    let entries = alice.list_directory("").expect("a directory").len();
    let cause = "is encrypted and its key is not available";
    for (arguments, exit_code) in [
        (["run"].as_slice(), OK_MESSAGE),
        (&["check"], TRY_LATER),
        (&["verify"], TRY_LATER),
        (&["backup"], TRY_LATER),
        (&["restore", "--list"], TRY_LATER),
        (&["status"], FAILED),
        (&["doctor"], FAILED),
    ] {
        let output = alice.sync().arguments(arguments).run(LIMIT).unwrap_or_else(|error| panic!("{error}"));
        let text = format!("{}{}", output.stdout, output.stderr);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(cause) && words.contains("log in, which unlocks it"), "{arguments:?}: {text}");
        assert!(
            !words.contains("cas-sync login") && !words.contains("move it away"),
            "{arguments:?}: {text}"
        );
        assert_eq!(output.exit_code, exit_code, "{arguments:?}: {text}");
    }
    let output = alice.login().run(LIMIT).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((output.exit_code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    assert_eq!(alice.list_directory("").expect("a directory").len(), entries, "nothing was created");

    home.unlock().expect("unlocked");
    let file = alice.credentials().expect("a file");
    assert_eq!(file["claudeAiOauth"]["refreshToken"], login.refresh_token.as_str());
    let output = sync(&alice);
    assert_eq!(output.exit_code, OK_MESSAGE, "{}{}", output.stdout, output.stderr);
}

/// A key that becomes available changes no directory.
#[test]
fn watcher_that_started_in_a_locked_home_restores_after_it_is_unlocked() {
    let fixture = fixture();
    let (alice, home) = fixture.user_with_encrypted_home("alice").expect("an encrypted home");
    let login = sign_in(&fixture, &alice, 8);
    assert_eq!(sync(&alice).exit_code, OK_MESSAGE);
    home.lock().expect("locked");
    let mut watcher = alice.watch().start().expect("a watcher");
    Process::from_pid(watcher.pid()).wait_until_idle();
    assert!(watcher.is_running().expect("a child"), "{}", watcher.stdout());

    home.unlock().expect("unlocked");
    let mut cleared = document(&login, 8);
    for (name, value) in [("accessToken", json!("")), ("refreshToken", json!("")), ("expiresAt", json!(0))] {
        cleared["claudeAiOauth"][name] = value;
    }
    alice.write_credentials(&cleared).expect("a cleared login");
    let is_restored = || {
        let file = alice.credentials().unwrap_or_default();
        file["claudeAiOauth"]["refreshToken"] == login.refresh_token.as_str()
    };
    wait_until("a restored login", is_restored);
    assert!(home.lock().is_err(), "docs/admin/units.md names this limit");
    drop(watcher);
    home.lock().expect("nothing else keeps it open");
}

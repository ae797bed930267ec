//! A home that fscrypt(1) encrypts, before the first login: no file in it has its name.

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

//! `cas-sync logout`: the login is revoked and deleted with its backups, and no sync restores it.

use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_tests::anthropic::{Account, RevokeAnswer};
use cas_tests::claude_client::{NEWEST, OLDER};
use cas_tests::claude_login::parsed;
use cas_tests::openbao::Policy;
use cas_tests::pseudo_terminal::PseudoTerminal;
use cas_tests::test_user::{ENV_FILE, LOGIN, STATE, TestUser};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{assert_no_trace, login, sign_in, unfolded, write_client_state_file};

/// A file of the client, in a format that it would not write, so that every changed byte is
/// detected.
const OWN_STATE: &str =
    "{\n \"numStartups\": 5,\n \"oauthAccount\": {\"emailAddress\": \"a@b.example\"},\n \"last\": 1.50 }\n";
const OWN_STATE_AFTER: &str = "{\n \"numStartups\": 5,\n \"last\": 1.50 }\n";

/// The result of a command: exit status, and both outputs.
struct Ended {
    code: Option<i32>,
    text: String,
}

fn cas_sync(test_user: &TestUser, words: &[&str]) -> Ended {
    let output = test_user.output(test_user.command(&test_user.program("cas-sync"), words));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Ended { code: output.status.code(), text }
}

#[track_caller]
fn assert_ended(test_user: &TestUser, words: &[&str], code: i32, parts: &[&str]) -> String {
    let ended = cas_sync(test_user, words);
    assert_eq!(ended.code, Some(code), "{words:?}: {}", ended.text);
    for part in parts {
        assert!(ended.text.contains(part), "{words:?}, {part}: {}", ended.text);
    }
    ended.text
}

/// Returns a user who has signed in, with a state file of the client, and a backup of the login.
fn signed_in_user(version: &str) -> TestUser {
    let test_user = TestUser::create_with_claude_version(version);
    let (status, screen) = sign_in(&test_user, &["--email", "a@b.example"], Account::personal());
    assert_eq!(status.code(), Some(0), "{screen}");
    add_members(&test_user);
    test_user
}

/// Adds a member of another program to the credential file, and other members to the client's own.
fn add_members(test_user: &TestUser) {
    let mut file = login(test_user);
    file["mcpOAuth"] = json!({ "tracker": { "accessToken": "mcp" } });
    test_user.put(LOGIN, &file.to_string());
    write_client_state_file(test_user, OWN_STATE);
    assert!(test_user.sync().status.success());
    test_user.anthropic().forget_requests();
}

fn revocations(test_user: &TestUser) -> usize {
    test_user.anthropic().requests().iter().filter(|request| request.path.ends_with("/revoke")).count()
}

fn own_state(test_user: &TestUser) -> String {
    String::from_utf8(test_user.read(".claude.json").expect("there")).expect("text")
}

/// Asserts that no sync and no login restores a login, and that both say why.
#[track_caller]
fn assert_not_restored(test_user: &TestUser) {
    let before = test_user.read(LOGIN);
    assert_ended(test_user, &["run"], 0, &["you logged out of Claude Code"]);
    assert_ended(test_user, &["status"], 79, &["you logged out of Claude Code"]);
    assert_eq!(test_user.read(LOGIN), before);
}

#[track_caller]
fn assert_no_token_left(test_user: &TestUser) {
    for (name, (_, content)) in test_user.all_files() {
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains("sk-ant-ort01") && !text.contains("sk-ant-oat01"), "{name}: {text}");
    }
}

#[test]
fn logout_revokes_and_deletes_the_login_and_its_backups() {
    for (version, policy) in [(NEWEST, Policy::Patch), (OLDER, Policy::Update)] {
        let test_user = TestUser::create_with_claude_version(version);
        let bao = test_user.bao();
        let vault_user = test_user.use_store(&bao, policy);
        vault_user.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
        let (status, screen) = sign_in(&test_user, &["--email", "a@b.example"], Account::personal());
        assert_eq!(status.code(), Some(0), "{version}: {screen}");
        add_members(&test_user);
        let access = login(&test_user)["claudeAiOauth"]["accessToken"].take();
        let before = (test_user.all_files(), vault_user.fields());

        assert_ended(&test_user, &["logout"], 2, &["without a terminal", "--yes"]);
        bao.seal();
        assert_ended(
            &test_user,
            &["logout", "--yes"],
            75,
            &["store", "nothing was changed", "--keep-backups"],
        );
        bao.unseal();
        assert_eq!((test_user.all_files(), vault_user.fields()), before, "{version}");

        let parts = [
            "Your login was revoked, and deleted",
            "history and in the store were deleted",
            "OK you logged out",
        ];
        assert_ended(&test_user, &["logout", "--yes"], 0, &parts);
        assert_eq!(revocations(&test_user), 1, "{version}");
        assert_eq!(login(&test_user), json!({ "mcpOAuth": { "tracker": { "accessToken": "mcp" } } }));
        assert_eq!(own_state(&test_user), OWN_STATE_AFTER);
        assert_no_token_left(&test_user);
        let fields = vault_user.fields();
        for name in ["claude_ai_oauth_json", "credential_expires_at_ms", "backed_up_machine"] {
            assert_eq!(fields[name], json!(""), "{name}: {fields}");
        }
        assert_eq!(fields["vaultwarden_email"], json!("alice@example.org"));
        assert_not_restored(&test_user);
        assert_no_trace(&test_user);
        let probe = test_user.anthropic().requests().len();
        assert!(!answers(&test_user, access.as_str().expect("a token")), "{version}: the token still works");
        assert!(test_user.anthropic().requests().len() > probe, "the client asked");
        assert_ended(&test_user, &["logout", "--yes"], 0, &["There is no login"]);

        // A new sign-in is backed up and restored as usual.
        let (status, screen) = sign_in(&test_user, &["--email", "a@b.example"], Account::personal());
        assert_eq!(status.code(), Some(0), "{version}: {screen}");
        let signed_in = login(&test_user);
        test_user.remove(LOGIN);
        assert!(test_user.sync().status.success(), "{version}");
        assert_eq!(login(&test_user)["claudeAiOauth"], signed_in["claudeAiOauth"], "{version}");
    }
}

/// Returns true if the real client works with this token.
fn answers(test_user: &TestUser, token: &str) -> bool {
    let arguments = ["-p", "Reply with AUTH_OK.", "--model", "haiku", "--max-turns", "1"];
    let mut command = test_user.command(&test_user.program("claude"), &arguments);
    command.env("HOME", "/tmp").env("TMPDIR", "/tmp").env("CLAUDE_CODE_OAUTH_TOKEN", token);
    command.env("NODE_EXTRA_CA_CERTS", test_user.folder().join("ca.pem"));
    command.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1").env("DISABLE_AUTOUPDATER", "1");
    String::from_utf8_lossy(&test_user.output(command).stdout).contains("AUTH_OK")
}

/// The client reports a success also if the login was not revoked.
#[test]
fn logout_that_is_not_confirmed_says_so() {
    for version in [NEWEST, OLDER] {
        let test_user = signed_in_user(version);
        for answer in [RevokeAnswer::InternalError, RevokeAnswer::Disconnect, RevokeAnswer::Silence] {
            test_user.anthropic().answer_revocations(answer);
            let parts = [
                "Your login was deleted",
                "your login was not revoked",
                "the settings of your Claude account",
            ];
            let text = assert_ended(&test_user, &["logout", "--yes"], 1, &parts);
            assert!(!text.contains("was revoked"), "{version} {answer:?}: {text}");
            assert!(revocations(&test_user) >= 1, "{version}");
            assert!(login(&test_user)["claudeAiOauth"].is_null());
            assert_no_token_left(&test_user);
            assert_not_restored(&test_user);
            assert_no_trace(&test_user);
            test_user.sign_in();
            assert!(test_user.sync().status.success());
            test_user.anthropic().forget_requests();
        }
        test_user.configure("[claude]\nprogram = \"/nonexistent/claude\"\n");
        assert_ended(&test_user, &["logout", "--yes"], 1, &["not revoked", "claude.program"]);
        assert!(login(&test_user)["claudeAiOauth"].is_null());
        assert_no_token_left(&test_user);
    }
}

#[test]
fn file_with_nothing_but_the_login_is_removed() {
    let test_user = signed_in_user(NEWEST);
    let object = login(&test_user)["claudeAiOauth"].take();
    test_user.put(LOGIN, &json!({ "claudeAiOauth": object }).to_string());
    let terminal = |answer: &str| {
        let terminal = test_user.run_at_terminal("cas-sync", &["logout"], 200);
        terminal.wait_for("[y/N]");
        terminal.type_text(answer);
        let (status, screen, echoes) = terminal.end();
        assert!(echoes, "{screen}");
        (status.code(), unfolded(&screen))
    };
    let before = test_user.all_files();
    for no in ["n\n", "\n"] {
        let (code, screen) = terminal(no);
        assert_eq!(code, Some(1), "{screen}");
        assert!(screen.contains("nothing was changed"), "{screen}");
        assert_eq!(test_user.all_files(), before);
    }
    let (code, screen) = terminal("y\n");
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(test_user.read(LOGIN), None);
}

#[test]
fn kept_backups_are_restored_on_request_only() {
    let test_user = signed_in_user(NEWEST);
    let bao = test_user.bao();
    let vault_user = test_user.use_store(&bao, Policy::Patch);
    assert!(test_user.sync().status.success());
    let (signed_in, fields) = (login(&test_user), vault_user.fields());
    bao.seal();
    let text = assert_ended(
        &test_user,
        &["logout", "--yes", "--keep-backups"],
        0,
        &["was not revoked", "cas-sync restore"],
    );
    assert!(!text.contains("backups were deleted"), "{text}");
    bao.unseal();
    assert_eq!((revocations(&test_user), vault_user.fields()), (0, fields));
    assert_eq!(own_state(&test_user), OWN_STATE_AFTER);
    assert_not_restored(&test_user);
    // Also without the client's own file, and if the client clears what is left.
    test_user.remove(".claude.json");
    assert_not_restored(&test_user);

    assert_ended(&test_user, &["restore"], 0, &["restored"]);
    assert_eq!(login(&test_user), signed_in);
    // The user has signed in again by this: a loss is restored.
    test_user.remove(LOGIN);
    assert!(test_user.sync().status.success());
    assert_eq!(login(&test_user)["claudeAiOauth"], signed_in["claudeAiOauth"]);
}

#[test]
fn backup_of_another_machine_and_setup_token_are_kept() {
    const TOKEN: &str = "sk-ant-oat01-in_force";
    let test_user = signed_in_user(NEWEST);
    let bao = test_user.bao();
    let vault_user = test_user.use_store(&bao, Policy::Patch);
    assert!(test_user.sync().status.success());
    let mut fields = vault_user.fields();
    let mut other = parsed(fields["claude_ai_oauth_json"].as_str().expect("a login"));
    other["refreshToken"] = json!("sk-ant-ort01-elsewhere");
    fields["claude_ai_oauth_json"] = json!(other.to_string());
    fields["backed_up_machine"] = json!("elsewhere/0123456789abcdef");
    fields["setup_token"] = json!(TOKEN);
    vault_user.put_document(&fields);
    test_user.anthropic().accept_setup_token(TOKEN);
    test_user.put(ENV_FILE, &format!("CLAUDE_CODE_OAUTH_TOKEN={TOKEN}\n"));
    let parts = ["another machine; it was kept", "A setup token is active", "cas-sync token clear"];
    assert_ended(&test_user, &["logout", "--yes"], 0, &parts);
    assert_eq!(vault_user.fields(), fields);
    assert!(login(&test_user)["claudeAiOauth"].is_null());
    assert!(test_user.read(ENV_FILE).is_some());
    let history = test_user.read(&format!("{STATE}/history.json")).unwrap_or_default();
    assert!(!String::from_utf8_lossy(&history).contains("ort01"));
}

/// The client is in the middle of the revocation.
fn start_logout(test_user: &TestUser) -> PseudoTerminal {
    test_user.anthropic().forget_requests();
    test_user.anthropic().answer_revocations(RevokeAnswer::Silence);
    let terminal = test_user.run_at_terminal("cas-sync", &["logout", "--yes"], 200);
    let deadline = Deadline::after(Duration::from_secs(60));
    let is_revocation = |request: &cas_tests::anthropic::LoggedRequest| request.path.ends_with("/revoke");
    assert!(test_user.anthropic().wait_for(&deadline, is_revocation), "{}", terminal.shown());
    terminal
}

fn signal(terminal: &PseudoTerminal, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(terminal.pid()).expect("a pid")), signal).expect("sent");
}

#[test]
fn interrupted_logout_restores_nothing_and_can_be_repeated() {
    let test_user = signed_in_user(NEWEST);
    let bao = test_user.bao();
    let _vault_user = test_user.use_store(&bao, Policy::Patch);
    assert!(test_user.sync().status.success());
    let signed_in = login(&test_user);
    let terminal = start_logout(&test_user);
    signal(&terminal, Signal::SIGKILL);
    drop(terminal.end());
    assert_eq!(login(&test_user), signed_in, "the login is still there");
    // It is lost now: no backup is restored, although the local history has one.
    let history = test_user.read(&format!("{STATE}/history.json")).expect("a history");
    assert!(String::from_utf8_lossy(&history).contains("ort01"));
    test_user.remove(LOGIN);
    assert_not_restored(&test_user);
    test_user.anthropic().answer_revocations(RevokeAnswer::Revoke);
    assert_ended(&test_user, &["logout", "--yes"], 0, &["local history"]);
    assert_no_token_left(&test_user);
    assert_not_restored(&test_user);
}

#[test]
fn rejected_login_of_an_interrupted_logout_is_not_replaced() {
    let test_user = signed_in_user(NEWEST);
    let signed_in = login(&test_user);
    let terminal = start_logout(&test_user);
    signal(&terminal, Signal::SIGKILL);
    drop(terminal.end());
    // As if the revocation had arrived. The client clears the login when it cannot refresh it.
    assert!(test_user.anthropic().revoke("person-1"), "the login of the sign-in");
    assert_ended(&test_user, &["run"], 0, &["you logged out of Claude Code"]);
    let found = login(&test_user);
    assert_eq!(found["claudeAiOauth"]["refreshToken"], json!(""), "{found}");
    assert_eq!(found["mcpOAuth"], signed_in["mcpOAuth"]);
    test_user.anthropic().answer_revocations(RevokeAnswer::Revoke);
    assert_ended(&test_user, &["logout", "--yes"], 0, &["deleted on this machine"]);
    assert_no_token_left(&test_user);
}

#[test]
fn logout_finishes_after_a_termination_signal() {
    let test_user = signed_in_user(NEWEST);
    let terminal = start_logout(&test_user);
    signal(&terminal, Signal::SIGTERM);
    let (_, screen, _) = terminal.end();
    assert!(unfolded(&screen).contains("Your login was deleted"), "{screen}");
    assert!(login(&test_user)["claudeAiOauth"].is_null());
    assert_no_token_left(&test_user);
    assert_not_restored(&test_user);
}

#[test]
fn login_refreshed_during_a_logout_is_deleted_too() {
    let test_user = signed_in_user(NEWEST);
    let terminal = start_logout(&test_user);
    let refreshed = test_user.anthropic().sign_in("refreshed", Duration::from_secs(8 * 3600));
    let mut file = login(&test_user);
    file["claudeAiOauth"] = refreshed.oauth_object(cas_tests::claude_client::in_hours(8));
    test_user.put(LOGIN, &file.to_string());
    test_user.anthropic().answer_revocations(RevokeAnswer::Revoke);
    let (status, screen, _) = terminal.end();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(login(&test_user)["claudeAiOauth"].is_null());
    assert_no_token_left(&test_user);
    assert!(!answers(&test_user, &refreshed.access_token), "the refreshed login was not revoked");
    assert_not_restored(&test_user);
}

#[test]
fn logout_checks_the_files_before_it_changes_anything() {
    let test_user = signed_in_user(NEWEST);
    write_client_state_file(&test_user, "{torn");
    let before = test_user.all_files();
    assert_ended(
        &test_user,
        &["logout", "--yes"],
        1,
        &[".claude.json is not a JSON object", "nothing was changed"],
    );
    let mut elsewhere = test_user.command(&test_user.program("cas-sync"), &["logout", "--yes"]);
    elsewhere.env("CLAUDE_CREDENTIALS_FILE", test_user.path("login.json"));
    let output = test_user.output(elsewhere);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    let as_root = test_user.command_of_root(&test_user.program("cas-sync"), &["logout", "--yes"]);
    assert_eq!(test_user.output(as_root).status.code(), Some(1));
    assert_eq!(test_user.all_files(), before);
    write_client_state_file(&test_user, OWN_STATE);
    std::os::unix::fs::chown(test_user.path(LOGIN), Some(0), Some(0)).expect("given to root");
    let value: Value = login(&test_user);
    assert_ended(&test_user, &["logout", "--yes"], 1, &["nothing was changed"]);
    assert_eq!(login(&test_user), value);
}

//! Successful sign-ins.

use std::process::Command;

use cas_tests::anthropic::Account;
use cas_tests::claude_client::{NEWEST, OLDER, installed};
use cas_tests::claude_login::cleared_login;
use cas_tests::openbao::Policy;
use cas_tests::test_user::{ENV_FILE, LOGIN, STATE, TestUser};
use serde_json::{Value, json};

use super::{
    CODE, PROMPT, address_in, asked_with, assert_no_trace, login, other_account, sign_in, start_sign_in,
    state_in, write_client_state_file,
};

/// A file of the client, in a format that it would not write, so that every changed byte is
/// detected.
const OWN_STATE: &str = "{\n \"numStartups\": 5,\n \"projects\": {\"/x\": {\"allowedTools\": [1.50]}},\n \"oauthAccount\": {\"emailAddress\": \"alice@example.org\"},\n \"last\": \"\\u00e4\" }\n";

#[test]
fn sign_in_replaces_a_lost_login_and_backs_it_up() {
    for policy in [Policy::Patch, Policy::Update] {
        let test_user = TestUser::create_with_claude();
        let bao = test_user.bao();
        let vault_user = test_user.use_store(&bao, policy);
        vault_user.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
        let lost = cleared_login(&test_user.sign_in());
        test_user.put(LOGIN, &lost);
        write_client_state_file(&test_user, OWN_STATE);
        let (status, screen) = sign_in(&test_user, &[], Account::personal());
        assert_eq!(status.code(), Some(0), "{screen}");
        assert!(
            screen.contains("Signed in as person@example.com") && screen.contains("verified by inference"),
            "{screen}"
        );
        assert!(address_in(&screen).contains("login_hint=alice%40example.org&login_method=sso"), "{screen}");

        let found = login(&test_user);
        let before = cas_tests::claude_login::parsed(&lost);
        let object = &found["claudeAiOauth"];
        assert_eq!(
            (&found["mcpOAuth"], &found["aKeyOfTheFuture"]),
            (&before["mcpOAuth"], &before["aKeyOfTheFuture"])
        );
        assert_eq!(object["refreshToken"], json!("sk-ant-ort01-person-1-1"));
        assert_eq!(
            asked_with(&test_user, object["accessToken"].as_str().expect("a token")),
            1,
            "once for all of it"
        );
        // Backed up and reported like a sync does it.
        let fields = vault_user.fields();
        assert!(
            fields["claude_ai_oauth_json"].as_str().is_some_and(|kept| kept.contains("person-1-1")),
            "{fields}"
        );
        assert_eq!(fields["vaultwarden_email"], json!("alice@example.org"));
        let history = test_user.read(&format!("{STATE}/history.json")).expect("a history");
        assert!(String::from_utf8_lossy(&history).contains("person-1-1"));
        assert!(
            screen.contains("OK login complete") && screen.contains("backed up to the store"),
            "{screen}"
        );
        assert!(test_user.journal().contains("user=alice OK login complete"), "{}", test_user.journal());
        // The client's own file: that one member changes, and no other byte.
        let own = String::from_utf8(test_user.read(".claude.json").expect("there")).expect("text");
        let (start, rest) =
            OWN_STATE.split_once("{\"emailAddress\": \"alice@example.org\"}").expect("a part");
        assert!(own.starts_with(start) && own.ends_with(rest), "{own}");
        let own: Value = serde_json::from_str(&own).expect("JSON");
        assert_eq!(own["oauthAccount"]["emailAddress"], json!("person@example.com"));
        assert_eq!(own["oauthAccount"]["organizationUuid"], json!(Account::personal().organization));
        assert_no_trace(&test_user);
        // And the client uses it.
        assert!(claude_answers(&test_user), "the client does not use it");
    }
}

/// Returns true if the real client works in the user's home.
fn claude_answers(test_user: &TestUser) -> bool {
    let arguments =
        ["-p", "Reply with AUTH_OK.", "--model", "haiku", "--max-turns", "1", "--output-format", "json"];
    let mut command: Command = test_user.command(&test_user.program("claude"), &arguments);
    let authority = test_user.folder().join("ca.pem");
    command.env("HOME", test_user.home()).env("NODE_EXTRA_CA_CERTS", authority).env("TMPDIR", "/tmp");
    command.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1").env("DISABLE_AUTOUPDATER", "1");
    let output = test_user.output(command);
    String::from_utf8_lossy(&output.stdout).contains("AUTH_OK")
}

#[test]
fn first_sign_in_works_with_both_clients() {
    for version in [NEWEST, OLDER] {
        let test_user = TestUser::create_with_claude_version(version);
        assert!(installed(version).is_ok());
        test_user.anthropic().show_code(CODE, Account::personal());
        // The email is unknown: the user is asked, and may leave it empty.
        let terminal = test_user.run_at_terminal("cas-sync", &["login"], 200);
        terminal.wait_for("Your email");
        terminal.type_text("\n");
        terminal.wait_for(PROMPT);
        terminal.wait_for_echo_mode(false);
        let address = address_in(&terminal.shown());
        assert!(!address.contains("login_hint") && address.contains("login_method=sso"), "{address}");
        terminal.type_text(&format!("{CODE}#{}\n", state_in(&terminal.shown())));
        let (status, screen, _) = terminal.end();
        // An older client cannot distinguish all refusals; a login that gets an answer is valid
        // with both.
        assert_eq!(status.code(), Some(0), "{version}: {screen}");
        assert_eq!(login(&test_user)["claudeAiOauth"]["refreshToken"], json!("sk-ant-ort01-person-1-1"));
        let own: Value =
            serde_json::from_slice(&test_user.read(".claude.json").expect("there")).expect("JSON");
        assert_eq!(own["oauthAccount"]["emailAddress"], json!("person@example.com"), "{own}");
        // Also if the client omits the names: the next login is compared with them.
        let named = login(&test_user)["claudeAiOauth"].take();
        assert_eq!(named["accountUuid"], json!(Account::personal().uuid), "{version}");
        assert_eq!(named["organizationUuid"], json!(Account::personal().organization), "{version}");
        let (status, screen) = sign_in(&test_user, &["--email", "bob@example.com"], other_account());
        assert_eq!(status.code(), Some(79), "{version}: {screen}");
        assert_no_trace(&test_user);
    }
}

#[test]
fn code_is_read_from_a_pipe_that_stays_open() {
    let test_user = TestUser::create_with_claude();
    test_user.anthropic().show_code(CODE, Account::personal());
    let program = test_user.program("cas-sync").display().to_string();
    // The sender of the code has read the URL before, and continues to run.
    let script = format!(
        "mkfifo /tmp/codes && exec 3<>/tmp/codes && {{ {program} login --email alice@example.org <&3 >/tmp/said & }} \n\
         until grep -q '^https://' /tmp/said; do sleep 0.1; done\n\
         printf '{CODE}#%s\\n' \"$(sed 's/.*state=//; s/.*?z-//; s/&.*//' /tmp/said)\" >&3; wait $!"
    );
    let output = test_user.output(test_user.command("/bin/sh".as_ref(), &["-c", &script]));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(login(&test_user)["claudeAiOauth"]["refreshToken"], json!("sk-ant-ort01-person-1-1"));
}

#[test]
fn other_account_is_accepted_on_request() {
    let test_user = TestUser::create_with_claude();
    write_client_state_file(&test_user, OWN_STATE);
    assert_eq!(sign_in(&test_user, &[], Account::personal()).0.code(), Some(0));
    let (status, screen) = sign_in(&test_user, &["--switch-account"], other_account());
    assert_eq!(status.code(), Some(0), "{screen}");
    assert_eq!(login(&test_user)["claudeAiOauth"]["accountUuid"], json!(other_account().uuid));
    let own: Value = serde_json::from_slice(&test_user.read(".claude.json").expect("there")).expect("JSON");
    assert_eq!(own["oauthAccount"]["emailAddress"], json!("bob@example.com"));
    // If it is lost again, this one is restored.
    let text = String::from_utf8(test_user.read(LOGIN).expect("there")).expect("text");
    test_user.put(LOGIN, &cleared_login(&text));
    test_user.sync();
    assert_eq!(login(&test_user)["claudeAiOauth"]["accountUuid"], json!(other_account().uuid));
}

#[test]
fn active_setup_token_is_reported_to_take_precedence() {
    const TOKEN: &str = "sk-ant-oat01-in_force";
    let test_user = TestUser::create_with_claude();
    test_user.anthropic().accept_setup_token(TOKEN);
    test_user.put(ENV_FILE, &format!("CLAUDE_CODE_OAUTH_TOKEN={TOKEN}\n"));
    let (status, screen) = sign_in(&test_user, &["--email", "alice@example.org"], Account::personal());
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(
        screen.contains("A setup token is active") && screen.contains("cas-sync token clear"),
        "{screen}"
    );
    assert_eq!(login(&test_user)["claudeAiOauth"]["refreshToken"], json!("sk-ant-ort01-person-1-1"));
}

#[test]
fn sign_in_replaces_a_login_refreshed_meanwhile() {
    let test_user = TestUser::create_with_claude();
    let before = test_user.sign_in();
    test_user.anthropic().show_code(CODE, Account::personal());
    let terminal = start_sign_in(&test_user, &["--email", "alice@example.org"]);
    let changed = before.replace("tracker.example", "wiki.example");
    test_user.put(LOGIN, &changed);
    terminal.type_text(&format!("{CODE}#{}\n", state_in(&terminal.shown())));
    let (status, screen, _) = terminal.end();
    assert_eq!(status.code(), Some(0), "{screen}");
    let found = login(&test_user);
    assert!(found["mcpOAuth"].to_string().contains("wiki.example"), "{found}");
    assert_eq!(found["claudeAiOauth"]["refreshToken"], json!("sk-ant-ort01-person-1-1"));
}

/// The client deletes the credential file and removes the account from its own file. A backup is
/// restored only on request.
#[test]
fn logout_with_the_client_is_not_undone() {
    for version in [OLDER, NEWEST] {
        let test_user = TestUser::create_with_claude_version(version);
        let start = || {
            let status = test_user.command(&test_user.program("claude"), &["auth", "status"]);
            test_user.output(status);
            assert!(test_user.read(".claude.json").is_some(), "{version}");
        };
        start();
        let (status, screen) = sign_in(&test_user, &["--email", "a@b.example"], Account::personal());
        assert_eq!(status.code(), Some(0), "{version}: {screen}");
        assert!(test_user.sync().status.success());
        let signed_in = login(&test_user);
        let own = test_user.read(".claude.json").expect("the client's own file");

        // Both files are lost: the client creates its own file anew, and it names no account
        // either.
        test_user.remove(LOGIN);
        test_user.remove(".claude.json");
        start();
        assert!(test_user.sync().status.success(), "{version}");
        assert_eq!(login(&test_user), signed_in, "{version}");

        // Only the credential file is lost.
        write_client_state_file(&test_user, &String::from_utf8(own).expect("text"));
        assert!(test_user.sync().status.success(), "{version}");
        test_user.remove(LOGIN);
        assert!(test_user.sync().status.success(), "{version}");
        assert_eq!(login(&test_user), signed_in, "{version}");

        let logout = test_user.command(&test_user.program("claude"), &["auth", "logout"]);
        assert!(test_user.output(logout).status.success(), "{version}");
        assert_eq!(test_user.read(LOGIN), None, "{version}");
        let run = test_user.sync();
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success() && text.contains("you logged out of Claude Code"), "{version}: {text}");
        assert_eq!(test_user.read(LOGIN), None, "{version}");
        let status = test_user.command(&test_user.program("cas-sync"), &["status"]);
        let status = String::from_utf8_lossy(&test_user.output(status).stdout).into_owned();
        assert!(status.contains("you logged out of Claude Code"), "{version}: {status}");
    }
}

/// The backup is not restored while there is a new API key, and is restored once that is removed. A
/// key that was there beside the login is not the reason that the login is lost.
#[test]
fn sign_in_with_an_api_key_is_left_alone() {
    let test_user = TestUser::create_with_claude();
    let content = test_user.sign_in();
    assert!(test_user.sync().status.success());
    for lost in [None, Some(cleared_login(&content))] {
        test_user.remove(LOGIN);
        if let Some(cleared) = &lost {
            test_user.put(LOGIN, cleared);
        }
        let before = test_user.read(LOGIN);
        write_client_state_file(&test_user, r#"{"primaryApiKey":"sk-ant-api03-key"}"#);
        let run = test_user.sync();
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success() && text.contains("signed in with an API key"), "{text}");
        assert_eq!(test_user.read(LOGIN), before);
        write_client_state_file(&test_user, "{}");
        assert!(test_user.sync().status.success());
        let signed_in = cas_tests::claude_login::parsed(&content);
        assert_eq!(login(&test_user)["claudeAiOauth"], signed_in["claudeAiOauth"]);
    }

    write_client_state_file(&test_user, r#"{"primaryApiKey":"sk-ant-api03-key"}"#);
    assert!(test_user.sync().status.success());
    for lost in [None, Some(cleared_login(&content))] {
        test_user.remove(LOGIN);
        if let Some(cleared) = &lost {
            test_user.put(LOGIN, cleared);
        }
        let run = test_user.sync();
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success() && !text.contains("signed in with an API key"), "{text}");
        let signed_in = cas_tests::claude_login::parsed(&content);
        assert_eq!(login(&test_user)["claudeAiOauth"], signed_in["claudeAiOauth"]);
    }
    let ledger = test_user.read(&format!("{STATE}/ledger.json")).expect("a ledger");
    assert!(!String::from_utf8_lossy(&ledger).contains("sk-ant-api03"), "only its fingerprint is kept");
}

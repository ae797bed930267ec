//! With the real client and a real server: successful runs, restores and refusals.

use cas_tests::anthropic::MessageAnswer;
use cas_tests::claude_login::cleared_login;
use cas_tests::openbao::Policy;
use cas_tests::test_user::{ENV_FILE, LOGIN, STATE, TestUser};
use serde_json::json;

use crate::canaries::Secret;
use crate::observed_user::ObservedUser;

#[test]
fn login_secrets_are_never_visible() {
    let mut observed = ObservedUser::new(TestUser::create_with_claude);
    let bao = observed.test_user.bao();
    let vault_user = observed.test_user.use_store(&bao, Policy::Update);
    let (prefix, core) =
        vault_user.token().split_once('.').map(|(a, b)| (format!("{a}."), b.to_owned())).expect("a token");
    observed.canaries.add(Secret::VaultToken, &prefix, &core);
    let sibling = observed.canaries.text(Secret::Sibling).to_owned();
    vault_user.put_document(&json!({ "vaultwarden_master_password": sibling }));

    observed.sign_in(-1);
    expect(
        &observed.sync("a login that claude has to refresh"),
        "OK login complete",
        "backed up to the store",
    );
    let login = String::from_utf8(observed.test_user.read(LOGIN).expect("a login")).expect("text");
    expect(&observed.sync("nothing to do"), "OK login complete", "verified by inference");
    observed.login("a healthy login");
    for answer in [
        MessageAnswer::RateLimited { retry_after: 9 },
        MessageAnswer::Html { status: 403 },
        MessageAnswer::InternalError,
        MessageAnswer::Disconnect,
    ] {
        observed.test_user.anthropic().answer_messages(&observed.access_token(), Some(answer.clone()));
        observed.sync(&format!("{answer:?}"));
    }
    observed.test_user.anthropic().answer_messages(&observed.access_token(), None);

    observed.test_user.put(LOGIN, &cleared_login(&login));
    expect(&observed.sync("an emptied login"), "RECOVERED", "");
    observed.test_user.put(LOGIN, &cleared_login(&login));
    observed.login("an emptied login at a login");
    observed.test_user.remove(&format!("{STATE}/history.json"));
    observed.test_user.put(LOGIN, &cleared_login(&login));
    expect(&observed.sync("an emptied login, mended from the store"), "RECOVERED", "");

    observed.test_user.anthropic().answer_messages(&observed.access_token(), Some(MessageAnswer::Revoked));
    observed.sync("a login that was revoked");

    let token = observed.canaries.text(Secret::SetupToken).to_owned();
    observed.test_user.anthropic().accept_setup_token(&token);
    let document = json!({ "setup_token": token, "vaultwarden_master_password": sibling });
    vault_user.put_document(&document);
    expect(&observed.sync("a new setup-token"), "OK setup-token", "");
    assert_eq!(
        observed.test_user.read(ENV_FILE),
        Some(format!("CLAUDE_CODE_OAUTH_TOKEN={token}\n").into_bytes())
    );
    let reply = observed.login("a login with a setup-token");
    assert_eq!(reply.stdout, format!("CAS1 {token}\n").into_bytes());
    observed.exec("a program with a setup-token");
    observed.test_user.anthropic().answer_messages(&token, Some(MessageAnswer::Revoked));
    expect(&observed.sync("a revoked setup-token"), "FAIL", "");
    vault_user.put_document(&json!({ "setup_token": "", "vaultwarden_master_password": sibling }));
    observed.sync("a withdrawn setup-token");
    observed.exec("a program without a setup-token");

    vault_user.delete_document();
    observed.sync("a deleted document");
    bao.seal();
    observed.sync("a sealed server");
    drop(bao);
    observed.sync("no server");
    observed.login("no server at a login");
    drop(vault_user);
    assert_eq!(observed.leaks(), Vec::<String>::new());
}

/// The client gets the token. Its output is not passed on.
#[test]
fn token_in_client_output_is_not_logged() {
    let mut observed = ObservedUser::new(TestUser::create_with_claude);
    for says in [
        "echo \"error: $token\" >&2; exit 1",
        "echo $token; exit 0",
        "printf '{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"result\":\"API Error: 401 %s\",\"apiKeySource\":\"%s\"}\\n' $token $token; exit 1",
        "printf '{\"type\":\"system\",\"subtype\":\"init\",\"apiKeySource\":\"%s\",\"claude_code_version\":\"%s\"}\\n' $token $token; exit 0",
        "echo $token >~/kept; echo $token >/tmp/kept-by-claude-$$; exit 3",
    ] {
        let client = observed.test_user.program("talkative");
        let read = "[ -n \"$CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR\" ] && read -r token <&$CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR";
        std::fs::write(&client, format!("#!/bin/sh\n{read}\n{says}\n")).expect("written");
        std::fs::set_permissions(&client, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("0755");
        observed.test_user.configure(&format!("[claude]\nprogram = {client:?}\n"));
        observed.sign_in(8);
        let output = observed.sync(says);
        assert!(!output.stdout.starts_with(b"OK verified"), "{output:?}");
    }
    // Shows that the client had it: the copy that it wrote deliberately, where it may write, is
    // found.
    let leaks = observed.leaks();
    let (kept, passed_on): (Vec<String>, Vec<String>) =
        leaks.into_iter().partition(|leak| leak.contains("in kept-by-claude-"));
    assert!(!kept.is_empty(), "the client never read its token");
    assert_eq!(passed_on, Vec::<String>::new());
}

#[test]
fn setup_token_secrets_are_never_visible() {
    const PLANTED: &str = "given";
    let mut observed = ObservedUser::new(TestUser::create_with_claude);
    let bao = observed.test_user.bao();
    let vault_user = observed.test_user.use_store(&bao, Policy::Update);
    vault_user.put_document(&json!({}));
    observed.sign_in(8);
    let token = observed.canaries.text(Secret::SetupToken).to_owned();
    observed.test_user.put(PLANTED, &token);
    observed.planted_secrets(Some(PLANTED));
    let program = observed.test_user.program("cas-sync").display().to_string();
    let set = format!("{program} token set <~/{PLANTED}");

    assert_eq!(observed.shell(&set).status.code(), Some(79), "the server does not know it");
    observed.test_user.anthropic().answer_messages(&token, Some(MessageAnswer::Overloaded));
    assert_eq!(observed.shell(&set).status.code(), Some(75));
    observed.test_user.anthropic().answer_messages(&token, None);
    observed.test_user.anthropic().accept_setup_token(&token);
    let output = observed.shell(&set);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(vault_user.fields()["setup_token"], json!(token));
    assert_eq!(observed.shell(&format!("{set}.not-there")).status.code(), Some(2), "of the shell");
    observed.shell(&format!("{program} token show; {program} token show --json"));
    let output = observed.shell(&format!("{program} token import"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = observed.shell(&format!("{program} token clear --yes"));
    assert_eq!((output.status.code(), observed.test_user.read(ENV_FILE)), (Some(0), None), "{output:?}");
    assert_eq!(observed.leaks(), Vec::<String>::new());
}

fn expect(output: &std::process::Output, begin: &str, part: &str) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with(begin) && text.contains(part), "{begin} … {part}: {output:?}");
}

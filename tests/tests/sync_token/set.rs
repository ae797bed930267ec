//! A valid token is activated and stored with its dates.

use cas_tests::anthropic::{MessageAnswer, fingerprint};
use cas_tests::openbao::Policy;
use cas_tests::test_user::{ENV_FILE, LOGIN, STATE, TestUser};
use serde_json::{Value, json};

use super::{
    OLD, TOKEN, activate_token, asked_with, cas_sync, env_file, set, state, stderr_text, stdout_text,
    user_with_claude, user_with_store,
};

const A_YEAR_MS: i128 = 365 * 24 * 3600 * 1000;

fn millis(time: &Value) -> i128 {
    let text = time.as_str().expect("a time");
    cas_core::time::timestamp::Timestamp::parse_rfc3339(text).expect("of RFC 3339").millis().into()
}

#[test]
fn valid_setup_token_is_activated_and_stored_with_its_dates() {
    for policy in [Policy::Patch, Policy::Update] {
        let (test_user, _bao, vault_user) = user_with_store(policy);
        let login = test_user.sign_in();
        let output = set(&test_user, &[], TOKEN);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(
            stdout_text(&output).contains("is active")
                && stdout_text(&output).contains("verified by inference"),
            "{output:?}"
        );
        assert!(
            stdout_text(&output).contains(&fingerprint(TOKEN)) && stdout_text(&output).contains("in 36"),
            "{output:?}"
        );
        assert_eq!(stderr_text(&output), "");
        assert_eq!(env_file(&test_user).as_deref(), Some(TOKEN));
        let fields = vault_user.fields();
        assert_eq!(
            (&fields["setup_token"], &fields["vaultwarden_email"]),
            (&json!(TOKEN), &json!("alice@example.org"))
        );
        let (minted, expires) =
            (millis(&fields["setup_token_minted_at"]), millis(&fields["setup_token_expires_at"]));
        assert!(
            expires - minted == A_YEAR_MS && (cas_tests::now_ms() as i128 - minted).abs() < 60_000,
            "{fields}"
        );
        assert_eq!(asked_with(&test_user, TOKEN), 1, "once for all of it");
        // All other reports are those of a sync.
        assert_eq!(
            (&state(&test_user)["finding"], &state(&test_user)["verification"]),
            (&json!("setup-token"), &json!("ok"))
        );
        assert!(test_user.journal().contains("user=alice OK setup-token in use, verified by inference"));
        assert_eq!(test_user.read(LOGIN), Some(login.into_bytes()), "the login is left alone");
        assert_eq!(test_user.remaining_scratch_directories(), Vec::<String>::new());
    }
}

#[test]
fn setup_token_without_vault_is_stored_locally() {
    let test_user = user_with_claude();
    activate_token(&test_user, OLD);
    let output = set(&test_user, &[], TOKEN);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(env_file(&test_user).as_deref(), Some(TOKEN));
    for (name, (_, content)) in test_user.all_files() {
        assert!(!String::from_utf8_lossy(&content).contains(OLD), "{name}");
    }
    let ledger = test_user.read(&format!("{STATE}/ledger.json")).expect("a ledger");
    let ledger: Value = serde_json::from_slice(&ledger).expect("JSON");
    assert_eq!(
        ledger["withdrawn_tokens"],
        json!([fingerprint(OLD)]),
        "so that sessions with it can be recognized"
    );
    // The next sync repairs the env file.
    test_user.remove(ENV_FILE);
    test_user.sync();
    assert_eq!(env_file(&test_user).as_deref(), Some(TOKEN));
}

#[test]
fn pasted_setup_token_with_line_breaks_is_accepted() {
    let test_user = user_with_claude();
    let (one, rest) = TOKEN.split_at(20);
    let (two, three) = rest.split_at(20);
    let output = set(&test_user, &[], &format!("\n  {one}\r\n  {two}  \n{three}\n\n"));
    assert_eq!((output.status.code(), env_file(&test_user).as_deref()), (Some(0), Some(TOKEN)), "{output:?}");
}

#[test]
fn older_setup_token_keeps_its_creation_date() {
    let (test_user, _bao, vault_user) = user_with_store(Policy::Patch);
    let day =
        cas_core::time::timestamp::Timestamp::from_millis(cas_tests::now_ms() - 40 * 86_400_000).to_string();
    let day = day.split('T').next().expect("a day");
    let output = set(&test_user, &["--minted-at", day], TOKEN);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        stdout_text(&output).contains("40 days ago") && stdout_text(&output).contains("in 324 days"),
        "{output:?}"
    );
    let dates =
        |fields: &Value| (fields["setup_token_minted_at"].clone(), fields["setup_token_expires_at"].clone());
    let before = dates(&vault_user.fields());
    assert_eq!(before.0, json!(format!("{day}T00:00:00Z")));
    // The same token again is not dated today.
    activate_token(&test_user, TOKEN);
    assert_eq!(dates(&vault_user.fields()), before);
    // Another token does not inherit them.
    activate_token(&test_user, OLD);
    assert_ne!(dates(&vault_user.fields()).0, before.0);
}

#[test]
fn setup_token_with_a_reached_limit_is_accepted() {
    let test_user = user_with_claude();
    test_user.anthropic().answer_messages(TOKEN, Some(MessageAnswer::UsageLimited));
    let output = set(&test_user, &[], TOKEN);
    assert_eq!((output.status.code(), env_file(&test_user).as_deref()), (Some(0), Some(TOKEN)), "{output:?}");
    assert!(stdout_text(&output).contains("usage limit"), "{output:?}");
}

#[test]
fn inconclusive_setup_token_is_accepted_only_on_request() {
    let test_user = user_with_claude();
    test_user.anthropic().answer_messages(TOKEN, Some(MessageAnswer::Overloaded));
    let output = set(&test_user, &["--unverified"], TOKEN);
    assert_eq!((output.status.code(), env_file(&test_user).as_deref()), (Some(0), Some(TOKEN)), "{output:?}");
    assert!(stdout_text(&output).contains("not verified"), "{output:?}");
    assert_eq!(state(&test_user)["verification"], json!("inconclusive"));
    test_user.anthropic().answer_messages(OLD, Some(MessageAnswer::Revoked));
    let output = set(&test_user, &["--unverified"], OLD);
    assert_eq!(
        (output.status.code(), env_file(&test_user).as_deref()),
        (Some(79), Some(TOKEN)),
        "{output:?}"
    );
}

#[test]
fn existing_setup_token_is_copied_to_the_store() {
    let (test_user, _bao, vault_user) = user_with_store(Policy::Update);
    let import = |test_user: &TestUser| cas_sync(test_user, &["token", "import"]);
    let output = import(&test_user);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr_text(&output).contains("cas-sync token set"), "{output:?}");

    test_user.put(ENV_FILE, &format!("CLAUDE_CODE_OAUTH_TOKEN={TOKEN}\n"));
    test_user.anthropic().answer_messages(TOKEN, Some(MessageAnswer::Invalid));
    let before = test_user.all_files();
    let output = import(&test_user);
    assert_eq!((output.status.code(), test_user.all_files()), (Some(79), before), "{output:?}");
    assert_eq!(vault_user.fields(), json!({ "vaultwarden_email": "alice@example.org" }));

    test_user.anthropic().answer_messages(TOKEN, None);
    let output = import(&test_user);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let fields = vault_user.fields();
    assert_eq!(
        (&fields["setup_token"], &fields["vaultwarden_email"]),
        (&json!(TOKEN), &json!("alice@example.org"))
    );
    assert_eq!(fields["setup_token_minted_at"], json!(""), "nobody knows");
    assert_eq!(env_file(&test_user).as_deref(), Some(TOKEN));
    test_user.sync();
    assert_eq!(env_file(&test_user).as_deref(), Some(TOKEN), "and no sync takes it away");
}

//! The properties of a token, and never the token.

use cas_tests::anthropic::fingerprint;
use cas_tests::openbao::Policy;
use cas_tests::test_user::{ENV_FILE, TestUser};
use serde_json::{Value, json};

use super::{
    OLD, TOKEN, activate_token, cas_sync, stderr_text, stdout_text, user_with_claude, user_with_store,
};

#[track_caller]
fn shown(test_user: &TestUser, code: i32) -> (String, Value) {
    let before = test_user.all_files();
    let (lines, object) =
        (cas_sync(test_user, &["token", "show"]), cas_sync(test_user, &["token", "show", "--json"]));
    for output in [&lines, &object] {
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let all = stdout_text(output) + &stderr_text(output);
        assert!(!all.contains(TOKEN) && !all.contains(OLD), "{all}");
    }
    let changed: Vec<_> =
        test_user.all_files().into_iter().filter(|(name, file)| before.get(name) != Some(file)).collect();
    assert!(changed.iter().all(|(name, _)| name.ends_with("vault-token.json")), "{changed:?}");
    let object: Value = serde_json::from_str(&stdout_text(&object)).expect("one JSON object");
    assert_eq!((&object["schema"], &object["user"]), (&json!(1), &json!("alice")));
    (stdout_text(&lines), object)
}

#[test]
fn token_show_prints_location_and_expiry_without_a_request() {
    let (test_user, bao, vault_user) = user_with_store(Policy::Patch);
    let (lines, object) = shown(&test_user, 0);
    assert_eq!(lines, "There is no setup token.\n");
    assert_eq!((&object["token"], &object["same"]), (&Value::Null, &json!(true)));

    activate_token(&test_user, TOKEN);
    let (lines, object) = shown(&test_user, 0);
    assert!(lines.starts_with(&format!("Setup token {}\n", fingerprint(TOKEN))), "{lines}");
    for part in ["the same in both", "  created ", "  expires ", "in 36", "  verified ", "by inference"] {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    assert_eq!(object["token"]["fingerprint"], json!(fingerprint(TOKEN)));
    assert_eq!((&object["same"], &object["token"]["verification"]), (&json!(true), &json!("ok")));
    assert_eq!(object["token"]["expiry_is_estimated"], json!(false));
    assert!(
        object["token"]["verified_at_ms"].is_u64() && object["token"]["minted_at_ms"].is_u64(),
        "{object}"
    );
    assert_eq!(test_user.anthropic().requests(), []);

    // An administrator replaces it in the store by hand.
    vault_user.put_document(&json!({ "setup_token": OLD }));
    let (lines, object) = shown(&test_user, 0);
    assert!(lines.contains(&format!("the store holds another one, {}", fingerprint(OLD))), "{lines}");
    assert_eq!((&object["same"], &object["store"]["fingerprint"]), (&json!(false), &json!(fingerprint(OLD))));

    bao.seal();
    let (lines, object) = shown(&test_user, 75);
    assert!(lines.contains("the store could not be read"), "{lines}");
    assert_eq!((&object["same"], &object["store"]["state"]), (&Value::Null, &json!("unknown")));
    assert!(object["error"].as_str().is_some_and(|text| text.contains("store")), "{object}");
}

#[test]
fn setup_token_written_by_hand_counts_from_first_sight() {
    let test_user = user_with_claude();
    test_user.put(ENV_FILE, &format!("CLAUDE_CODE_OAUTH_TOKEN={TOKEN}\n"));
    test_user.sync();
    let (lines, object) = shown(&test_user, 0);
    assert!(lines.contains("and not in the store") && lines.contains("  seen      first "), "{lines}");
    assert!(lines.contains("at the latest"), "{lines}");
    assert_eq!((&object["same"], &object["token"]["expiry_is_estimated"]), (&json!(false), &json!(true)));

    test_user.put(ENV_FILE, "export CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-abc\n");
    let (lines, object) = shown(&test_user, 1);
    assert!(lines.starts_with("The setup token is unknown"), "{lines}");
    assert_eq!(object["env_file"]["state"], json!("malformed"));
}

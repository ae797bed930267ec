//! `cas-sync backup`, into a real server under both policies.

use cas_core::time::timestamp::Timestamp;
use cas_tests::anthropic::MessageAnswer;
use cas_tests::claude_login::{cleared_login, new_login, valid_login};
use cas_tests::openbao::Policy;
use cas_tests::test_user::VAULT_TOKEN;

use super::*;

#[test]
fn login_is_backed_up_to_both_stores_beside_other_fields() {
    for policy in [Policy::Patch, Policy::Update] {
        let test_user = TestUser::create();
        let bao = test_user.bao();
        let vault_user = test_user.use_store(&bao, policy);
        vault_user.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
        let file = new_login("first");
        test_user.put(LOGIN, &file);
        let output = by_hand(&test_user, "backup");
        output.expect(
            0,
            &[
                "OK login complete",
                "backed up to the local history; backed up to the store",
                "  history  added; there was no backup\n",
                "  store    added; there was no backup\n",
                "history.json",
                "https://",
            ],
        );
        let fields = vault_user.fields();
        let kept = fields["claude_ai_oauth_json"].as_str().expect("a login");
        assert_eq!(parsed(kept), parsed(&file)["claudeAiOauth"]);
        assert_eq!(fields["vaultwarden_email"], "alice@example.org");
        assert_eq!(test_user.read(LOGIN).as_deref(), Some(file.as_bytes()));
        by_hand(&test_user, "backup")
            .expect(0, &["  history  already present, for ", "  store    already present, for "]);
    }
}

#[test]
fn backup_reports_the_age_of_the_previous_backup() {
    let test_user = TestUser::create();
    let bao = test_user.bao();
    let vault_user = test_user.use_store(&bao, Policy::Patch);
    let old = parsed(&valid_login("old", now_ms() + 2 * HOUR_MS))["claudeAiOauth"].to_string();
    let at = Timestamp::from_millis(now_ms() - 5 * HOUR_MS - 60_000);
    vault_user.put_document(&json!({ "claude_ai_oauth_json": old, "backed_up_at": at.to_string() }));
    test_user.put(LOGIN, &new_login("new"));
    let report = by_hand(&test_user, "backup --json").expect(0, &[]).json();
    assert_eq!(report["finding"], "login");
    let [history, store] = report["locations"].as_array().expect("locations").as_slice() else {
        panic!("{report}")
    };
    assert_eq!(
        (&history["location"], &history["result"], &history["previous"]),
        (&json!("history"), &json!("added"), &json!(null))
    );
    assert_eq!((&store["location"], &store["result"]), (&json!("store"), &json!("added")));
    assert_eq!(store["previous"]["backed_up_at_ms"].as_u64().map(|ms| ms / 1000), Some(at.millis() / 1000));

    test_user.put(LOGIN, &valid_login("newer", now_ms() + 7 * HOUR_MS + 60_000));
    by_hand(&test_user, "backup").expect(0, &["added; the previous backup, ", " s old"]);
}

#[test]
fn backup_that_is_refused_names_cause_and_remedy() {
    let test_user = TestUser::create();
    let bao = test_user.bao();
    let vault_user = test_user.use_store(&bao, Policy::Patch);
    by_hand(&test_user, "backup").expect(79, &["there is no login", "cas-sync login"]);

    let file = new_login("first");
    test_user.put(LOGIN, &cleared_login(&file));
    by_hand(&test_user, "backup").expect(79, &["the login was cleared", "`cas-sync restore`"]);
    assert_eq!(vault_user.fields(), json!(null), "a cleared login is not backed up");

    test_user.put(LOGIN, &file);
    test_user.remove(VAULT_TOKEN);
    let output = by_hand(&test_user, "backup");
    output
        .expect(77, &["FAIL login complete", "store refused", "  history  added", "  store    not reached"]);

    test_user.put(VAULT_TOKEN, &format!("{}\n", vault_user.token()));
    let theirs = parsed(&valid_login("theirs", now_ms() + HOUR_MS))["claudeAiOauth"].to_string();
    let document = json!({ "claude_ai_oauth_json": theirs, "claude_account_uuid": "another" });
    vault_user.put_document(&document);
    let mut own = parsed(&file);
    own["claudeAiOauth"]["accountUuid"] = json!("hers");
    test_user.put(LOGIN, &own.to_string());
    by_hand(&test_user, "backup")
        .expect(1, &["the login of another account or organization", "  store    not added; has "]);
    assert_eq!(vault_user.fields(), document);

    drop(bao);
    by_hand(&test_user, "backup")
        .expect(75, &["store unreachable", "  history  already present", "  store    not reached"]);

    test_user.set_store_url("http//nonsense");
    by_hand(&test_user, "backup").expect(78, &["store not configured"]);
}

/// For a script that keeps only a working login.
#[test]
fn backup_with_verify_verifies_first() {
    let (test_user, file) = signed_in(20);
    test_user.anthropic().answer_messages(&access_token(&file), Some(MessageAnswer::Revoked));
    by_hand(&test_user, "backup --verify")
        .expect(79, &["rejected by the Anthropic API", "  history  not added; there is no backup"]);
    by_hand(&test_user, "backup").expect(1, &["not backed up: the Anthropic API rejected it"]);
    assert_eq!(refreshes(&test_user), 0);

    test_user.anthropic().answer_messages(&access_token(&file), Some(MessageAnswer::Overloaded));
    let another = test_user.sign_in_as("alice", 8);
    test_user.anthropic().answer_messages(&access_token(&another), Some(MessageAnswer::Overloaded));
    by_hand(&test_user, "backup --verify")
        .expect(75, &["not verified", "not backed up: its verification did not succeed"]);
    test_user.anthropic().answer_messages(&access_token(&another), None);
    by_hand(&test_user, "backup --verify")
        .expect(0, &["verified by inference; backed up to the local history"]);
}

//! Clients before 2.1.198 do not write the account into the login. `cas-sync` takes the account
//! from the client's state file at that time.

use cas_tests::anthropic::Account;
use cas_tests::claude_client::OLDER;
use cas_tests::claude_login::{cleared_login, parsed};
use cas_tests::openbao::Policy;
use cas_tests::test_user::{LOGIN, STATE, TestUser};
use serde_json::{Value, json};

use super::{login, other_account, write_client_state_file};

/// Writes the files that the older client writes at a sign-in to this account.
fn sign_in_to(test_user: &TestUser, name: &str, account: &Account, hours: i64) {
    let mut file = parsed(&test_user.sign_in_as(name, hours));
    let object = file["claudeAiOauth"].as_object_mut().expect("a login");
    object.remove("accountUuid");
    object.remove("organizationUuid");
    let state = json!({ "accountUuid": account.uuid, "organizationUuid": account.organization });
    write_client_state_file(test_user, &json!({ "oauthAccount": state }).to_string());
    test_user.put(LOGIN, &file.to_string());
}

fn last_line(test_user: &TestUser) -> String {
    let ended = test_user.sync();
    String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned()
}

fn kept_token(fields: &Value) -> String {
    let kept = fields["claude_ai_oauth_json"].as_str().expect("a login");
    parsed(kept)["refreshToken"].as_str().expect("a token").to_owned()
}

#[test]
fn unnamed_personal_login_replaces_no_other_backup() {
    let test_user = TestUser::create_with_claude_version(OLDER);
    let bao = test_user.bao();
    let vault_user = test_user.use_store(&bao, Policy::Patch);
    let (work, personal) = (Account::personal(), other_account());

    // The access token has expired. The older client refreshes it and writes no account again.
    sign_in_to(&test_user, "work", &work, -1);
    let first = last_line(&test_user);
    let refreshed = login(&test_user)["claudeAiOauth"].clone();
    assert!(refreshed["accountUuid"].is_null(), "the older client writes no account: {refreshed}");
    let fields = vault_user.fields();
    assert_eq!(json!(kept_token(&fields)), refreshed["refreshToken"], "{first}");
    assert_eq!(fields["claude_account_uuid"], json!(work.uuid), "{first}");
    for file in ["history.json", "ledger.json"] {
        let kept = test_user.read(&format!("{STATE}/{file}")).expect("a file");
        assert!(String::from_utf8_lossy(&kept).contains(&work.uuid), "{file}");
    }

    let personal = {
        sign_in_to(&test_user, "personal", &personal, 9);
        let report = last_line(&test_user);
        assert!(report.contains("the store has the login of another account or organization"), "{report}");
        login(&test_user).to_string()
    };
    assert_eq!(vault_user.fields(), fields, "the backup of the work account is unchanged");

    // The login of the work account is not restored in place of the lost personal login.
    let lost = cleared_login(&personal);
    test_user.put(LOGIN, &lost);
    std::fs::remove_file(test_user.path(&format!("{STATE}/history.json")))
        .expect("the local history is lost");
    let report = last_line(&test_user);
    assert!(report.contains("all backups belong to another account than the one used last"), "{report}");
    assert_eq!(login(&test_user), parsed(&lost));
}

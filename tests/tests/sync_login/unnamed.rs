//! Clients before 2.1.198 do not write the account into the login. `cas-sync` takes the account from
//! the client's state file at that time.

use cas_tests::anthropic::Account;
use cas_tests::claude_client::OLDER;
use cas_tests::claude_login::{parsed, tombstone};
use cas_tests::openbao::Policy;
use cas_tests::test_user::{LOGIN, Resident, STATE};
use serde_json::{Value, json};

use super::{login, put_own_state, somebody_else};

/// Writes the files that the older client writes at a sign-in to this account.
fn sign_in_to(resident: &Resident, name: &str, account: &Account, hours: i64) {
    let mut file = parsed(&resident.sign_in_as(name, hours));
    let object = file["claudeAiOauth"].as_object_mut().expect("a login");
    object.remove("accountUuid");
    object.remove("organizationUuid");
    let state = json!({ "accountUuid": account.uuid, "organizationUuid": account.organization });
    put_own_state(resident, &json!({ "oauthAccount": state }).to_string());
    resident.put(LOGIN, &file.to_string());
}

fn said(resident: &Resident) -> String {
    let ended = resident.sync();
    String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned()
}

fn kept_token(fields: &Value) -> String {
    let kept = fields["claude_ai_oauth_json"].as_str().expect("a login");
    parsed(kept)["refreshToken"].as_str().expect("a token").to_owned()
}

#[test]
fn unnamed_personal_login_replaces_no_other_backup() {
    let resident = Resident::settle_with_claude_of(OLDER);
    let bao = resident.bao();
    let person = resident.use_store(&bao, Policy::Patch);
    let (work, personal) = (Account::of_somebody(), somebody_else());

    // The access token has expired. The older client refreshes it and writes no account again.
    sign_in_to(&resident, "work", &work, -1);
    let first = said(&resident);
    let refreshed = login(&resident)["claudeAiOauth"].clone();
    assert!(refreshed["accountUuid"].is_null(), "the older client writes no account: {refreshed}");
    let fields = person.fields();
    assert_eq!(json!(kept_token(&fields)), refreshed["refreshToken"], "{first}");
    assert_eq!(fields["claude_account_uuid"], json!(work.uuid), "{first}");
    for file in ["history.json", "ledger.json"] {
        let kept = resident.read(&format!("{STATE}/{file}")).expect("a file");
        assert!(String::from_utf8_lossy(&kept).contains(&work.uuid), "{file}");
    }

    let personal = {
        sign_in_to(&resident, "personal", &personal, 9);
        let told = said(&resident);
        assert!(told.contains("the store has the login of another account or organization"), "{told}");
        login(&resident).to_string()
    };
    assert_eq!(person.fields(), fields, "the backup of the work account is unchanged");

    // The login of the work account is not restored in place of the lost personal login.
    let lost = tombstone(&personal);
    resident.put(LOGIN, &lost);
    std::fs::remove_file(resident.path(&format!("{STATE}/history.json"))).expect("the local history is lost");
    let told = said(&resident);
    assert!(told.contains("all backups belong to another account than the one used last"), "{told}");
    assert_eq!(login(&resident), parsed(&lost));
}

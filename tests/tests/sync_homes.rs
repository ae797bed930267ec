//! Homes without a login yet, and users who change their account.

use std::fs;
use std::os::unix::fs::chown;

use cas_tests::claude_login::{HOUR_MS, parsed, valid_login};
use cas_tests::now_ms;
use cas_tests::openbao::Policy;
use cas_tests::test_user::{LOGIN, TestUser, UID};
use serde_json::{Value, json};

/// A home that is mounted at a login: until then there is a mount point, owned by another user.
#[test]
fn nothing_is_created_in_a_possible_mountpoint() {
    for owner in [UID, 0] {
        let test_user = TestUser::create();
        for entry in fs::read_dir(test_user.home()).expect("a home") {
            fs::remove_dir_all(entry.expect("an entry").path()).expect("removed");
        }
        if owner == 0 {
            fs::write(test_user.home().join("README"), "Mounted when you log in.").expect("written");
        }
        chown(test_user.home(), Some(owner), None).expect("given");
        let before = fs::read_dir(test_user.home()).expect("a home").count();
        let ended = test_user.sync();
        let output = String::from_utf8_lossy(&ended.stdout);
        assert_eq!((ended.status.code(), output.starts_with("SKIP ")), (Some(0), true), "{output}");
        assert_eq!(fs::read_dir(test_user.home()).expect("a home").count(), before);
    }
}

/// A home that is created at the first login (pam_mkhomedir(8)), or is on an unreachable file
/// server.
#[test]
fn missing_home_is_not_created_and_raises_no_alert() {
    let test_user = TestUser::create();
    fs::rename(test_user.home(), test_user.folder().join("elsewhere")).expect("moved away");
    let ended = test_user.sync();
    let output = String::from_utf8_lossy(&ended.stdout);
    assert_eq!((ended.status.code(), output.starts_with("SKIP ")), (Some(0), true), "{output}");
    assert!(!test_user.home().exists() && test_user.journal().is_empty(), "{}", test_user.journal());
}

/// Returns the login of this account, or one whose client does not name the account.
fn login(number: u64, account: Option<&str>) -> String {
    let mut login =
        parsed(&valid_login(&format!("number-{number}"), now_ms() + 4 * HOUR_MS + number * 60_000));
    if let Some(account) = account {
        login["claudeAiOauth"]["accountUuid"] = json!(account);
    }
    login.to_string()
}

#[test]
fn login_without_owner_never_replaces_another_accounts_backup() {
    let test_user = TestUser::create();
    let bao = test_user.bao();
    let user = test_user.use_store(&bao, Policy::Patch);
    user.put_document(&json!({ "tracker_token": "of somebody else" }));
    let run = |number, account| {
        test_user.put(LOGIN, &login(number, account));
        let ended = test_user.sync();
        String::from_utf8_lossy(&ended.stdout).into_owned()
    };
    let kept = || {
        let fields: Value = user.fields();
        let generation = (1..=5).find(|number| {
            fields["claude_ai_oauth_json"]
                .as_str()
                .is_some_and(|login| login.contains(&format!("of-number-{number}")))
        });
        (generation, fields["claude_account_uuid"].as_str().map(str::to_owned))
    };
    let first = Some("account-1");
    run(1, first);
    assert_eq!(kept(), (Some(1), first.map(str::to_owned)));
    // Refreshed by a client that drops the names: still the login of the first account.
    run(2, None);
    assert_eq!(kept(), (Some(2), first.map(str::to_owned)));
    for (number, account) in [(3, Some("account-2")), (4, None), (5, Some("account-2"))] {
        let output = run(number, account);
        assert!(output.contains("the login of another account or organization"), "{number}: {output}");
        assert_eq!(kept(), (Some(2), first.map(str::to_owned)), "{output}");
    }
    assert_eq!(user.fields()["tracker_token"], "of somebody else");
}

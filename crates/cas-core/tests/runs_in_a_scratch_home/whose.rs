//! Logins of more than one account, and copies whose order nobody can tell.

use std::path::Path;

use cas_core::credential::fingerprint::RefreshTokenId;
use cas_core::ledger::GenerationState;
use cas_core::outcome::Status;
use cas_core::planner::Mode;

use crate::home::{HOUR, Home, NOW, TOMBSTONE, file, login, login_of};

fn fate(home: &Home, refresh_token: &str) -> Option<GenerationState> {
    home.state().ledger().expect("a ledger").fate(RefreshTokenId::from_bytes(refresh_token))
}

#[test]
fn a_copy_of_another_account_never_takes_the_place_of_the_one_used_last() {
    let home = Home::new();
    home.put(&file(&login_of("r1", NOW + 8 * HOUR, "one")));
    home.run(Mode::Sync, NOW);
    home.put(&file(&login_of("r2", NOW + 7 * HOUR, "another")));
    home.run(Mode::Watch, NOW); // the embedded store keeps it; it is not what this is about
    forget_history_of(&home, "r2");
    home.put(TOMBSTONE);
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        let outcome = home.run(mode, NOW);
        assert_eq!(home.content(), TOMBSTONE, "{outcome}");
        assert_ne!(outcome.status, Status::Recovered, "{outcome}");
    }
    let outcome = home.run(Mode::Sync, NOW);
    assert_eq!(outcome.exit_code(), 79, "{outcome}");
    assert!(outcome.to_string().contains("another account's than the one used last"), "{outcome}");
}

#[test]
fn signing_in_to_another_account_does_not_spend_the_login_of_the_first() {
    let home = Home::new();
    home.put(&file(&login_of("r1", NOW + 8 * HOUR, "one")));
    home.run(Mode::Sync, NOW);
    home.put(&file(&login_of("r2", NOW + 9 * HOUR, "another")));
    home.run(Mode::Sync, NOW + HOUR);
    assert_eq!(fate(&home, "r1"), Some(GenerationState::Current));
    home.put(&file(&login_of("r1", NOW + 8 * HOUR, "one")));
    home.run(Mode::Login, NOW + 2 * HOUR);
    home.put(TOMBSTONE);
    let outcome = home.run(Mode::Login, NOW + 2 * HOUR);
    assert_eq!(outcome.status, Status::Recovered, "{outcome}");
    assert!(home.content().contains("access-r1"), "whoever went back to the first works under the first");
}

fn sign_in_as(home: &Home, account: &str) {
    let state =
        format!(r#"{{"oauthAccount":{{"accountUuid":"{account}","organizationUuid":"of-{account}"}}}}"#);
    write(&home.path().join(".claude.json"), &state);
}

fn owner(home: &Home, refresh_token: &str) -> Option<String> {
    let ledger = home.state().ledger().expect("a ledger");
    ledger
        .generations
        .get(&RefreshTokenId::from_bytes(refresh_token))
        .and_then(|entry| entry.owner.account.clone())
}

/// Clients before 2.1.198 do not name the account in the credential.
#[test]
fn a_nameless_login_is_the_clients_account_of_that_moment() {
    let home = Home::new();
    sign_in_as(&home, "work");
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    assert_eq!(owner(&home, "r1").as_deref(), Some("work"));
    sign_in_as(&home, "personal");
    home.run(Mode::Sync, NOW + HOUR);
    assert_eq!(owner(&home, "r1").as_deref(), Some("work"), "as it was when the login was first seen");
    home.put(&file(&login("r2", NOW + 9 * HOUR)));
    home.run(Mode::Login, NOW + 2 * HOUR);
    assert_eq!(owner(&home, "r2").as_deref(), Some("personal"));
    assert_eq!(
        fate(&home, "r1"),
        Some(GenerationState::Current),
        "another account's login supersedes nothing"
    );
    let history = std::fs::read_to_string(home.state().path("history.json")).expect("a history");
    assert!(history.contains(r#""claude_account_uuid":"personal""#), "{history}");
}

#[test]
fn a_login_named_late_by_the_client_is_corrected_within_a_minute() {
    let home = Home::new();
    sign_in_as(&home, "work");
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Watch, NOW);
    sign_in_as(&home, "personal");
    home.run(Mode::Watch, NOW + 2000);
    assert_eq!(owner(&home, "r1").as_deref(), Some("personal"));
}

#[test]
fn a_repointed_link_gets_no_other_accounts_login() {
    let home = Home::new();
    let path = home.paths().credentials_file;
    let account = |name: &str| home.path().join(name);
    let point_to = |name: &str| {
        drop(std::fs::remove_file(&path));
        std::os::unix::fs::symlink(account(name), &path).expect("a link");
    };
    write(&account("work"), &file(&login("r1", NOW + 8 * HOUR)));
    point_to("work");
    home.run(Mode::Sync, NOW);
    write(&account("personal"), TOMBSTONE);
    point_to("personal");
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        let outcome = home.run(mode, NOW + HOUR);
        assert_eq!(home.content(), TOMBSTONE, "{outcome}");
        assert!(outcome.to_string().contains("leads to another file than before"), "{outcome}");
    }
    write(&account("work"), TOMBSTONE);
    point_to("work");
    let outcome = home.run(Mode::Login, NOW + HOUR);
    assert_eq!(outcome.status, Status::Recovered, "{outcome}");
    assert!(home.content().contains("access-r1"), "its own login comes back");
}

/// Neither login names its account, and the client's own state still has the first one's.
#[test]
fn a_repointed_link_to_a_nameless_login_is_nobodys() {
    let home = Home::new();
    let path = home.paths().credentials_file;
    let account = |name: &str| home.path().join(name);
    let point_to = |name: &str| {
        drop(std::fs::remove_file(&path));
        std::os::unix::fs::symlink(account(name), &path).expect("a link");
    };
    sign_in_as(&home, "work");
    write(&account("work"), &file(&login("r1", NOW + 9 * HOUR)));
    point_to("work");
    home.run(Mode::Sync, NOW);
    write(&account("personal"), &file(&login("r2", NOW + 8 * HOUR)));
    point_to("personal");
    for (mode, later) in [(Mode::Watch, 0), (Mode::Login, 1000), (Mode::Sync, 2000)] {
        home.run(mode, NOW + HOUR + later);
        assert_eq!(owner(&home, "r2"), None);
    }
    write(&account("personal"), TOMBSTONE);
    forget_history_of(&home, "r2");
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        let outcome = home.run(mode, NOW + 2 * HOUR);
        assert_eq!(home.content(), TOMBSTONE, "{outcome}");
    }
}

/// The clock was a day ahead when the first was written. Which one was exchanged for the other, nobody can say afterwards.
#[test]
fn of_two_copies_whose_order_is_in_doubt_neither_is_put_back() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 32 * HOUR)));
    home.run(Mode::Sync, NOW + 24 * HOUR);
    home.put(&file(&login("r2", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    home.put(TOMBSTONE);
    let outcome = home.run(Mode::Login, NOW + HOUR);
    assert_eq!((outcome.status, home.content()), (Status::Fail, TOMBSTONE.to_owned()), "{outcome}");
}

/// Takes the newest version out of the local history, as if it had never been kept.
fn forget_history_of(home: &Home, refresh_token: &str) {
    let path = home.state().path("history.json");
    let text = std::fs::read_to_string(&path).expect("a history");
    let mut history: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let versions = history["versions"].as_array_mut().expect("versions");
    versions.retain(|version| !version.to_string().contains(&format!("access-{refresh_token}")));
    write(&path, &history.to_string());
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}

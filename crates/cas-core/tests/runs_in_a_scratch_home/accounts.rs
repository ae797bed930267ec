//! Logins of several accounts, and backups of unknown order.

use std::path::Path;

use cas_core::credential::fingerprint::RefreshTokenId;
use cas_core::ledger::GenerationState;
use cas_core::outcome::Status;
use cas_core::planner::Mode;

use crate::home::{CLEARED, HOUR, Home, NOW, file, login, login_with_account};

fn state(home: &Home, refresh_token: &str) -> Option<GenerationState> {
    home.state().ledger().expect("a ledger").generation_state(RefreshTokenId::from_bytes(refresh_token))
}

#[test]
fn backup_of_another_account_is_not_restored() {
    let home = Home::new();
    home.put(&file(&login_with_account("r1", NOW + 8 * HOUR, "one")));
    home.run(Mode::Sync, NOW);
    home.put(&file(&login_with_account("r2", NOW + 7 * HOUR, "another")));
    home.run(Mode::Watch, NOW); // the local store keeps it, which is not the subject here
    remove_from_history(&home, "r2");
    home.put(CLEARED);
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        let outcome = home.run(mode, NOW);
        assert_eq!(home.content(), CLEARED, "{outcome}");
        assert_ne!(outcome.status, Status::Recovered, "{outcome}");
    }
    let outcome = home.run(Mode::Sync, NOW);
    assert_eq!(outcome.exit_code(), 79, "{outcome}");
    assert!(outcome.to_string().contains("belong to another account than the one used last"), "{outcome}");
}

#[test]
fn sign_in_to_another_account_supersedes_nothing() {
    let home = Home::new();
    home.put(&file(&login_with_account("r1", NOW + 8 * HOUR, "one")));
    home.run(Mode::Sync, NOW);
    home.put(&file(&login_with_account("r2", NOW + 9 * HOUR, "another")));
    home.run(Mode::Sync, NOW + HOUR);
    assert_eq!(state(&home, "r1"), Some(GenerationState::Current));
    home.put(&file(&login_with_account("r1", NOW + 8 * HOUR, "one")));
    home.run(Mode::Login, NOW + 2 * HOUR);
    home.put(CLEARED);
    let outcome = home.run(Mode::Login, NOW + 2 * HOUR);
    assert_eq!(outcome.status, Status::Recovered, "{outcome}");
    assert!(home.content().contains("access-r1"), "the first account is active again");
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
fn login_without_owner_gets_the_clients_account() {
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
        state(&home, "r1"),
        Some(GenerationState::Current),
        "another account's login supersedes nothing"
    );
    let history = std::fs::read_to_string(home.state().path("history.json")).expect("a history");
    assert!(history.contains(r#""claude_account_uuid":"personal""#), "{history}");
}

#[test]
fn owner_written_late_by_the_client_is_corrected() {
    let home = Home::new();
    sign_in_as(&home, "work");
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Watch, NOW);
    sign_in_as(&home, "personal");
    home.run(Mode::Watch, NOW + 2000);
    assert_eq!(owner(&home, "r1").as_deref(), Some("personal"));
}

#[test]
fn changed_symlink_target_gets_no_login_of_another_account() {
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
    write(&account("personal"), CLEARED);
    point_to("personal");
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        let outcome = home.run(mode, NOW + HOUR);
        assert_eq!(home.content(), CLEARED, "{outcome}");
        assert!(outcome.to_string().contains("is a symlink whose target has changed"), "{outcome}");
    }
    write(&account("work"), CLEARED);
    point_to("work");
    let outcome = home.run(Mode::Login, NOW + HOUR);
    assert_eq!(outcome.status, Status::Recovered, "{outcome}");
    assert!(home.content().contains("access-r1"), "its own login is restored");
}

/// Neither login names its account, and the client's state file still names the first account.
#[test]
fn changed_symlink_to_unnamed_login_has_no_account() {
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
    write(&account("personal"), CLEARED);
    remove_from_history(&home, "r2");
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        let outcome = home.run(mode, NOW + 2 * HOUR);
        assert_eq!(home.content(), CLEARED, "{outcome}");
    }
}

/// The clock was a day ahead when the first login was written, so their order is unknown.
#[test]
fn backups_of_unknown_order_are_not_restored() {
    let home = Home::new();
    home.put(&file(&login("r1", NOW + 32 * HOUR)));
    home.run(Mode::Sync, NOW + 24 * HOUR);
    home.put(&file(&login("r2", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    home.put(CLEARED);
    let outcome = home.run(Mode::Login, NOW + HOUR);
    assert_eq!((outcome.status, home.content()), (Status::Fail, CLEARED.to_owned()), "{outcome}");
}

/// Removes the version with this refresh token from the local history.
fn remove_from_history(home: &Home, refresh_token: &str) {
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

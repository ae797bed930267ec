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

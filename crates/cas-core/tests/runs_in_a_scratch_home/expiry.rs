//! The expiry of the active credential: from its dates, or from its first sight.

use cas_core::credential::expiry::{Expiry, ExpirySource, SETUP_TOKEN_LIFETIME};
use cas_core::outcome::state_report::StateReport;
use cas_core::state::local_store::LocalStore;
use cas_core::store::user_document::{SETUP_TOKEN, SETUP_TOKEN_EXPIRES_AT, SETUP_TOKEN_MINTED_AT};
use cas_core::store::{Fields, Store};
use serde_json::value::to_raw_value;

use super::*;

/// A plausible time. The other scenarios run with an implausible clock.
const TODAY: u64 = 1_790_000_000_000;

fn put_env_file(home: &Home, token: &str) {
    let env_file = home.paths().env_file;
    fs::create_dir_all(env_file.parent().expect("a directory")).expect("made");
    fs::write(&env_file, format!("CLAUDE_CODE_OAUTH_TOKEN={token}\n")).expect("written");
}

fn put_document(home: &Home, fields: &[(&str, &str)]) {
    let mut store = LocalStore::new(home.state(), Timestamp::from_millis(TODAY));
    let soon = Deadline::after(Duration::from_secs(20));
    let version = store.read(&soon).expect("read").version;
    let value = |text: &str| to_raw_value(text).expect("a string is JSON");
    let fields: Fields = fields.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect();
    store.merge(&fields, version, &soon).expect("merged");
}

fn expiry(at: u64, certainty: ExpirySource) -> Option<Expiry> {
    Some(Expiry { at: Timestamp::from_millis(at), source: certainty })
}

fn a_year_after(millis: u64) -> u64 {
    Timestamp::from_millis(millis).saturating_add(SETUP_TOKEN_LIFETIME).millis()
}

#[test]
fn setup_token_without_dates_expires_a_year_after_first_sight() {
    let home = Home::new();
    put_env_file(&home, "sk-ant-oat01-one");
    let estimated = expiry(a_year_after(TODAY), ExpirySource::UpperBound);
    assert_eq!(home.run(Mode::Login, TODAY).expiry, estimated);
    let outcome = home.run(Mode::Sync, TODAY + 100 * HOUR);
    assert_eq!(outcome.expiry, estimated, "from the first sight");
    let state = StateReport::from_outcome(&outcome, "alice", Timestamp::from_millis(TODAY), None);
    let credential = state.credential.expect("the token");
    assert_eq!(credential.expires_at_ms, estimated.map(|expiry| expiry.at));
    assert!(credential.expiry_is_estimated);

    put_env_file(&home, "sk-ant-oat01-two");
    let later = TODAY + 200 * HOUR;
    assert_eq!(home.run(Mode::Sync, later).expiry, expiry(a_year_after(later), ExpirySource::UpperBound));
    put_env_file(&home, "sk-ant-oat01-one");
    assert_eq!(
        home.run(Mode::Login, later + HOUR).expiry,
        estimated,
        "the first sight of an earlier token stays"
    );
}

#[test]
fn setup_token_dates_of_the_store_are_known_at_a_login() {
    let home = Home::new();
    let minted = ("2026-01-01T00:00:00Z", 1_767_225_600_000);
    let expires = ("2026-10-01T00:00:00Z", 1_790_812_800_000);
    put_document(&home, &[(SETUP_TOKEN, "sk-ant-oat01-one"), (SETUP_TOKEN_MINTED_AT, minted.0)]);
    let from_creation = expiry(a_year_after(minted.1), ExpirySource::FromCreationDate);
    assert_eq!(home.run(Mode::Sync, TODAY).expiry, from_creation);
    put_document(&home, &[(SETUP_TOKEN_EXPIRES_AT, expires.0)]);
    let stated = expiry(expires.1, ExpirySource::Declared);
    assert_eq!(home.run(Mode::Sync, TODAY + HOUR).expiry, stated);
    assert_eq!(home.run(Mode::Login, TODAY + 2 * HOUR).expiry, stated, "a login reads the env file only");

    put_document(&home, &[(SETUP_TOKEN, "sk-ant-oat01-exchanged_by_hand")]);
    let exchanged = TODAY + 3 * HOUR;
    let outcome = home.run(Mode::Sync, exchanged);
    assert_eq!(outcome.expiry, expiry(a_year_after(exchanged), ExpirySource::UpperBound), "{outcome}");
    put_document(
        &home,
        &[(SETUP_TOKEN_EXPIRES_AT, "when it is over"), (SETUP_TOKEN_MINTED_AT, "2026-09-01T00:00:00Z")],
    );
    let outcome = home.run(Mode::Sync, exchanged + HOUR);
    assert_eq!(outcome.expiry.map(|it| it.source), Some(ExpirySource::FromCreationDate), "{outcome}");
    assert_eq!(outcome.exit_code(), 0, "an invalid date is not an error: {outcome}");
}

#[test]
fn login_expires_at_its_stated_date() {
    let home = Home::new();
    let ends = TODAY + 700 * HOUR;
    let says =
        login("r1", TODAY + 8 * HOUR).replacen('{', &format!(r#"{{"refreshTokenExpiresAt":{ends},"#), 1);
    home.put(&file(&says));
    let outcome = home.run(Mode::Sync, TODAY);
    assert_eq!(outcome.expiry, expiry(ends, ExpirySource::Declared));
    let state = StateReport::from_outcome(&outcome, "alice", Timestamp::from_millis(TODAY), None);
    let json = serde_json::to_value(&state).expect("JSON");
    assert_eq!(json["credential"]["expires_at_ms"], ends);
    assert_eq!(json["credential"]["expiry_is_estimated"], false);
    home.put(&file(&login("r2", TODAY + 9 * HOUR)));
    assert_eq!(home.run(Mode::Sync, TODAY + HOUR).expiry, None);
}

#[test]
fn login_expiry_is_warned_of_by_a_sync_only() {
    let home = Home::new();
    let days = |count: u64| count * 24 * HOUR;
    let ends = TODAY + days(40);
    let lasts =
        |until: u64| login("r1", until).replacen('{', &format!(r#"{{"refreshTokenExpiresAt":{ends},"#), 1);
    for (now, expected) in [
        (ends - days(8), None),
        (ends - days(7), Some("login expires on ")),
        (ends - days(2), Some(", in 2 days; sign in again: run `cas-sync login`")),
        (ends + days(2), Some(", 2 days ago; sign in again")),
    ] {
        home.put(&file(&lasts(now + 8 * HOUR)));
        let outcome = home.run(Mode::Sync, now);
        let status = if expected.is_some() { Status::Warn } else { Status::Ok };
        assert_eq!((outcome.status, outcome.exit_code()), (status, 0), "{outcome}");
        assert!(outcome.to_string().contains(expected.unwrap_or("login complete")), "{outcome}");
        let state = StateReport::from_outcome(&outcome, "alice", Timestamp::from_millis(now), None);
        assert_eq!(
            state.details.contains(&"expires-soon".to_owned()),
            expected.is_some(),
            "{:?}",
            state.details
        );
        assert!(!home.run(Mode::Login, now).should_log(), "no line for each login");
    }
}

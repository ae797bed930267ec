//! Histories of one machine, and what the ledger then says of each login.

use super::*;

const HOUR: u64 = 60 * 60 * 1000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn login(name: &str, expires_at: u64) -> LoginSummary {
    LoginSummary {
        generation: RefreshTokenId::from_bytes(name),
        expires_at: at(expires_at),
        login_expires_at: None,
        owner: Owner::default(),
    }
}

#[test]
fn sign_out_lasts_until_another_login_or_a_restore() {
    let (one, two) = (login("one", 5 * HOUR), login("two", 9 * HOUR));
    let mut ledger = Ledger::default();
    ledger.record_login(&one, LoginPlace::File, at(0));
    ledger.record_sign_out(Some(one.generation));
    // An interrupted sign-out left the login there.
    ledger.record_login(&one, LoginPlace::File, at(1));
    assert!(ledger.signed_out.is_some());
    let mut restored = ledger.clone();
    restored.begin_restore(&one, None, at(2));
    assert_eq!(restored.signed_out, None);
    ledger.record_login(&two, LoginPlace::File, at(2));
    assert_eq!(ledger.signed_out, None);
    ledger.record_sign_out(None);
    ledger.record_login(&two, LoginPlace::File, at(3));
    assert_eq!(ledger.signed_out, None);
}

/// A ledger that was written with the former names is read completely.
#[test]
fn ledger_with_the_former_names_is_read() {
    let (one, two) = ("0011223344556677", "8899aabbccddeeff");
    let former = format!(
        r#"{{"generations":{{"{one}":{{"first_seen":1,"number":3,"origin":"file","expires_at":9,"fate":"rejected","restored":[4]}}}},
            "lay_there_last":"{one}","unproven":"{two}","intent":{{"generation":"{two}","at":5,"replaces":null}},"withdrawn":["{one}"]}}"#
    );
    let ledger: Ledger = serde_json::from_str(&former).expect("the former form");
    let record = ledger.generations.values().next().expect("a generation");
    assert_eq!((record.state, record.restored_at.len()), (GenerationState::Rejected, 1));
    assert!(ledger.last_seen_in_file.is_some() && ledger.unverified_restore.is_some());
    assert!(ledger.pending_restore.is_some() && ledger.withdrawn_tokens.len() == 1);
    let written = serde_json::to_string(&ledger).expect("JSON");
    assert!(!written.contains("fate") && !written.contains("lay_there_last"), "{written}");
}

#[test]
fn later_login_in_the_file_supersedes_earlier_ones() {
    let (old, new) = (login("old", HOUR), login("new", 9 * HOUR));
    let mut ledger = Ledger::default();
    ledger.record_login(&old, LoginPlace::File, at(0));
    assert!(ledger.may_restore(&old, at(0)));
    ledger.record_login(&new, LoginPlace::File, at(1));
    assert!(!ledger.may_restore(&old, at(1)));
    ledger.record_login(&old, LoginPlace::File, at(2));
    assert!(!ledger.may_restore(&old, at(2)), "an older copy stays superseded");
    assert!(ledger.may_restore(&new, at(2)));
}

#[test]
fn valid_generation_may_be_restored_eight_times_an_hour() {
    let fresh = login("fresh", 9 * HOUR);
    let mut ledger = Ledger::default();
    for count in 0..RESTORES_PER_WINDOW as u64 {
        assert!(ledger.may_restore(&fresh, at(count)));
        ledger.begin_restore(&fresh, None, at(count));
    }
    assert!(!ledger.may_restore(&fresh, at(100)));
    assert!(ledger.may_restore(&fresh, at(HOUR + 100)));
}

#[test]
fn expired_generation_may_be_restored_once() {
    let stale = login("stale", HOUR);
    let mut ledger = Ledger::default();
    assert!(ledger.may_restore(&stale, at(2 * HOUR)));
    ledger.begin_restore(&stale, None, at(2 * HOUR));
    assert!(!ledger.may_restore(&stale, at(500 * HOUR)));
}

#[test]
fn stale_login_verified_after_restore_may_be_restored_again() {
    let stale = login("stale", HOUR);
    let mut ledger = Ledger::default();
    ledger.begin_restore(&stale, None, at(2 * HOUR));
    ledger.record_verification(stale.generation, &Verification::Inconclusive("529".into()), at(2 * HOUR));
    assert!(!ledger.may_restore(&stale, at(9 * HOUR)));
    ledger.record_verification(stale.generation, &Verification::Ok, at(2 * HOUR));
    assert!(ledger.may_restore(&stale, at(9 * HOUR)));
    ledger.begin_restore(&stale, None, at(9 * HOUR));
    assert!(!ledger.may_restore(&stale, at(500 * HOUR)), "it was not verified since");
}

#[test]
fn restore_that_a_crash_prevented_does_not_count() {
    let stale = login("stale", HOUR);
    let before = FileId { inode: 1, modified_seconds: 2, modified_nanoseconds: 3 };
    let after = FileId { inode: 2, ..before };
    for (found, allowed) in [(Some(before), true), (Some(after), false), (None, false)] {
        let mut ledger = Ledger::default();
        ledger.begin_restore(&stale, Some(before), at(2 * HOUR));
        ledger.resolve_pending_restore(found);
        assert_eq!(ledger.may_restore(&stale, at(3 * HOUR)), allowed, "{found:?}");
    }
}

#[test]
fn only_conclusive_verifications_change_the_state() {
    let one = login("one", 9 * HOUR);
    let mut ledger = Ledger::default();
    ledger.record_login(&one, LoginPlace::File, at(0));
    ledger.record_verification(one.generation, &Verification::Inconclusive("529".into()), at(0));
    ledger.record_verification(one.generation, &Verification::ClientUnusable("missing".into()), at(0));
    assert!(ledger.may_restore(&one, at(0)));
    ledger.record_verification(one.generation, &Verification::Rejected { account_level: false }, at(0));
    ledger.record_verification(one.generation, &Verification::Ok, at(0));
    assert!(!ledger.may_restore(&one, at(0)), "a rejected one is never restored");
}

/// The write of a restore failed, or its process was killed before it.
#[test]
fn login_that_was_never_in_the_file_is_not_superseded() {
    let (backup, own) = (login("backup", HOUR), login("own", 2 * HOUR));
    for is_cancelled in [false, true] {
        let mut ledger = Ledger::default();
        ledger.begin_restore(&backup, None, at(0));
        if is_cancelled {
            ledger.cancel_restore();
        }
        ledger.record_login(&own, LoginPlace::File, at(1));
        assert_ne!(ledger.generation_state(backup.generation), Some(GenerationState::Superseded));
        ledger.record_login(&backup, LoginPlace::File, at(2));
        ledger.record_login(&own, LoginPlace::File, at(3));
        assert_eq!(ledger.generation_state(backup.generation), Some(GenerationState::Superseded));
    }
}

#[test]
fn login_without_owner_inherits_the_previous_owner() {
    let named = |name: &str, ends: u64, account: &str| LoginSummary {
        owner: Owner { account: Some(account.into()), organization: None },
        ..login(name, ends)
    };
    let mut ledger = Ledger::default();
    ledger.record_login(&named("one", HOUR, "one"), LoginPlace::File, at(0));
    ledger.record_login(&named("two", 2 * HOUR, "another"), LoginPlace::File, at(1));
    ledger.record_login(&login("three", 3 * HOUR), LoginPlace::File, at(2));
    assert!(ledger.belongs_to_other_account(&named("one", HOUR, "one")));
    assert_eq!(ledger.generation_state(RefreshTokenId::from_bytes("one")), Some(GenerationState::Current));
    assert_eq!(ledger.generation_state(RefreshTokenId::from_bytes("two")), Some(GenerationState::Superseded));
    ledger.record_login(&named("three", 3 * HOUR, "a third"), LoginPlace::File, at(3));
    assert_eq!(
        ledger.resolve_owner(&login("three", 0)).account.as_deref(),
        Some("a third"),
        "the name in the record"
    );
}

#[test]
fn ledger_is_bounded_and_round_trips_through_json() {
    let mut ledger = Ledger::default();
    for count in 0..200 {
        ledger.record_login(&login(&count.to_string(), count), LoginPlace::File, at(count));
        ledger.record_withdrawn_token(Fingerprint::from_bytes(&count.to_string()));
    }
    assert_eq!(ledger.generations.len(), MAX_GENERATIONS);
    assert_eq!(ledger.withdrawn_tokens.len(), MAX_WITHDRAWN_TOKENS);
    let json = serde_json::to_string(&ledger).expect("a ledger is JSON");
    assert_eq!(serde_json::from_str::<Ledger>(&json).expect("and can be read"), ledger);
}

/// Clients before 2.1.198 do not name the account. An account switcher points the link to the
/// file of another account.
#[test]
fn unnamed_login_behind_changed_link_has_no_known_account() {
    let link = |target: &str| LoginPlace::Link(Fingerprint::from_bytes(target));
    let named = |name: &str, account: &str| LoginSummary {
        owner: Owner { account: Some(account.into()), organization: None },
        ..login(name, 8 * HOUR)
    };
    let mut ledger = Ledger::default();
    let work = named("work", "one");
    ledger.record_login(&work, link("work"), at(0));
    let personal = login("personal", 9 * HOUR);
    assert!(!ledger.may_learn_owner(personal.generation, link("personal"), at(1)));
    assert!(ledger.may_learn_owner(login("next", 9 * HOUR).generation, link("work"), at(1)));
    ledger.record_login(&personal, link("personal"), at(1));
    assert_eq!(ledger.resolve_owner(&personal), Owner::default());
    assert!(!ledger.may_learn_owner(personal.generation, link("personal"), at(2)));
    assert!(ledger.belongs_to_other_account(&work), "it may be");
    assert!(!ledger.belongs_to_other_account(&personal));
    let refreshed = login("refreshed", 17 * HOUR);
    ledger.record_login(&refreshed, link("personal"), at(3));
    assert!(ledger.belongs_to_other_account(&work), "nor is its successor's account known");
    ledger.record_login(&named("refreshed", "one"), link("personal"), at(4));
    assert!(!ledger.belongs_to_other_account(&work), "until it is named");
}

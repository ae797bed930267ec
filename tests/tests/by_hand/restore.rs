//! `cas-sync restore`: what is put back, from where, and what never is.

use cas_tests::anthropic::MessageAnswer;
use cas_tests::claude_login::{fresh, healthy, tombstone};
use cas_tests::openbao::Policy;
use cas_tests::resident::ENV_FILE;

use super::*;

/// Somebody without the client, whose login was backed up and then emptied; and what it was.
fn emptied() -> (Resident, String) {
    let resident = Resident::settle();
    let file = fresh("first");
    resident.put(LOGIN, &file);
    by_hand(&resident, "backup").expect(0, &[]);
    resident.put(LOGIN, &tombstone(&file));
    (resident, file)
}

#[test]
fn what_would_be_done_is_named_and_then_done() {
    let (resident, file) = emptied();
    let before = home(&resident);
    let words = format!("Would put back generation {}, access token until 20", generation(&file));
    by_hand(&resident, "restore --dry-run").expect(0, &[&words]);
    let told = by_hand(&resident, "restore --dry-run --json").expect(0, &[]).json();
    assert_eq!(
        (&told["dry_run"], &told["put_back"]["generation"]),
        (&json!(true), &json!(generation(&file)))
    );
    assert_eq!(home(&resident), before, "nothing is written");

    by_hand(&resident, "restore").expect(0, &["RECOVERED login put back from the local history"]);
    assert_eq!(login(&resident), parsed(&file), "and everything else in the file");
    assert!(resident.journal().contains("user=alice RECOVERED login put back"), "{}", resident.journal());
    assert!(resident.requests().join("request").exists(), "the sync finds out whether it works, and tells");
}

#[test]
fn a_login_that_is_whole_is_left_alone() {
    let (resident, file) = signed_in(20);
    by_hand(&resident, "backup").expect(0, &[]);
    by_hand(&resident, "restore --dry-run")
        .expect(0, &["Would put nothing back, unless `claude` then finds"]);
    by_hand(&resident, "restore").expect(0, &["verified by inference", "is whole, and was left alone"]);
    by_hand(&resident, "restore --no-verify").expect(0, &["not verified by inference", "was left alone"]);
    let chosen = format!("restore --generation {}", generation(&fresh("first")));
    by_hand(&resident, &chosen)
        .expect(1, &["the login in the file is whole and stays", "no copy of it is kept"]);
    assert_eq!(login(&resident), parsed(&file));
    assert_eq!(refreshes(&resident), 0);
}

#[test]
fn a_copy_comes_back_from_the_store_under_both_policies() {
    for policy in [Policy::Patch, Policy::Update] {
        let resident = Resident::settle();
        let bao = resident.bao();
        let person = resident.use_store(&bao, policy);
        let file = fresh("first");
        resident.put(LOGIN, &file);
        by_hand(&resident, "backup").expect(0, &[]);
        let document = person.fields();
        resident.remove(&format!("{STATE}/history.json"));
        resident.put(LOGIN, &tombstone(&file));
        by_hand(&resident, "restore --from history")
            .expect(1, &["no copy in the local history may be put back", "without a choice puts"]);
        by_hand(&resident, "restore --from store").expect(0, &["RECOVERED login put back from the store"]);
        assert_eq!(login(&resident), parsed(&file));
        assert_eq!(person.fields(), document, "nothing is written there");
    }
}

#[test]
fn the_copies_are_listed_with_what_became_of_them() {
    let resident = Resident::settle();
    let bao = resident.bao();
    resident.use_store(&bao, Policy::Patch);
    by_hand(&resident, "restore --list").expect(0, &["No copies are kept."]);
    let (first, second) = (
        healthy("first", now_ms() + 3 * HOUR_MS + 60_000),
        healthy("second", now_ms() + 5 * HOUR_MS + 60_000),
    );
    for file in [&first, &second] {
        resident.put(LOGIN, file);
        by_hand(&resident, "backup").expect(0, &[]);
    }
    let before = home(&resident);
    let said = by_hand(&resident, "restore --list").expect(0, &[]);
    let lines: Vec<Vec<&str>> = said
        .out
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    let cells = |row: usize, columns: [usize; 4]| columns.map(|column| lines[row][column].to_owned());
    assert_eq!(lines[0], ["GENERATION", "IN", "ACCESS TOKEN", "BACKED UP", "BY", "FATE"]);
    let columns = [0, 1, 2, 5];
    let (one, two) = (generation(&first), generation(&second));
    assert_eq!(cells(1, columns), [&two, "history", "5h left", "in use"].map(str::to_owned));
    assert_eq!(cells(2, columns), [&one, "history", "3h left", "superseded"].map(str::to_owned));
    assert_eq!(cells(3, columns), [&two, "store", "5h left", "in use"].map(str::to_owned));
    assert_eq!(lines.len(), 4, "{}", said.out);
    assert!(lines[1][3].ends_with("s ago"), "{}", said.out);
    assert!(said.out.is_ascii() && said.out.lines().all(|line| line.len() <= 80), "{}", said.out);

    let told = by_hand(&resident, "restore --list --json --from store").expect(0, &[]).json();
    let row = &told["copies"][0];
    assert_eq!((&told["login"], told["copies"].as_array().map(Vec::len)), (&json!("whole"), Some(1)));
    assert_eq!(
        (&row["generation"], &row["fate"], &row["restorable"]),
        (&json!(two), &json!("in use"), &json!(false))
    );
    let members: Vec<_> = row.as_object().expect("a row").keys().cloned().collect();
    let expected = [
        "access_token_expires_at_ms",
        "backed_up_at_ms",
        "fate",
        "generation",
        "login_expires_at_ms",
        "machine",
        "place",
        "reason",
        "restorable",
    ];
    assert_eq!(members, expected);
    assert_eq!(home(&resident), before, "nothing is written");

    drop(bao);
    let said = by_hand(&resident, "restore --list").expect(75, &["store unreachable", &two, "superseded"]);
    assert_eq!(said.err, "");
}

#[test]
fn a_superseded_copy_is_never_put_back_and_nothing_can_force_it() {
    let resident = Resident::settle();
    let (first, second) = (healthy("first", now_ms() + 3 * HOUR_MS), fresh("second"));
    for file in [&first, &second] {
        resident.put(LOGIN, file);
        by_hand(&resident, "backup").expect(0, &[]);
    }
    resident.put(LOGIN, &tombstone(&second));
    let before = resident.read(LOGIN);
    let chosen = format!("restore --generation {}", generation(&first));
    let best = format!("`cas-sync restore` without a choice puts {} back", generation(&second));
    for words in [chosen.clone(), format!("{chosen} --dry-run")] {
        by_hand(&resident, &words).expect(1, &["presenting a spent one can end every copy", &best]);
    }
    assert_eq!(resident.read(LOGIN), before);
    assert_eq!(by_hand(&resident, &format!("{chosen} --force")).code, Some(2));
    by_hand(&resident, "restore").expect(0, &["RECOVERED"]);
    assert_eq!(login(&resident), parsed(&second));
}

/// A copy whose access token has ended may be spent: it is tried once, whoever asks.
#[test]
fn a_copy_that_may_be_spent_is_put_back_once() {
    let resident = Resident::settle();
    let file = healthy("first", now_ms() - HOUR_MS);
    resident.put(LOGIN, &file);
    by_hand(&resident, "backup").expect(0, &[]);
    resident.put(LOGIN, &tombstone(&file));
    by_hand(&resident, "restore").expect(0, &["Claude Code has to refresh at its next start"]);
    resident.put(LOGIN, &tombstone(&file));
    by_hand(&resident, "restore").expect(79, &["there is no good copy to put back", "cas-sync login"]);
    by_hand(&resident, "restore --list").expect(0, &["used up"]);
    let chosen = format!("restore --generation {}", generation(&file));
    by_hand(&resident, &chosen).expect(79, &["its refresh token may be spent"]);
    assert_eq!(login(&resident), parsed(&tombstone(&file)));
}

#[test]
fn a_copy_that_the_server_rejects_makes_room_again_and_is_not_tried_twice() {
    let (resident, file) = signed_in(20);
    by_hand(&resident, "backup").expect(0, &[]);
    resident.put(LOGIN, &tombstone(&file));
    resident.anthropic().answer_messages(&access_token(&file), Some(MessageAnswer::Revoked));
    let said = by_hand(&resident, "restore");
    said.expect(79, &["rejected by the server", "what lay there before is back", "cas-sync login"]);
    assert_eq!(login(&resident), parsed(&tombstone(&file)));
    by_hand(&resident, "restore --list").expect(0, &["rejected"]);
    by_hand(&resident, &format!("restore --generation {}", generation(&file)))
        .expect(79, &["the server rejected it"]);
    assert_eq!(login(&resident), parsed(&tombstone(&file)));
    assert_eq!(refreshes(&resident), 0);
}

/// A login that looks whole and is dead: a later copy takes its place.
#[test]
fn a_rejected_login_makes_room_for_a_later_copy() {
    let (resident, older) = signed_in(20);
    by_hand(&resident, "backup").expect(0, &[]);
    let newer = resident.sign_in_as("alice", 9);
    by_hand(&resident, "backup").expect(0, &[]);
    resident.put(LOGIN, &older);
    resident.anthropic().answer_messages(&access_token(&older), Some(MessageAnswer::Revoked));
    by_hand(&resident, "restore --no-verify").expect(0, &["was left alone"]);
    assert_eq!(login(&resident), parsed(&older));
    by_hand(&resident, "restore")
        .expect(0, &["RECOVERED login put back from the local history", "verified by inference"]);
    assert_eq!(login(&resident)["claudeAiOauth"], parsed(&newer)["claudeAiOauth"]);
}

#[test]
fn nothing_is_put_back_while_a_setup_token_is_in_use() {
    let (resident, file) = emptied();
    resident.put(ENV_FILE, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-alices_setup-token\n");
    for words in ["restore", "restore --dry-run"] {
        by_hand(&resident, words).expect(1, &["a setup-token is in use"]);
    }
    assert_eq!(login(&resident), parsed(&tombstone(&file)));
}

#[test]
fn without_any_copy_a_person_has_to_sign_in_and_a_store_that_is_away_is_tried_later() {
    let resident = Resident::settle();
    by_hand(&resident, "restore")
        .expect(79, &["there is no login and there is no good copy to put back", "cas-sync login"]);
    resident.put(LOGIN, &tombstone(&fresh("first")));
    by_hand(&resident, "restore").expect(79, &["there is no good copy to put back"]);
    let bao = resident.bao();
    resident.use_store(&bao, Policy::Patch);
    drop(bao);
    by_hand(&resident, "restore").expect(75, &["store unreachable", "the store did not answer"]);
}

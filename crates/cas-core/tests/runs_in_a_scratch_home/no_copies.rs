//! With `oauth_backup = false`: no copy of a login is made, and none that lies there from before is used or touched.

use cas_core::planner::{BackupFilter, Command};

use super::*;

fn without_copies() -> Home {
    let mut home = Home::new();
    home.oauth_backup = false;
    home
}

/// All files of ours that lie in the state directory.
fn kept(home: &Home) -> String {
    let entries = fs::read_dir(home.paths().state_directory).into_iter().flatten();
    entries.map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("text")).collect()
}

#[test]
fn no_copy_is_made_by_any_run() {
    let home = without_copies();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        let outcome = home.run(mode, NOW + 1000);
        assert_eq!((outcome.status, outcome.notes.len()), (Status::Ok, 0), "{mode:?}: {outcome}");
    }
    home.put(&file(&login("r2", NOW + 9 * HOUR)));
    assert!(home.run(Mode::Login, NOW + HOUR).wants_sync, "a new one is to be verified");
    assert!(!home.run(Mode::Login, NOW + HOUR + 1).wants_sync, "once");
    home.run(Mode::Sync, NOW + HOUR + 2);
    assert!(!kept(&home).contains("access-r") && !home.state().path("history.json").exists());
    assert!(kept(&home).contains("generations"), "what is known of it is no copy");

    home.put(TOMBSTONE);
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        let outcome = home.run(mode, NOW + 2 * HOUR);
        assert_eq!(outcome.exit_code(), 79, "{mode:?}: {outcome}");
        assert!(outcome.to_string().contains("no copies are kept here (oauth_backup = false)"), "{outcome}");
        assert_eq!(home.content(), TOMBSTONE);
    }
    assert!(!kept(&home).contains("access-r"));
}

#[test]
fn copies_from_before_are_named_and_neither_used_nor_touched() {
    let mut home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    let history = fs::read(home.state().path("history.json")).expect("a copy");
    home.oauth_backup = false;
    let outcome = home.run(Mode::Sync, NOW + 1000);
    assert_eq!(outcome.exit_code(), 0, "{outcome}");
    assert!(
        outcome
            .to_string()
            .contains("no copy is kept (oauth_backup = false); earlier ones are still in the local history"),
        "{outcome}"
    );
    assert!(!home.run(Mode::Login, NOW + 1000).should_log(), "logins have nothing to say of it");
    home.put(TOMBSTONE);
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        assert_eq!(home.run(mode, NOW + 2000).exit_code(), 79, "{mode:?}");
        assert_eq!(home.content(), TOMBSTONE, "{mode:?}");
    }
    assert_eq!(fs::read(home.state().path("history.json")).expect("there"), history);
    home.oauth_backup = true;
    assert!(is_restored(&home.run(Mode::Login, NOW + 3000)), "and switched on again it is used again");
}

#[test]
fn neither_are_they_made_or_put_back_by_hand() {
    let mut home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    home.oauth_backup = false;
    home.put(TOMBSTONE);
    for errand in [Command::Backup, Command::Restore(BackupFilter::default())] {
        let outcome = home.run(Mode::Command(errand), NOW + 1000);
        assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 1), "{outcome}");
        assert!(outcome.to_string().contains("(oauth_backup = false)"), "{outcome}");
        assert_eq!(home.content(), TOMBSTONE, "{errand:?}");
    }
}

//! With `oauth_backup = false` no login is backed up, and existing backups are neither used nor
//! changed.

use cas_core::planner::{BackupFilter, Command};

use super::*;

fn without_backups() -> Home {
    let mut home = Home::new();
    home.oauth_backup = false;
    home
}

/// Returns the content of all files in the state directory.
fn state_files(home: &Home) -> String {
    let entries = fs::read_dir(home.paths().state_directory).into_iter().flatten();
    entries.map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("text")).collect()
}

#[test]
fn no_run_backs_up_a_login() {
    let home = without_backups();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        let outcome = home.run(mode, NOW + 1000);
        assert_eq!((outcome.status, outcome.notes.len()), (Status::Ok, 0), "{mode:?}: {outcome}");
    }
    home.put(&file(&login("r2", NOW + 9 * HOUR)));
    assert!(home.run(Mode::Login, NOW + HOUR).wants_sync, "a new login should be verified");
    assert!(!home.run(Mode::Login, NOW + HOUR + 1).wants_sync, "once");
    home.run(Mode::Sync, NOW + HOUR + 2);
    assert!(!state_files(&home).contains("access-r") && !home.state().path("history.json").exists());
    assert!(state_files(&home).contains("generations"), "the ledger is kept");

    home.put(CLEARED);
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        let outcome = home.run(mode, NOW + 2 * HOUR);
        assert_eq!(outcome.exit_code(), 79, "{mode:?}: {outcome}");
        assert!(
            outcome.to_string().contains("backups are disabled on this machine (oauth_backup = false)"),
            "{outcome}"
        );
        assert_eq!(home.content(), CLEARED);
    }
    assert!(!state_files(&home).contains("access-r"));
}

#[test]
fn existing_backups_are_reported_and_not_used() {
    let mut home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    let history = fs::read(home.state().path("history.json")).expect("a copy");
    home.oauth_backup = false;
    let outcome = home.run(Mode::Sync, NOW + 1000);
    assert_eq!(outcome.exit_code(), 0, "{outcome}");
    assert!(
        outcome.to_string().contains(
            "backups are disabled (oauth_backup = false); earlier backups are still in the local history"
        ),
        "{outcome}"
    );
    assert!(!home.run(Mode::Login, NOW + 1000).should_log(), "a login does not report it");
    home.put(CLEARED);
    for mode in [Mode::Login, Mode::Watch, Mode::Sync] {
        assert_eq!(home.run(mode, NOW + 2000).exit_code(), 79, "{mode:?}");
        assert_eq!(home.content(), CLEARED, "{mode:?}");
    }
    assert_eq!(fs::read(home.state().path("history.json")).expect("there"), history);
    home.oauth_backup = true;
    assert!(is_restored(&home.run(Mode::Login, NOW + 3000)), "it is used once backups are enabled");
}

#[test]
fn backup_and_restore_commands_are_refused() {
    let mut home = Home::new();
    home.put(&file(&login("r1", NOW + 8 * HOUR)));
    home.run(Mode::Sync, NOW);
    home.oauth_backup = false;
    home.put(CLEARED);
    for command in [Command::Backup, Command::Restore(BackupFilter::default())] {
        let outcome = home.run(Mode::Command(command), NOW + 1000);
        assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 1), "{outcome}");
        assert!(outcome.to_string().contains("(oauth_backup = false)"), "{outcome}");
        assert_eq!(home.content(), CLEARED, "{command:?}");
    }
}

//! Any location of the file.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, chown, symlink};
use std::path::Path;

use cas_tests::claude_login::cleared_login;
use cas_tests::test_user::{LOGIN, TestUser, UID};
use cas_tests::watcher::{Watcher, WriteMethod, Writer, wait_for_login};
use nix::sys::signal::Signal;

use crate::{login_number, wait_until_restored, watched};

fn make_directory(path: &Path) {
    DirBuilder::new().mode(0o700).create(path).expect("made");
    chown(path, Some(UID), Some(UID)).expect("owned by the user");
}

/// Writes a valid login, clears it once the watcher has seen it, and waits for its restore.
fn is_managed(test_user: &TestUser, watcher: &Watcher, number: u64) {
    let (writer, text) = (Writer::new(test_user), login_number(number));
    writer.write(WriteMethod::Rename, &text);
    watcher.process().wait_until_idle();
    writer.write(WriteMethod::Rename, &cleared_login(&text));
    wait_until_restored(test_user, number, &text);
}

#[test]
fn new_user_is_watched_from_the_first_login() {
    let test_user = TestUser::create();
    let directory = test_user.path(".claude");
    fs::remove_dir(&directory).expect("removed");
    let watcher = Watcher::start_without_waiting(&test_user);
    watcher.process().wait_until_watching(&test_user.home());
    make_directory(&directory);
    watcher.process().wait_until_watching(&directory);
    is_managed(&test_user, &watcher, 1);
}

#[test]
fn home_created_at_the_first_login_is_waited_for() {
    let test_user = TestUser::create();
    let (home, elsewhere) = (test_user.home(), test_user.folder().join("not-yet"));
    fs::rename(&home, &elsewhere).expect("there is no home yet");
    let watcher = Watcher::start_without_waiting(&test_user);
    watcher.process().wait_until_watching(test_user.folder());
    assert!(!home.exists(), "it is not for the watcher to make");
    fs::rename(&elsewhere, &home).expect("now there is");
    watcher.process().wait_until_watching(&test_user.path(".claude"));
    is_managed(&test_user, &watcher, 1);
}

/// Until it is mounted there is an empty directory, or one of another user. A file that is created
/// in it would be hidden.
#[test]
fn unmounted_home_is_not_changed_and_watched_once_mounted() {
    for owner in [UID, 0] {
        let test_user = TestUser::create();
        let home = test_user.home();
        for entry in fs::read_dir(&home).expect("a home") {
            fs::remove_dir_all(entry.expect("an entry").path()).expect("removed");
        }
        if owner == 0 {
            fs::write(home.join("README"), "Mounted when you log in.").expect("written");
            chown(&home, Some(owner), None).expect("given");
        }
        let before = fs::read_dir(&home).expect("a home").count();
        let watcher = Watcher::start_without_waiting(&test_user);
        // Files of root can be examined from outside only.
        watcher.process().wait_until_watching(if owner == 0 { test_user.folder() } else { &home });
        assert_eq!(fs::read_dir(&home).expect("a home").count(), before, "of user id {owner}");
        // It is a home.
        match owner {
            0 => chown(&home, Some(UID), Some(UID)).expect("given"),
            _ => make_directory(&home.join("Documents")),
        }
        make_directory(&test_user.path(".claude"));
        watcher.process().wait_until_watching(&test_user.path(".claude"));
        is_managed(&test_user, &watcher, 1);
    }
}

#[test]
fn replaced_directory_is_watched_again() {
    let (test_user, watcher, _) = watched(1);
    let directory = test_user.path(".claude");
    fs::rename(&directory, test_user.path(".claude.old")).expect("moved away");
    watcher.process().wait_until_watching(&test_user.home());
    assert!(!directory.exists(), "only Claude Code creates it");
    make_directory(&directory);
    watcher.process().wait_until_watching(&directory);
    is_managed(&test_user, &watcher, 2);

    fs::remove_dir_all(&directory).expect("removed");
    watcher.process().wait_until_watching(&test_user.home());
    make_directory(&directory);
    watcher.process().wait_until_watching(&directory);
    is_managed(&test_user, &watcher, 3);
}

#[test]
fn login_behind_a_symlink_is_watched_at_its_target() {
    let (test_user, watcher, _) = watched(1);
    let elsewhere = test_user.path("elsewhere");
    make_directory(&elsewhere);
    let target = elsewhere.join("claude-login");
    fs::rename(test_user.path(LOGIN), &target).expect("moved");
    symlink(&target, test_user.path(LOGIN)).expect("linked");
    watcher.process().wait_until_watching(&elsewhere);

    let (writer, text) = (Writer::new(&test_user), login_number(2));
    writer.write(WriteMethod::InPlace, &text);
    watcher.process().wait_until_idle();
    writer.write(WriteMethod::InPlace, &cleared_login(&text));
    wait_until_restored(&test_user, 2, &text);
    assert!(test_user.path(LOGIN).is_symlink() && !target.is_symlink(), "the link stays a link");
}

#[test]
fn retargeted_directory_symlink_is_followed() {
    let test_user = TestUser::create();
    let (directory, one, two) = (test_user.path(".claude"), test_user.path("one"), test_user.path("two"));
    fs::rename(&directory, &one).expect("moved");
    make_directory(&two);
    symlink(&one, &directory).expect("linked");
    let watcher = Watcher::start(&test_user);
    is_managed(&test_user, &watcher, 1);

    let other = test_user.path("other-link");
    symlink(&two, &other).expect("linked");
    fs::rename(&other, &directory).expect("replaced");
    watcher.process().wait_until_watching(&two);
    is_managed(&test_user, &watcher, 2);
}

#[test]
fn lost_events_are_recovered_by_a_new_scan() {
    let (test_user, watcher, text) = watched(1);
    let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("a limit");
    let queue: usize = queue.trim().parse().expect("a number");
    watcher.signal(Signal::SIGSTOP);
    for number in 0..=queue {
        let path = test_user.path(&format!(".claude/{number}"));
        fs::write(&path, "").and_then(|()| fs::remove_file(&path)).expect("made and removed");
    }
    Writer::new(&test_user).write(WriteMethod::Rename, &cleared_login(&text));
    watcher.signal(Signal::SIGCONT);
    wait_for_login(&test_user, |found| found == text);
}

//! The cost of an idle watcher, and its end.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use cas_tests::claude_login::cleared_login;
use cas_tests::test_user::LOGIN;
use cas_tests::watcher::{Watcher, WriteMethod, Writer, eventually};
use nix::sys::signal::Signal;

use crate::{login_number, wait_until_restored, watched};

#[test]
fn idle_watcher_is_never_woken_up() {
    let (test_user, watcher, _) = watched(1);
    let before = watcher.process().account();
    // Events elsewhere in the home, and reads of the login, do not concern the watcher.
    std::thread::sleep(Duration::from_secs(2));
    for name in ["notes.txt", ".bash_history", ".config/some.toml"] {
        fs::write(test_user.path(name), "text").expect("written");
    }
    assert!(test_user.read(LOGIN).is_some());
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(watcher.process().account(), before);
}

/// The private memory only. The pages of the program and of the C library, which several watchers
/// share, are about 4 MiB more (`docs/design/performance.md`).
#[test]
fn watcher_memory_stays_below_a_mebibyte() {
    let (test_user, watcher, _) = watched(0);
    let writer = Writer::new(&test_user);
    for number in 1..=20 {
        let text = login_number(number);
        writer.write(WriteMethod::Rename, &text);
        writer.write(WriteMethod::Rename, &cleared_login(&text));
        wait_until_restored(&test_user, number, &text);
    }
    watcher.process().wait_until_idle();
    let account = watcher.process().account();
    assert!(account.anonymous_kib < 1024 && account.peak_kib < 6 * 1024, "{account:?}");
}

#[test]
fn watcher_memory_cannot_be_read_by_the_user() {
    let (_test_user, watcher, _) = watched(1);
    let process = watcher.process().directory();
    // The kernel gives root what belongs to a process that must not be dumped (proc(5)).
    assert_eq!(fs::metadata(process.join("mem")).expect("it lives").uid(), 0);
    let limits = fs::read_to_string(process.join("limits")).expect("it lives");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
}

#[test]
fn signal_ends_the_watcher_without_leftovers() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (test_user, watcher, text) = watched(1);
        Writer::new(&test_user).write(WriteMethod::Rename, &cleared_login(&text));
        wait_until_restored(&test_user, 1, &text);
        watcher.signal(signal);
        assert_eq!(watcher.end(), Some(0));
        let left: Vec<_> = fs::read_dir(test_user.path(".claude")).expect("listed").collect();
        assert_eq!(left.len(), 1, "no lock and no temporary file: {left:?}");
    }
}

#[test]
fn second_watcher_waits_and_takes_over() {
    let (test_user, first, _) = watched(1);
    let second = Watcher::start_without_waiting(&test_user);
    let waits = || fs::read_to_string(second.process().directory().join("wchan"));
    let threads = || second.process().account().threads;
    eventually("a second one that waits", || waits().is_ok_and(|at| at.contains("unix_stream_read")));
    assert_eq!(threads(), 1, "it does nothing yet");
    first.signal(Signal::SIGTERM);
    assert_eq!(first.end(), Some(0));
    second.process().wait_until_watching(&test_user.path(".claude"));
    let (writer, text) = (Writer::new(&test_user), login_number(2));
    writer.write(WriteMethod::Rename, &text);
    writer.write(WriteMethod::Rename, &cleared_login(&text));
    wait_until_restored(&test_user, 2, &text);
}

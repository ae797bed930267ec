//! At a terminal: the input is not echoed, and the terminal is restored at the end in every case.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use cas_tests::anthropic::MessageAnswer;
use cas_tests::test_user::{STATE, TestUser};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{OLD, TOKEN, activate_token, env_file, user_with_claude};

const PROMPT: &str = "Setup token (input is hidden";

#[test]
fn pasted_token_of_one_or_more_lines_is_not_echoed() {
    for columns in [80, 200] {
        let test_user = user_with_claude();
        let terminal = test_user.run_at_terminal("cas-sync", &["token", "set"], columns);
        terminal.wait_for(PROMPT);
        terminal.wait_for_echo_mode(false);
        let (one, rest) = TOKEN.split_at(30);
        terminal.type_text(&format!("{one}\n{rest}\n"));
        let (status, screen, echoes) = terminal.end();
        assert_eq!((status.code(), echoes), (Some(0), true), "{screen}");
        assert!(!screen.contains(one) && !screen.contains(rest), "{screen}");
        assert!(screen.contains("active for your next sessions"), "{screen}");
        assert_eq!(env_file(&test_user).as_deref(), Some(TOKEN));
    }
}

#[test]
fn interrupted_prompt_restores_the_terminal() {
    let test_user = user_with_claude();
    activate_token(&test_user, OLD);
    let before = test_user.all_files();
    let asked = |test_user: &TestUser| {
        let terminal = test_user.run_at_terminal("cas-sync", &["token", "set"], 80);
        terminal.wait_for(PROMPT);
        terminal.wait_for_echo_mode(false);
        terminal
    };
    // Half of a token, and control-C; the same by kill(1); the end of input; nothing; something
    // else; keys without a function.
    let terminal = asked(&test_user);
    terminal.type_text("sk-ant-oat01-ab\x03");
    let (status, screen, echoes) = terminal.end();
    assert_eq!((status.signal().or(status.code()), echoes), (Some(2), true), "{screen}");
    assert!(screen.contains("interrupted") && !screen.contains("sk-ant-oat01-ab"), "{screen}");
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let terminal = asked(&test_user);
        kill(Pid::from_raw(i32::try_from(terminal.pid()).expect("a pid")), signal).expect("sent");
        let (status, screen, echoes) = terminal.end();
        assert_eq!((status.signal().or(status.code()), echoes), (Some(signal as i32), true), "{screen}");
    }
    for (typed, says) in [
        ("\x04", "the input is empty"),
        ("\n", "the input is empty"),
        ("secret\x1a\x1cpassword\n", "does not begin with"),
    ] {
        let terminal = asked(&test_user);
        terminal.type_text(typed);
        let (status, screen, echoes) = terminal.end();
        assert_eq!((status.code(), echoes), (Some(1), true), "{screen}");
        assert!(screen.contains(says) && !screen.contains("secret"), "{says}: {screen}");
    }
    assert_eq!(test_user.all_files(), before);
    assert_eq!(test_user.anthropic().requests(), []);
}

#[test]
fn interrupt_during_verification_changes_nothing() {
    let test_user = user_with_claude();
    activate_token(&test_user, OLD);
    test_user.anthropic().answer_messages(TOKEN, Some(MessageAnswer::Silence));
    let before = test_user.all_files();
    let terminal = test_user.run_at_terminal("cas-sync", &["token", "set"], 80);
    terminal.wait_for(PROMPT);
    terminal.wait_for_echo_mode(false);
    terminal.type_text(&format!("{TOKEN}\n"));
    let deadline = cas_protocol::deadline::Deadline::after(Duration::from_secs(60));
    assert!(test_user.anthropic().wait_for(&deadline, |request| request.is_message()), "claude never asked");
    let began = Instant::now();
    terminal.type_text("\x03");
    let (status, screen, echoes) = terminal.end();
    assert_eq!((status.signal().or(status.code()), echoes), (Some(2), true), "{screen}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(screen.contains("interrupted; nothing was changed"), "{screen}");
    assert_eq!(test_user.all_files(), before);
    assert_eq!(test_user.remaining_scratch_directories(), Vec::<String>::new());
}

#[test]
fn token_set_waits_for_a_running_sync_and_reports_it() {
    let test_user = user_with_claude();
    activate_token(&test_user, OLD);
    let lock =
        File::options().write(true).open(test_user.path(&format!("{STATE}/lock"))).expect("a lock file");
    let held = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno).expect("free");
    let start = || {
        let terminal = test_user.run_at_terminal("cas-sync", &["token", "set"], 80);
        terminal.wait_for(PROMPT);
        terminal.wait_for_echo_mode(false);
        terminal.type_text(&format!("{TOKEN}\n"));
        terminal.wait_for("A sync is running; waiting");
        terminal
    };
    let terminal = start();
    terminal.type_text("\x03");
    let (status, screen, _) = terminal.end();
    assert_eq!(status.signal().or(status.code()), Some(2), "{screen}");
    assert_eq!(env_file(&test_user).as_deref(), Some(OLD));
    let terminal = start();
    drop(held);
    let (status, screen, _) = terminal.end();
    assert_eq!((status.code(), env_file(&test_user).as_deref()), (Some(0), Some(TOKEN)), "{screen}");
}

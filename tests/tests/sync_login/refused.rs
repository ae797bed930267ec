//! Failed, refused or interrupted sign-ins: every file is unchanged, and the new login is signed
//! out.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use cas_protocol::deadline::Deadline;
use cas_tests::anthropic::{Account, MessageAnswer, RevokeAnswer};
use cas_tests::claude_client::{NEWEST, OLDER};
use cas_tests::test_user::{LOGIN, TestUser};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{
    CODE, assert_no_trace, login, other_account, sign_in, start_sign_in, state_in, unfolded,
    write_client_state_file,
};

const EMAIL: [&str; 2] = ["--email", "alice@example.org"];
const NEW_TOKEN: &str = "sk-ant-oat01-person-1-1";

/// Creates a user with a login that a sync knows, and a client state.
fn user_with_claude() -> TestUser {
    let test_user = TestUser::create_with_claude();
    test_user.sign_in();
    test_user.sync();
    write_client_state_file(&test_user, "{\"numStartups\": 5}\n");
    test_user.anthropic().forget_requests();
    test_user
}

/// Returns how often a login was signed out at the server.
fn signed_out(test_user: &TestUser) -> usize {
    test_user.anthropic().requests().iter().filter(|request| request.path.ends_with("/revoke")).count()
}

#[test]
fn login_that_is_rejected_is_signed_out_again() {
    let test_user = user_with_claude();
    let before = test_user.all_files();
    for (index, (answer, code, says)) in [
        (MessageAnswer::Invalid, 79, "sign in again"),
        (MessageAnswer::Overloaded, 75, "--unverified"),
        (MessageAnswer::OrganizationForbidden, 1, "administrator"),
    ]
    .into_iter()
    .enumerate()
    {
        let token = format!("sk-ant-oat01-person-{}-1", index + 1);
        test_user.anthropic().answer_messages(&token, Some(answer));
        let (status, screen) = sign_in(&test_user, &EMAIL, Account::personal());
        assert_eq!(status.code(), Some(code), "{screen}");
        for part in [says, "your login was not changed", "the new login was signed out"] {
            assert!(screen.contains(part), "{part}: {screen}");
        }
        assert_eq!(signed_out(&test_user), index + 1, "{screen}");
        assert_eq!(test_user.all_files(), before, "{screen}");
        assert_no_trace(&test_user);
    }
}

/// The client reports a success also if the login was not revoked.
#[test]
fn login_that_was_not_signed_out_is_reported() {
    for version in [NEWEST, OLDER] {
        let test_user = TestUser::create_with_claude_version(version);
        test_user.anthropic().answer_messages(NEW_TOKEN, Some(MessageAnswer::Overloaded));
        test_user.anthropic().answer_revocations(RevokeAnswer::Disconnect);
        let (status, screen) = sign_in(&test_user, &EMAIL, Account::personal());
        assert_eq!((status.code(), signed_out(&test_user) >= 1), (Some(75), true), "{version}: {screen}");
        assert!(screen.contains("could not be signed out at the Anthropic API"), "{version}: {screen}");
    }
}

#[test]
fn inconclusive_login_is_accepted_only_on_request() {
    let test_user = user_with_claude();
    test_user.anthropic().answer_messages(NEW_TOKEN, Some(MessageAnswer::Overloaded));
    let (status, screen) =
        sign_in(&test_user, &[&EMAIL[..], &["--unverified"]].concat(), Account::personal());
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(screen.contains("not verified"), "{screen}");
    assert_eq!(login(&test_user)["claudeAiOauth"]["accessToken"], NEW_TOKEN);
}

#[test]
fn other_account_or_organization_is_refused_by_default() {
    let test_user = TestUser::create_with_claude();
    assert_eq!(sign_in(&test_user, &EMAIL, Account::personal()).0.code(), Some(0));
    test_user.anthropic().forget_requests();
    let before = test_user.all_files();
    let (status, screen) = sign_in(&test_user, &EMAIL, other_account());
    assert_eq!((status.code(), signed_out(&test_user)), (Some(79), 1), "{screen}");
    assert!(screen.contains("--switch-account"), "{screen}");
    assert_eq!(test_user.all_files(), before);

    let configuration = test_user.folder().join("etc/claude-auth-sync/conf.d/organisation.toml");
    std::fs::write(configuration, "expected_organization = \"another-one\"\n").expect("written");
    let (status, screen) =
        sign_in(&test_user, &[&EMAIL[..], &["--switch-account"]].concat(), other_account());
    assert_eq!((status.code(), signed_out(&test_user)), (Some(79), 2), "{screen}");
    assert!(screen.contains("not to another-one"), "{screen}");
    assert_eq!(test_user.all_files(), before);
    assert_no_trace(&test_user);
}

#[test]
fn wrong_code_is_reported_in_the_clients_words() {
    let test_user = user_with_claude();
    let before = test_user.all_files();
    for typed in ["nonsense#state\n", "\n", "\x04", "two words\n"] {
        let terminal = start_sign_in(&test_user, &EMAIL);
        terminal.type_text(typed);
        let (status, screen, echoes) = terminal.end();
        let screen = unfolded(&screen);
        assert_eq!((status.code(), echoes), (Some(1), true), "{screen}");
        assert!(screen.contains("your login was not changed"), "{screen}");
        let of_client = screen.contains("That code wasn't accepted");
        assert_eq!(of_client, typed.starts_with("nonsense"), "{screen}");
        assert_eq!((test_user.all_files(), signed_out(&test_user)), (before.clone(), 0));
        assert_no_trace(&test_user);
    }
}

#[test]
fn interrupted_sign_in_changes_nothing() {
    let test_user = user_with_claude();
    let before = test_user.all_files();
    let end = |terminal: cas_tests::pseudo_terminal::PseudoTerminal, signal: Signal| {
        let began = Instant::now();
        match signal {
            Signal::SIGINT => terminal.type_text("\x03"),
            other => kill(Pid::from_raw(i32::try_from(terminal.pid()).expect("a pid")), other).expect("sent"),
        }
        let (status, screen, echoes) = terminal.end();
        let screen = unfolded(&screen);
        assert_eq!((status.signal().or(status.code()), echoes), (Some(signal as i32), true), "{screen}");
        assert!(screen.contains("interrupted; your login was not changed"), "{screen}");
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        assert_eq!(test_user.all_files(), before);
        assert_no_trace(&test_user);
    };
    // Before there is a code.
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        end(start_sign_in(&test_user, &EMAIL), signal);
    }
    assert_eq!(signed_out(&test_user), 0);
    // During the verification of the new login.
    test_user.anthropic().show_code(CODE, Account::personal());
    test_user.anthropic().answer_messages(NEW_TOKEN, Some(MessageAnswer::Silence));
    let terminal = start_sign_in(&test_user, &EMAIL);
    terminal.type_text(&format!("{CODE}#{}\n", state_in(&terminal.shown())));
    let deadline = Deadline::after(Duration::from_secs(60));
    assert!(test_user.anthropic().wait_for(&deadline, |request| request.is_message()), "claude never asked");
    end(terminal, Signal::SIGINT);
    assert_eq!(signed_out(&test_user), 1);
}

#[test]
fn sign_in_without_client_code_or_home_is_an_error() {
    let test_user = user_with_claude();
    let run = |words: &[&str]| test_user.output(test_user.command(&test_user.program("cas-sync"), words));
    let before = test_user.all_files();
    let check = |output: std::process::Output, code: i32, says: &str| {
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(complained.contains("cas-sync: ") && complained.contains(says), "{says}: {output:?}");
        assert_eq!(test_user.all_files(), before);
    };
    check(run(&["login", "--email", "alice"]), 2, "alice@example.org");
    check(run(&["login", "--email", "alice@example.org"]), 1, "cannot read the code: the input is empty");
    let with_root_user = test_user.command_of_root(&test_user.program("cas-sync"), &["login"]);
    check(test_user.output(with_root_user), 1, "runuser -u NAME");
    let mut elsewhere = test_user.command(&test_user.program("cas-sync"), &["login"]);
    elsewhere.env("CLAUDE_CREDENTIALS_FILE", test_user.path("login.json"));
    check(test_user.output(elsewhere), 69, "CLAUDE_CREDENTIALS_FILE");
    test_user.configure("[claude]\nprogram = \"/nonexistent/claude\"\n");
    check(run(&["login", "--email", "alice@example.org"]), 69, "claude.program");
    assert_no_trace(&test_user);
    // A file of another user is reported before the sign-in in the browser.
    std::os::unix::fs::chown(test_user.path(LOGIN), Some(0), Some(0)).expect("given to root");
    let output = run(&["login", "--email", "alice@example.org"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

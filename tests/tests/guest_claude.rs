//! Users log in and run the real `claude`, which works with their own credentials only.

use std::{thread, time::Duration};

use cas_protocol::deadline::Deadline;
use cas_tests::{
    anthropic::fingerprint,
    claude_login::parsed,
    guest::{ClaudeGuest, Suite, VARIABLE, is_cleared, login_path},
};
use serde_json::Value;

/// A timeout far above the duration of a response, so that a slow machine does not fail.
const LIMIT: Duration = Duration::from_secs(60);

const ALICES_TOKEN: &str = "sk-ant-oat01-alices_setup-token";

#[test]
fn claude_in_a_guest_is_read_only_and_reaches_nothing_outside() {
    let machine = ClaudeGuest::start(Suite::Bookworm).unwrap_or_else(|error| panic!("{error}"));
    let mounted = machine.guest.run("findmnt --noheadings --output VFS-OPTIONS /usr/local/bin/claude");
    assert!(mounted.expect_success("findmnt").text().split([',', '\n']).any(|option| option == "ro"));
    assert_eq!(machine.guest.run("ip route; ip -6 route").text(), "");
    let output = machine.claude("alice");
    assert!(output.text().starts_with("Not logged in") && output.exit_code == Some(1), "{output:?}");
}

#[test]
fn ssh_login_restores_a_cleared_login_for_claude_on_bookworm() {
    check_claude_after_an_ssh_login(Suite::Bookworm);
}

#[test]
fn ssh_login_restores_a_cleared_login_for_claude_on_trixie() {
    check_claude_after_an_ssh_login(Suite::Trixie);
}

fn check_claude_after_an_ssh_login(suite: Suite) {
    let machine = ClaudeGuest::with_product(suite, &["alice"]);
    let good = machine.lose_login("alice");
    machine.guest.disable_module();
    let output = machine.claude("alice");
    assert!(!output.answered() && output.exit_code == Some(1), "without the product: {output:?}");
    machine.guest.enable_module();

    let output = machine.claude("alice");

    assert!(output.answered() && output.exit_code == Some(0), "{output:?}");
    assert_eq!(asked_with(&machine), [access_token(&good)], "with the restored token, and without a refresh");
    assert_eq!(parsed(&machine.guest.read_login("alice")), good);
    assert_eq!(machine.guest.file_status(&login_path("alice")), "600 alice:alice regular file");

    // The restored login is complete: after its expiry the client refreshes it.
    assert!(machine.anthropic.expire("alice-1"), "it is the first sign-in");
    let output = machine.claude("alice");
    assert!(output.answered() && output.exit_code == Some(0), "{output:?}");
    let next = parsed(&machine.guest.read_login("alice"));
    assert_ne!(next["claudeAiOauth"]["refreshToken"], good["claudeAiOauth"]["refreshToken"]);
    assert_eq!(next["mcpOAuth"], good["mcpOAuth"]);
}

#[test]
fn console_login_restores_a_cleared_login_for_claude() {
    let machine = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    let good = machine.lose_login("alice");

    let mut console = machine.guest.console("alice");
    let output = console.at_prompt("claude -p 'Reply with AUTH_OK.'");
    console.leave();

    assert!(output.contains("AUTH_OK\n"), "{output:?}");
    assert_eq!(asked_with(&machine), [access_token(&good)]);
    assert_eq!(parsed(&machine.guest.read_login("alice")), good);
}

#[test]
fn running_claude_uses_a_login_restored_by_another_session() {
    let machine = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    let mut running = machine.start_conversation("alice");
    let mut ask =
        || running.ask("Reply with AUTH_OK.", LIMIT).unwrap_or_else(|error| panic!("no answer: {error}"));
    let good = machine.lose_login_with("alice", &mut ask);

    machine.guest.ssh("alice", "true").expect_success("a login elsewhere");

    let output = ask();
    assert!(output.answered(), "{output:?}");
    assert_eq!(asked_with(&machine), [access_token(&good)]);
    assert_eq!(running.leave(LIMIT).expect("it ends"), Some(0));
}

#[test]
fn logins_during_a_refresh_lose_no_login() {
    const CLIENTS: usize = 4;
    const LOGINS: usize = 10;
    let machine = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    machine.lose_login("alice"); // from here on there is an older backup that could be restored
    let spent = machine.sign_in_yesterday("alice");
    let stale = machine.guest.read_login("alice");

    let answers = thread::scope(|scope| {
        let held = machine.anthropic.has_held_refreshes();
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| machine.claude("alice"))).collect();
        assert!(machine.anthropic.wait_for(&Deadline::after(LIMIT), |request| request.is_refresh()));
        let logins: Vec<_> =
            (0..LOGINS).map(|_| scope.spawn(|| machine.guest.ssh("alice", "true"))).collect();
        for login in logins {
            login.join().expect("a login's thread").expect_success("a login in the middle of a refresh");
        }
        assert_eq!(
            machine.guest.read_login("alice"),
            stale,
            "the refresh is in progress, and the file is unchanged"
        );
        drop(held);
        clients.into_iter().map(|client| client.join().expect("a client's thread")).collect::<Vec<_>>()
    });

    assert_eq!(answers.len(), CLIENTS);
    for output in answers {
        assert!(output.answered() && output.exit_code == Some(0), "{output:?}");
    }
    let refreshes: Vec<_> =
        machine.anthropic.requests().into_iter().filter(|request| request.is_refresh()).collect();
    assert_eq!(refreshes.len(), 1, "{refreshes:?}");
    let login = parsed(&machine.guest.read_login("alice"));
    assert!(!is_cleared(&login) && login["claudeAiOauth"]["refreshToken"] != spent.refresh_token, "{login}");
    let litter =
        machine.guest.run("ls -A ~alice/.claude ~alice | grep -E 'lock$|cas-|credentials.json.tmp'").text();
    assert_eq!(litter, "", "no lock and no temporary file stays behind");
}

#[test]
fn claude_uses_the_setup_token_of_the_env_file() {
    let machine = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    machine.sign_in("alice");
    store_setup_token_of_alice(&machine);
    let before = machine.guest.file_identity(&login_path("alice"));

    let output = machine.claude("alice");

    assert!(output.answered() && output.exit_code == Some(0), "{output:?}");
    assert_eq!(asked_with(&machine), [fingerprint(ALICES_TOKEN)]);
    assert_eq!(machine.guest.file_identity(&login_path("alice")), before, "the login is not changed");
}

#[test]
fn job_without_a_login_gets_the_setup_token_by_exec() {
    let machine = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    store_setup_token_of_alice(&machine);
    let job =
        "systemd-run --quiet --pipe --wait --collect --uid=alice --property=EnvironmentFile=/etc/environment";

    let output = machine.claude_in(|question| machine.guest.run(&format!("{job} sh -c \"{question}\"")));
    assert!(!output.answered(), "without the launcher there is nothing to answer with: {output:?}");
    let output = machine
        .claude_in(|question| machine.guest.run(&format!("{job} cas-session exec -- sh -c \"{question}\"")));

    assert!(output.answered() && output.exit_code == Some(0), "{output:?}");
    assert_eq!(asked_with(&machine), [fingerprint(ALICES_TOKEN)]);
}

#[test]
fn empty_variable_after_su_counts_as_no_token() {
    let machine = ClaudeGuest::with_product(Suite::Bookworm, &["alice", "bob"]);
    store_setup_token_of_alice(&machine);
    let bobs = machine.sign_in("bob");
    // Without a dash, su passes the environment of alice on, including the token.
    let as_bob = |command: &str| {
        machine.guest.ssh("alice", &format!("echo bob-password | su bob -c \"cd; HOME=/home/bob {command}\""))
    };
    let variable = as_bob(&format!("printenv {VARIABLE}; id -un")).expect_success("su bob").text();
    assert_eq!(variable, "\nbob\n", "it is set, and empty");

    let output = machine.claude_in(as_bob);

    assert!(output.answered() && output.exit_code == Some(0), "{output:?}");
    assert_eq!(asked_with(&machine), [fingerprint(&bobs.access_token)], "bob's own login");
}

fn store_setup_token_of_alice(machine: &ClaudeGuest) {
    machine.anthropic.accept_setup_token(ALICES_TOKEN);
    machine.guest.put_token("alice", ALICES_TOKEN);
}

/// Returns the fingerprints of the tokens in requests for inference or a refresh, in order.
fn asked_with(machine: &ClaudeGuest) -> Vec<String> {
    machine.anthropic.essential_requests().into_iter().filter_map(|request| request.token).collect()
}

/// Returns the fingerprint of the access token in a login file.
fn access_token(file: &Value) -> String {
    fingerprint(file["claudeAiOauth"]["accessToken"].as_str().unwrap_or_default())
}

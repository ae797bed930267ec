//! Users log in and run the real `claude`: it works with their own credential only.

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
    let desk = ClaudeGuest::start(Suite::Bookworm).unwrap_or_else(|error| panic!("{error}"));
    let mounted = desk.guest.run("findmnt --noheadings --output VFS-OPTIONS /usr/local/bin/claude");
    assert!(mounted.expect_success("findmnt").text().split([',', '\n']).any(|option| option == "ro"));
    assert_eq!(desk.guest.run("ip route; ip -6 route").text(), "");
    let said = desk.claude("alice");
    assert!(said.text().starts_with("Not logged in") && said.exit_code == Some(1), "{said:?}");
}

#[test]
fn ssh_login_restores_a_cleared_login_for_claude_on_bookworm() {
    claude_works_after_an_ssh_login(Suite::Bookworm);
}

#[test]
fn ssh_login_restores_a_cleared_login_for_claude_on_trixie() {
    claude_works_after_an_ssh_login(Suite::Trixie);
}

fn claude_works_after_an_ssh_login(suite: Suite) {
    let desk = ClaudeGuest::with_product(suite, &["alice"]);
    let good = desk.lose_login("alice");
    desk.guest.disable_module();
    let said = desk.claude("alice");
    assert!(!said.answered() && said.exit_code == Some(1), "without us: {said:?}");
    desk.guest.enable_module();

    let said = desk.claude("alice");

    assert!(said.answered() && said.exit_code == Some(0), "{said:?}");
    assert_eq!(asked_with(&desk), [access_token(&good)], "with what was put back, and without a refresh");
    assert_eq!(parsed(&desk.guest.login_of("alice")), good);
    assert_eq!(desk.guest.status_of(&login_path("alice")), "600 alice:alice regular file");

    // The restored login is complete: after its expiry the client refreshes it.
    assert!(desk.anthropic.expire("alice-1"), "it is her first sign-in");
    let said = desk.claude("alice");
    assert!(said.answered() && said.exit_code == Some(0), "{said:?}");
    let next = parsed(&desk.guest.login_of("alice"));
    assert_ne!(next["claudeAiOauth"]["refreshToken"], good["claudeAiOauth"]["refreshToken"]);
    assert_eq!(next["mcpOAuth"], good["mcpOAuth"]);
}

#[test]
fn console_login_restores_a_cleared_login_for_claude() {
    let desk = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    let good = desk.lose_login("alice");

    let mut console = desk.guest.console("alice");
    let said = console.at_prompt("claude -p 'Reply with AUTH_OK.'");
    console.leave();

    assert!(said.contains("AUTH_OK\n"), "{said:?}");
    assert_eq!(asked_with(&desk), [access_token(&good)]);
    assert_eq!(parsed(&desk.guest.login_of("alice")), good);
}

#[test]
fn running_claude_uses_a_login_restored_by_another_session() {
    let desk = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    let mut running = desk.converse("alice");
    let mut ask =
        || running.ask("Reply with AUTH_OK.", LIMIT).unwrap_or_else(|error| panic!("no answer: {error}"));
    let good = desk.lose_login_with("alice", &mut ask);

    desk.guest.ssh("alice", "true").expect_success("a login elsewhere");

    let said = ask();
    assert!(said.answered(), "{said:?}");
    assert_eq!(asked_with(&desk), [access_token(&good)]);
    assert_eq!(running.leave(LIMIT).expect("it ends"), Some(0));
}

#[test]
fn logins_during_a_refresh_lose_no_login() {
    const CLIENTS: usize = 4;
    const LOGINS: usize = 10;
    let desk = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    desk.lose_login("alice"); // from here on there is an older copy that could be put back
    let spent = desk.sign_in_yesterday("alice");
    let stale = desk.guest.login_of("alice");

    let answers = thread::scope(|scope| {
        let held = desk.anthropic.has_held_refreshes();
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| desk.claude("alice"))).collect();
        assert!(desk.anthropic.wait_for(&Deadline::after(LIMIT), |request| request.is_refresh()));
        let logins: Vec<_> = (0..LOGINS).map(|_| scope.spawn(|| desk.guest.ssh("alice", "true"))).collect();
        for login in logins {
            login.join().expect("a login's thread").expect_success("a login in the middle of a refresh");
        }
        assert_eq!(
            desk.guest.login_of("alice"),
            stale,
            "the refresh is still going on, and nobody has written"
        );
        drop(held);
        clients.into_iter().map(|client| client.join().expect("a client's thread")).collect::<Vec<_>>()
    });

    assert_eq!(answers.len(), CLIENTS);
    for said in answers {
        assert!(said.answered() && said.exit_code == Some(0), "{said:?}");
    }
    let refreshes: Vec<_> =
        desk.anthropic.requests().into_iter().filter(|request| request.is_refresh()).collect();
    assert_eq!(refreshes.len(), 1, "{refreshes:?}");
    let login = parsed(&desk.guest.login_of("alice"));
    assert!(!is_cleared(&login) && login["claudeAiOauth"]["refreshToken"] != spent.refresh_token, "{login}");
    let litter =
        desk.guest.run("ls -A ~alice/.claude ~alice | grep -E 'lock$|cas-|credentials.json.tmp'").text();
    assert_eq!(litter, "", "no lock and no temporary file stays behind");
}

#[test]
fn claude_uses_the_setup_token_of_the_env_file() {
    let desk = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    desk.sign_in("alice");
    keep_setup_token_of_alice(&desk);
    let before = desk.guest.identity_of(&login_path("alice"));

    let said = desk.claude("alice");

    assert!(said.answered() && said.exit_code == Some(0), "{said:?}");
    assert_eq!(asked_with(&desk), [fingerprint(ALICES_TOKEN)]);
    assert_eq!(desk.guest.identity_of(&login_path("alice")), before, "her login is not touched");
}

#[test]
fn job_without_a_login_gets_the_setup_token_by_exec() {
    let desk = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    keep_setup_token_of_alice(&desk);
    let job =
        "systemd-run --quiet --pipe --wait --collect --uid=alice --property=EnvironmentFile=/etc/environment";

    let said = desk.claude_in(|question| desk.guest.run(&format!("{job} sh -c \"{question}\"")));
    assert!(!said.answered(), "without the launcher there is nothing to answer with: {said:?}");
    let said =
        desk.claude_in(|question| desk.guest.run(&format!("{job} cas-session exec -- sh -c \"{question}\"")));

    assert!(said.answered() && said.exit_code == Some(0), "{said:?}");
    assert_eq!(asked_with(&desk), [fingerprint(ALICES_TOKEN)]);
}

#[test]
fn empty_variable_after_su_counts_as_no_token() {
    let desk = ClaudeGuest::with_product(Suite::Bookworm, &["alice", "bob"]);
    keep_setup_token_of_alice(&desk);
    let bobs = desk.sign_in("bob");
    // Without a dash su hands alice's environment over, her token in it.
    let as_bob = |command: &str| {
        desk.guest.ssh("alice", &format!("echo bob-password | su bob -c \"cd; HOME=/home/bob {command}\""))
    };
    let variable = as_bob(&format!("printenv {VARIABLE}; id -un")).expect_success("su bob").text();
    assert_eq!(variable, "\nbob\n", "it is set, and empty");

    let said = desk.claude_in(as_bob);

    assert!(said.answered() && said.exit_code == Some(0), "{said:?}");
    assert_eq!(asked_with(&desk), [fingerprint(&bobs.access_token)], "bob's own login");
}

fn keep_setup_token_of_alice(desk: &ClaudeGuest) {
    desk.anthropic.accept_setup_token(ALICES_TOKEN);
    desk.guest.put_token("alice", ALICES_TOKEN);
}

/// The fingerprints of the tokens with which the servers were asked for inference or a refresh, in
/// order.
fn asked_with(desk: &ClaudeGuest) -> Vec<String> {
    desk.anthropic.essential_requests().into_iter().filter_map(|request| request.token).collect()
}

/// The fingerprint of the access token in a login file.
fn access_token(file: &Value) -> String {
    fingerprint(file["claudeAiOauth"]["accessToken"].as_str().unwrap_or_default())
}

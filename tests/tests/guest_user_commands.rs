//! A user who is logged in by ssh activates and removes a setup token and signs in: at a real
//! terminal, with a real store. No secret is visible to other users, and none is left where it
//! should not be.

use std::{thread, time::Duration};

use cas_tests::claude_client::state_of_sign_in;
use cas_tests::{
    anthropic::{Account, MessageAnswer},
    claude_login::parsed,
    guest::{ClaudeGuest, Suite, Terminal, env_file_path, is_cleared, login_path},
};
use serde_json::json;

const TOKEN: &str = "sk-ant-oat01-pasted_at_a_real_terminal-0123456789";
const CODE: &str = "code-of-the-browser-0123456789";
const NEW_REFRESH_TOKEN: &str = "sk-ant-ort01-person-1-1";

/// Returns what any user can see of the processes, and what root can see additionally.
fn visible_process_data(host: &ClaudeGuest) -> String {
    let script =
        "for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/cmdline; tr '\\0' '\\n' <$p/environ; done 2>/dev/null";
    host.guest.run(script).text()
}

/// Returns the files of the machine that contain this text, except those of root.
fn files_with(host: &ClaudeGuest, text: &str) -> String {
    host.guest.write("/root/needle", "root", "600", text.as_bytes());
    let places = "/home /var/log /var/lib/claude-auth-sync /run /tmp /var/tmp /etc";
    // A FIFO or a socket is not read.
    host.guest.run(&format!("grep -rlF --devices=skip -f /root/needle {places} 2>/dev/null | sort")).text()
}

fn journal(host: &ClaudeGuest) -> String {
    host.guest.run("journalctl --no-pager --output=export --all | tr -cd '\\11\\12\\40-\\176'").text()
}

/// Opens a shell by ssh.
fn shell(host: &ClaudeGuest) -> Terminal {
    let mut terminal = host.guest.ssh_terminal("alice");
    terminal.wait_for("$ ");
    terminal
}

#[test]
fn setup_token_and_login_entered_by_ssh_are_not_visible() {
    let (host, _bao, users) = ClaudeGuest::with_store(Suite::Bookworm, &["alice"]);
    let alice = users.first().expect("one user");
    alice.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    host.sign_in("alice");
    host.guest.sync("alice").expect_success("the first backup");
    host.anthropic.accept_setup_token(TOKEN);
    host.anthropic.forget_requests();

    // A client that waits for its answer, so that there is time to examine it.
    host.anthropic.answer_messages(TOKEN, Some(MessageAnswer::Silence));
    let mut terminal = shell(&host);
    terminal.type_line("cas-sync token set");
    let mut screen = terminal.wait_for("claude setup-token`): ");
    let (one, rest) = TOKEN.split_at(25);
    terminal.type_line(&format!("{one}\n{rest}"));
    let deadline = cas_protocol::deadline::Deadline::after(Duration::from_secs(60));
    assert!(host.anthropic.wait_for(&deadline, |request| request.is_message()), "claude never asked");
    let processes = visible_process_data(&host);
    assert!(processes.contains("cas-sync") && processes.contains("AUTH_OK"), "the client was looked at");
    assert!(!processes.contains(TOKEN) && !processes.contains(rest), "in a command line or an environment");
    host.anthropic.answer_messages(TOKEN, None);
    screen += &terminal.wait_for("restart them.");
    screen += &terminal.wait_for("$ ");
    assert!(!screen.contains(one) && !screen.contains(rest), "{screen}");
    assert!(screen.contains("active for your next sessions, verified by inference"), "{screen}");
    assert_eq!(alice.fields()["setup_token"], json!(TOKEN));
    assert_eq!(alice.fields()["vaultwarden_email"], json!("alice@example.org"));
    assert_eq!(files_with(&host, TOKEN), format!("{}\n", env_file_path("alice")));
    assert_eq!(host.guest.file_status(&env_file_path("alice")), "600 alice:alice regular file");
    assert_eq!(host.guest.variable_over_ssh("alice").as_deref(), Some(TOKEN));
    let output =
        terminal.at_prompt("cas-sync token show; cas-sync token show --json; tail -n 3 ~/.bash_history");
    assert!(output.contains("the same in both") && !output.contains(rest), "{output}");

    terminal.type_line("cas-sync token clear");
    terminal.wait_for("[y/N] ");
    terminal.type_line("y");
    screen = terminal.wait_for("Your login: OK login complete");
    terminal.wait_for("$ ");
    assert!(screen.contains("in the settings of your Claude account"), "{screen}");
    assert_eq!((files_with(&host, TOKEN).as_str(), host.guest.variable_over_ssh("alice")), ("", None));

    // The login is lost, and alice signs in.
    let cleared = json!({"claudeAiOauth": {"accessToken": "", "refreshToken": "", "expiresAt": 0}, "mcpOAuth": {"k": 1}});
    host.guest.put_login("alice", &cleared.to_string());
    host.anthropic.show_code(CODE, Account::personal());
    terminal.type_line("cas-sync login --email alice@example.org");
    screen = terminal.wait_for("Code (input is hidden): ");
    let address = screen.lines().find(|line| line.starts_with("https://")).expect("one line").trim_end();
    let state = state_of_sign_in(address).expect("a state");
    terminal.type_line(&format!("{CODE}#{state}"));
    screen += &terminal.wait_for("backed up to the store");
    screen += &terminal.wait_for("$ ");
    assert!(screen.contains("Signed in as person@example.com"), "{screen}");
    assert!(!screen.contains(CODE) && !screen.contains("sk-ant-"), "{screen}");
    let file = parsed(&host.guest.read_login("alice"));
    assert!(!is_cleared(&file) && file["mcpOAuth"] == json!({"k": 1}), "{file}");
    assert_eq!(file["claudeAiOauth"]["refreshToken"], json!(NEW_REFRESH_TOKEN));
    let history = "/home/alice/.local/state/claude-auth-sync/history.json";
    assert_eq!(files_with(&host, NEW_REFRESH_TOKEN), format!("{}\n{history}\n", login_path("alice")));
    assert!(
        alice.fields()["claude_ai_oauth_json"].as_str().is_some_and(|kept| kept.contains(NEW_REFRESH_TOKEN))
    );
    assert!(host.claude("alice").answered(), "and claude uses it");
    drop(terminal);

    // No file contains any of these secrets.
    let journal = journal(&host);
    assert!(journal.contains("user=alice OK setup-token in use"), "the journal was looked at");
    for secret in [TOKEN, rest, CODE, NEW_REFRESH_TOKEN] {
        assert!(!journal.contains(secret), "{secret} is in the journal");
    }
    thread::sleep(Duration::from_millis(100));
    let left = host.guest.run("ls -A /tmp | grep '^claude-auth-sync' ; pgrep -u alice -x claude").text();
    assert_eq!(left, "", "nothing is left of the clients");
}

#[test]
fn broken_connection_during_sign_in_keeps_the_login() {
    let (host, _bao, _people) = ClaudeGuest::with_store(Suite::Bookworm, &["alice"]);
    host.sign_in("alice");
    host.guest.sync("alice").expect_success("the first backup");
    let before = host.guest.read_login("alice");
    let mut terminal = shell(&host);
    terminal.type_line("cas-sync login --email alice@example.org");
    terminal.wait_for("Code (input is hidden): ");
    drop(terminal);
    let waited = "for i in $(seq 100); do pgrep -u alice cas-sync >/dev/null || break; sleep 0.1; done; \
                  pgrep -u alice -a 'cas-sync|claude'; ls -A /tmp | grep '^claude-auth-sync'";
    assert_eq!(host.guest.run(waited).text(), "", "it has ended, and the client with it");
    assert_eq!(host.guest.read_login("alice"), before);
    assert!(host.guest.sync("alice").text().starts_with("OK login complete"), "its lock is free");
}

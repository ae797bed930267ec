//! A sync that verifies, on a workstation where everything is real except Anthropic's servers: its
//! output, what it leaves in the home and in the store, and its requests.

use cas_tests::{
    anthropic::{Login, MessageAnswer, fingerprint},
    claude_client::in_hours,
    claude_login::parsed,
    guest::{ClaudeGuest, CommandResult, Suite, env_file_path, is_cleared, login_path},
    openbao::{Bao, Person},
};
use serde_json::{Value, json};

const ALICES_TOKEN: &str = "sk-ant-oat01-alices_setup-token";
const STATE: &str = "/home/alice/.local/state/claude-auth-sync";

struct Desk {
    place: ClaudeGuest,
    bao: Bao,
    alice: Person,
}

fn desk() -> Desk {
    let (place, bao, mut people) = ClaudeGuest::with_store(Suite::Bookworm, &["alice"]);
    let alice = people.pop().expect("one person");
    alice.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    Desk { place, bao, alice }
}

impl Desk {
    /// A sync; its line.
    fn sync(&self) -> (CommandResult, String) {
        self.place.anthropic.forget_requests();
        let finished = self.place.guest.sync("alice");
        let line = finished.text();
        (finished, line)
    }

    fn file(&self) -> Value {
        parsed(&self.place.guest.login_of("alice"))
    }

    fn version(&self) -> u64 {
        let document = self.alice.document().body;
        document["data"]["metadata"]["version"].as_u64().unwrap_or_else(|| panic!("no version: {document}"))
    }

    fn backup(&self) -> Value {
        parsed(self.alice.fields()["claude_ai_oauth_json"].as_str().expect("a backup"))
    }

    fn state(&self) -> Value {
        let content = self.place.guest.read(&format!("{STATE}/state.json")).expect("a state");
        parsed(&String::from_utf8_lossy(&content))
    }

    /// Messages and exchanges of refresh tokens, as far as the server has seen any.
    fn asked(&self) -> (usize, usize) {
        let requests = self.place.anthropic.requests();
        let count = |is: fn(&cas_tests::anthropic::LoggedRequest) -> bool| {
            requests.iter().filter(|request| is(request)).count()
        };
        (count(|request| request.is_message()), count(|request| request.is_refresh()))
    }

    /// A good copy of a login in the store, and nowhere else.
    fn keep_only_in_store(&self, login: &Login, hours: i64) {
        let object = login.oauth_object(in_hours(hours));
        self.alice.put_document(&json!({
            "claude_ai_oauth_json": object.to_string(),
            "credential_expires_at_ms": object["expiresAt"].to_string(),
            "vaultwarden_email": "alice@example.org",
        }));
        self.place.guest.forget_state("alice");
    }

    fn empty_login(&self) {
        let emptied = json!({"claudeAiOauth": {"accessToken": "", "refreshToken": "", "expiresAt": 0}, "mcpOAuth": {"k": 1}});
        self.place.guest.put_login("alice", &emptied.to_string());
    }
}

#[test]
fn valid_login_is_verified_and_backed_up_once() {
    let desk = desk();
    desk.place.sign_in("alice");
    let before = desk.version();

    let (finished, line) = desk.sync();

    assert_eq!(finished.code, Some(0), "{line}");
    assert!(line.starts_with("OK login complete") && line.contains(", verified by inference; "), "{line}");
    assert_eq!((desk.asked(), desk.version()), ((1, 0), before + 1), "{line}");
    assert_eq!(desk.backup(), desk.file()["claudeAiOauth"]);
    assert_eq!(desk.alice.fields()["vaultwarden_email"], "alice@example.org");
    assert!(desk.alice.fields()["backed_up_machine"].is_string());

    let identity = desk.place.guest.identity_of(&login_path("alice"));
    let (again, line) = desk.sync();
    assert_eq!((again.code, desk.version()), (Some(0), before + 1), "{line}");
    assert!(line.ends_with(", verified by inference\n"), "nothing had to be backed up: {line}");
    assert_eq!(desk.place.guest.identity_of(&login_path("alice")), identity, "the file was not touched");
    let state = desk.state();
    assert_eq!(
        (&state["schema"], &state["status"], &state["verdict"]),
        (&json!(1), &json!("OK"), &json!("ok"))
    );
    assert_eq!(
        format!("{} {}\n", state["status"].as_str().unwrap_or(""), state["text"].as_str().unwrap_or("")),
        line
    );
}

#[test]
fn expired_login_is_refreshed_and_stored() {
    let desk = desk();
    let yesterday = desk.place.sign_in_yesterday("alice");

    let (finished, line) = desk.sync();

    assert_eq!(finished.code, Some(0), "{line}");
    assert!(line.starts_with("OK login complete") && line.contains(", verified by inference; "), "{line}");
    assert_eq!(desk.asked(), (1, 1), "one message, one exchange");
    assert_ne!(desk.file()["claudeAiOauth"]["refreshToken"], json!(yesterday.refresh_token));
    assert_eq!(desk.backup(), desk.file()["claudeAiOauth"], "the new one");
    assert!(desk.file()["mcpOAuth"].is_object());
    let left = desk.place.guest.run("ls -A /home/alice /home/alice/.claude").text();
    assert!(!left.contains(".lock") && !left.contains(".tmp"), "a lock or litter is left: {left}");
}

#[test]
fn cleared_login_is_restored_from_the_store_and_verified() {
    let desk = desk();
    let login = desk.place.sign_in("alice");
    desk.keep_only_in_store(&login, 8);
    desk.empty_login();

    let (finished, line) = desk.sync();

    assert_eq!(finished.code, Some(0), "{line}");
    assert!(
        line.starts_with("RECOVERED login restored from the store")
            && line.contains(", verified by inference"),
        "{line}"
    );
    assert_eq!((desk.asked(), desk.file()["mcpOAuth"].clone()), ((1, 0), json!({"k": 1})));
    assert!(desk.place.claude("alice").answered());
    let (_, line) = desk.sync();
    assert!(line.starts_with("OK login complete") && line.contains(", verified by inference"), "{line}");
}

#[test]
fn consumed_backup_is_tried_once_then_requires_a_sign_in() {
    // One whose access token the server no longer takes although its time is not over, and one that
    // has to be refreshed.
    for hours in [8, -1] {
        let desk = desk();
        let login = desk.place.sign_in("alice");
        desk.place.anthropic.revoke(&login.family);
        desk.keep_only_in_store(&login, hours);
        desk.empty_login();

        let (finished, line) = desk.sync();

        assert_eq!(finished.code, Some(79), "{line}");
        assert!(line.starts_with("FAIL ") && line.contains("rejected by the Anthropic API"), "{line}");
        assert!(line.contains("cas-sync login"), "{line}");
        assert!(is_cleared(&desk.file()), "{}", desk.file());
        assert_eq!(desk.file()["mcpOAuth"], json!({"k": 1}));
        let (messages, exchanges) = desk.asked();
        assert!(
            messages <= 2 && exchanges <= 1,
            "tried more than once: {messages} messages, {exchanges} exchanges"
        );

        let identity = desk.place.guest.identity_of(&login_path("alice"));
        let (again, line) = desk.sync();
        assert_eq!((again.code, desk.asked()), (Some(79), (0, 0)), "{line}");
        desk.place.guest.ssh("alice", "true").expect_success("ssh");
        assert_eq!(desk.place.guest.identity_of(&login_path("alice")), identity, "no login tries it either");
    }
}

#[test]
fn login_rejected_early_is_refreshed() {
    let desk = desk();
    let login = desk.place.sign_in("alice");
    desk.place.anthropic.expire(&login.family);

    let (finished, line) = desk.sync();

    assert_eq!(finished.code, Some(0), "{line}");
    assert!(line.starts_with("OK login complete"), "{line}");
    assert_ne!(desk.file()["claudeAiOauth"]["refreshToken"], json!(login.refresh_token));
    assert_eq!(desk.backup(), desk.file()["claudeAiOauth"]);
}

#[test]
fn setup_token_is_verified_instead_of_the_login() {
    let desk = desk();
    desk.place.sign_in("alice");
    let identity = desk.place.guest.identity_of(&login_path("alice"));
    desk.place.anthropic.accept_setup_token(ALICES_TOKEN);
    desk.alice.put_document(&json!({ "setup_token": ALICES_TOKEN }));

    let (finished, line) = desk.sync();
    assert_eq!(finished.code, Some(0), "{line}");
    assert!(line.starts_with("OK setup-token in use, verified by inference; setup-token copied"), "{line}");
    assert_eq!(desk.asked(), (1, 0));
    assert_eq!(
        desk.place
            .anthropic
            .requests()
            .iter()
            .find(|request| request.is_message())
            .and_then(|request| request.token.clone()),
        Some(fingerprint(ALICES_TOKEN))
    );
    assert_eq!(desk.place.guest.identity_of(&login_path("alice")), identity, "the login file is left alone");

    // Rejected: the user has to create another one; it stays until the store says otherwise.
    desk.place.anthropic.answer_messages(ALICES_TOKEN, Some(MessageAnswer::Revoked));
    let (finished, line) = desk.sync();
    assert_eq!(finished.code, Some(79), "{line}");
    assert!(
        line.starts_with(
            "FAIL setup-token in use, rejected by the Anthropic API; create a new one with `claude setup-token`"
        ),
        "{line}"
    );
    assert!(desk.place.guest.read(&env_file_path("alice")).is_some());

    // The store cannot be read, which says nothing about the token.
    desk.bao.seal();
    desk.place.anthropic.answer_messages(ALICES_TOKEN, None);
    let (_, line) = desk.sync();
    assert!(line.starts_with("WARN setup-token in use, verified by inference"), "{line}");
    assert!(desk.place.guest.read(&env_file_path("alice")).is_some());
    desk.bao.unseal();

    // Taken away: back to the login, which is verified and backed up.
    desk.alice.put_document(&json!({ "setup_token": "" }));
    let (finished, line) = desk.sync();
    assert_eq!(finished.code, Some(0), "{line}");
    assert!(line.starts_with("OK login complete") && line.contains(", verified by inference"), "{line}");
    assert!(desk.place.guest.read(&env_file_path("alice")).is_none());
    assert_eq!(desk.backup(), desk.file()["claudeAiOauth"]);
}

#[test]
fn persistent_outage_is_logged_at_start_and_end() {
    let desk = desk();
    let login = desk.place.sign_in("alice");
    let journal = || desk.place.guest.product_journal();
    desk.place.anthropic.answer_messages(&login.access_token, Some(MessageAnswer::Overloaded));
    let version = desk.version();
    for _ in 0..3 {
        let (finished, line) = desk.sync();
        assert_eq!((finished.code, desk.version()), (Some(75), version), "{line}");
        assert!(line.starts_with("WARN login complete"), "{line}");
    }
    assert_eq!(journal().matches("user=alice WARN").count(), 1, "{}", journal());
    let log = desk.place.guest.read(&format!("{STATE}/sync.log")).expect("a log");
    assert_eq!(String::from_utf8_lossy(&log).matches(" WARN ").count(), 3, "the log has every run");
    assert!(desk.state()["outage"].is_string());

    desk.place.anthropic.answer_messages(&login.access_token, None);
    desk.sync();
    assert!(journal().lines().last().is_some_and(|line| line.starts_with("user=alice OK ")), "{}", journal());
    assert_eq!(desk.state()["outage"], Value::Null);
    assert_eq!(desk.version(), version + 1, "what waited is backed up now");
}

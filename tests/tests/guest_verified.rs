//! A sync that verifies, on a workstation where everything is real except Anthropic's servers: its
//! output, what it leaves in the home and in the store, and its requests.

use cas_tests::{
    anthropic::{Login, MessageAnswer, fingerprint},
    claude_client::in_hours,
    claude_login::parsed,
    guest::{ClaudeGuest, CommandResult, Suite, env_file_path, is_cleared, login_path},
    openbao::{Bao, VaultUser},
};
use serde_json::{Value, json};

const ALICES_TOKEN: &str = "sk-ant-oat01-alices_setup-token";
const STATE: &str = "/home/alice/.local/state/claude-auth-sync";

struct Fixture {
    host: ClaudeGuest,
    bao: Bao,
    alice: VaultUser,
}

fn fixture() -> Fixture {
    let (host, bao, mut users) = ClaudeGuest::with_store(Suite::Bookworm, &["alice"]);
    let alice = users.pop().expect("one user");
    alice.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
    Fixture { host, bao, alice }
}

impl Fixture {
    /// Runs a sync and returns its line.
    fn sync(&self) -> (CommandResult, String) {
        self.host.anthropic.forget_requests();
        let finished = self.host.guest.sync("alice");
        let line = finished.text();
        (finished, line)
    }

    fn file(&self) -> Value {
        parsed(&self.host.guest.read_login("alice"))
    }

    fn version(&self) -> u64 {
        let document = self.alice.document().body;
        document["data"]["metadata"]["version"].as_u64().unwrap_or_else(|| panic!("no version: {document}"))
    }

    fn backup(&self) -> Value {
        parsed(self.alice.fields()["claude_ai_oauth_json"].as_str().expect("a backup"))
    }

    fn state(&self) -> Value {
        let content = self.host.guest.read(&format!("{STATE}/state.json")).expect("a state");
        parsed(&String::from_utf8_lossy(&content))
    }

    /// Returns the numbers of messages and of exchanges of refresh tokens at the server.
    fn request_counts(&self) -> (usize, usize) {
        let requests = self.host.anthropic.requests();
        let count = |is: fn(&cas_tests::anthropic::LoggedRequest) -> bool| {
            requests.iter().filter(|request| is(request)).count()
        };
        (count(|request| request.is_message()), count(|request| request.is_refresh()))
    }

    /// Creates a good backup of a login in the store only.
    fn keep_only_in_store(&self, login: &Login, hours: i64) {
        let object = login.oauth_object(in_hours(hours));
        self.alice.put_document(&json!({
            "claude_ai_oauth_json": object.to_string(),
            "credential_expires_at_ms": object["expiresAt"].to_string(),
            "vaultwarden_email": "alice@example.org",
        }));
        self.host.guest.forget_state("alice");
    }

    fn empty_login(&self) {
        let cleared = json!({"claudeAiOauth": {"accessToken": "", "refreshToken": "", "expiresAt": 0}, "mcpOAuth": {"k": 1}});
        self.host.guest.put_login("alice", &cleared.to_string());
    }
}

#[test]
fn valid_login_is_verified_and_backed_up_once() {
    let fixture = fixture();
    fixture.host.sign_in("alice");
    let before = fixture.version();

    let (finished, line) = fixture.sync();

    assert_eq!(finished.code, Some(0), "{line}");
    assert!(line.starts_with("OK login complete") && line.contains(", verified by inference; "), "{line}");
    assert_eq!((fixture.request_counts(), fixture.version()), ((1, 0), before + 1), "{line}");
    assert_eq!(fixture.backup(), fixture.file()["claudeAiOauth"]);
    assert_eq!(fixture.alice.fields()["vaultwarden_email"], "alice@example.org");
    assert!(fixture.alice.fields()["backed_up_machine"].is_string());

    let identity = fixture.host.guest.file_identity(&login_path("alice"));
    let (again, line) = fixture.sync();
    assert_eq!((again.code, fixture.version()), (Some(0), before + 1), "{line}");
    assert!(line.ends_with(", verified by inference\n"), "nothing had to be backed up: {line}");
    assert_eq!(fixture.host.guest.file_identity(&login_path("alice")), identity, "the file was not touched");
    let state = fixture.state();
    assert_eq!(
        (&state["schema"], &state["status"], &state["verification"]),
        (&json!(1), &json!("OK"), &json!("ok"))
    );
    assert_eq!(
        format!("{} {}\n", state["status"].as_str().unwrap_or(""), state["text"].as_str().unwrap_or("")),
        line
    );
}

#[test]
fn expired_login_is_refreshed_and_stored() {
    let fixture = fixture();
    let yesterday = fixture.host.sign_in_yesterday("alice");

    let (finished, line) = fixture.sync();

    assert_eq!(finished.code, Some(0), "{line}");
    assert!(line.starts_with("OK login complete") && line.contains(", verified by inference; "), "{line}");
    assert_eq!(fixture.request_counts(), (1, 1), "one message, one exchange");
    assert_ne!(fixture.file()["claudeAiOauth"]["refreshToken"], json!(yesterday.refresh_token));
    assert_eq!(fixture.backup(), fixture.file()["claudeAiOauth"], "the new one");
    assert!(fixture.file()["mcpOAuth"].is_object());
    let left = fixture.host.guest.run("ls -A /home/alice /home/alice/.claude").text();
    assert!(!left.contains(".lock") && !left.contains(".tmp"), "a lock or litter is left: {left}");
}

#[test]
fn cleared_login_is_restored_from_the_store_and_verified() {
    let fixture = fixture();
    let login = fixture.host.sign_in("alice");
    fixture.keep_only_in_store(&login, 8);
    fixture.empty_login();

    let (finished, line) = fixture.sync();

    assert_eq!(finished.code, Some(0), "{line}");
    assert!(
        line.starts_with("RECOVERED login restored from the store")
            && line.contains(", verified by inference"),
        "{line}"
    );
    assert_eq!((fixture.request_counts(), fixture.file()["mcpOAuth"].clone()), ((1, 0), json!({"k": 1})));
    assert!(fixture.host.claude("alice").answered());
    let (_, line) = fixture.sync();
    assert!(line.starts_with("OK login complete") && line.contains(", verified by inference"), "{line}");
}

#[test]
fn consumed_backup_is_tried_once_then_requires_a_sign_in() {
    // One login whose access token the server rejects before its expiry, and one that must be
    // refreshed.
    for hours in [8, -1] {
        let fixture = fixture();
        let login = fixture.host.sign_in("alice");
        fixture.host.anthropic.revoke(&login.family);
        fixture.keep_only_in_store(&login, hours);
        fixture.empty_login();

        let (finished, line) = fixture.sync();

        assert_eq!(finished.code, Some(79), "{line}");
        assert!(line.starts_with("FAIL ") && line.contains("rejected by the Anthropic API"), "{line}");
        assert!(line.contains("cas-sync login"), "{line}");
        assert!(is_cleared(&fixture.file()), "{}", fixture.file());
        assert_eq!(fixture.file()["mcpOAuth"], json!({"k": 1}));
        let (messages, exchanges) = fixture.request_counts();
        // The client repeats a refused request, and a second verification confirms the refusal.
        assert!(
            messages <= 4 && exchanges <= 1,
            "tried more than once: {messages} messages, {exchanges} exchanges"
        );

        let identity = fixture.host.guest.file_identity(&login_path("alice"));
        let (again, line) = fixture.sync();
        assert_eq!((again.code, fixture.request_counts()), (Some(79), (0, 0)), "{line}");
        fixture.host.guest.ssh("alice", "true").expect_success("ssh");
        assert_eq!(
            fixture.host.guest.file_identity(&login_path("alice")),
            identity,
            "no login tries it either"
        );
    }
}

#[test]
fn login_rejected_early_is_refreshed() {
    let fixture = fixture();
    let login = fixture.host.sign_in("alice");
    fixture.host.anthropic.expire(&login.family);

    let (finished, line) = fixture.sync();

    assert_eq!(finished.code, Some(0), "{line}");
    assert!(line.starts_with("OK login complete"), "{line}");
    assert_ne!(fixture.file()["claudeAiOauth"]["refreshToken"], json!(login.refresh_token));
    assert_eq!(fixture.backup(), fixture.file()["claudeAiOauth"]);
}

#[test]
fn setup_token_is_verified_instead_of_the_login() {
    let fixture = fixture();
    fixture.host.sign_in("alice");
    let identity = fixture.host.guest.file_identity(&login_path("alice"));
    fixture.host.anthropic.accept_setup_token(ALICES_TOKEN);
    fixture.alice.put_document(&json!({ "setup_token": ALICES_TOKEN }));

    let (finished, line) = fixture.sync();
    assert_eq!(finished.code, Some(0), "{line}");
    assert!(line.starts_with("OK setup-token in use, verified by inference; setup-token copied"), "{line}");
    assert_eq!(fixture.request_counts(), (1, 0));
    assert_eq!(
        fixture
            .host
            .anthropic
            .requests()
            .iter()
            .find(|request| request.is_message())
            .and_then(|request| request.token.clone()),
        Some(fingerprint(ALICES_TOKEN))
    );
    assert_eq!(
        fixture.host.guest.file_identity(&login_path("alice")),
        identity,
        "the login file is left alone"
    );

    // Rejected: the user must create another one. It stays until the store has another one.
    fixture.host.anthropic.answer_messages(ALICES_TOKEN, Some(MessageAnswer::Revoked));
    let (finished, line) = fixture.sync();
    assert_eq!(finished.code, Some(79), "{line}");
    assert!(
        line.starts_with(
            "FAIL setup-token in use, rejected by the Anthropic API; create a new one with `claude setup-token`"
        ),
        "{line}"
    );
    assert!(fixture.host.guest.read(&env_file_path("alice")).is_some());

    // The store cannot be read, which is no information about the token.
    fixture.bao.seal();
    fixture.host.anthropic.answer_messages(ALICES_TOKEN, None);
    let (_, line) = fixture.sync();
    assert!(line.starts_with("WARN setup-token in use, verified by inference"), "{line}");
    assert!(fixture.host.guest.read(&env_file_path("alice")).is_some());
    fixture.bao.unseal();

    // Withdrawn: the login is active again, and is verified and backed up.
    fixture.alice.put_document(&json!({ "setup_token": "" }));
    let (finished, line) = fixture.sync();
    assert_eq!(finished.code, Some(0), "{line}");
    assert!(line.starts_with("OK login complete") && line.contains(", verified by inference"), "{line}");
    assert!(fixture.host.guest.read(&env_file_path("alice")).is_none());
    assert_eq!(fixture.backup(), fixture.file()["claudeAiOauth"]);
}

#[test]
fn persistent_outage_is_logged_at_start_and_end() {
    let fixture = fixture();
    let login = fixture.host.sign_in("alice");
    let journal = || fixture.host.guest.product_journal();
    fixture.host.anthropic.answer_messages(&login.access_token, Some(MessageAnswer::Overloaded));
    let version = fixture.version();
    for _ in 0..3 {
        let (finished, line) = fixture.sync();
        assert_eq!((finished.code, fixture.version()), (Some(75), version), "{line}");
        assert!(line.starts_with("WARN login complete"), "{line}");
    }
    assert_eq!(journal().matches("user=alice WARN").count(), 1, "{}", journal());
    let log = fixture.host.guest.read(&format!("{STATE}/sync.log")).expect("a log");
    assert_eq!(String::from_utf8_lossy(&log).matches(" WARN ").count(), 3, "the log has every run");
    assert!(fixture.state()["outage"].is_string());

    fixture.host.anthropic.answer_messages(&login.access_token, None);
    fixture.sync();
    assert!(journal().lines().last().is_some_and(|line| line.starts_with("user=alice OK ")), "{}", journal());
    assert_eq!(fixture.state()["outage"], Value::Null);
    assert_eq!(fixture.version(), version + 1, "what waited is backed up now");
}

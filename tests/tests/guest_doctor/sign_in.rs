//! Problems that need a sign-in, and problems of the client, with the real Claude Code.

use cas_tests::anthropic::{Account, Login};
use cas_tests::claude_client::{self, in_hours};
use cas_tests::claude_login::parsed;
use cas_tests::guest::{ClaudeGuest, CommandResult, Suite};
use serde_json::json;

use super::row::{self, Row, Who, case, row, run_as};

/// Fixed by the printed remedy, without a server.
pub(crate) const ROWS: [Row; 3] = [
    row("claude-missing", "echo '[claude]\nprogram = \"/nowhere/claude\"' >/etc/claude-auth-sync/conf.d/85-claude.toml")
        // No guest reaches a registry of packages.
        .otherwise("rm /etc/claude-auth-sync/conf.d/85-claude.toml"),
    row("claude-too-old", "echo '[claude]\nprogram = \"/usr/local/bin/claude-2.1.197\"' >/etc/claude-auth-sync/conf.d/85-claude.toml")
        .otherwise("rm /etc/claude-auth-sync/conf.d/85-claude.toml"),
    row("onboarding-pending", "rm -f .claude.json"),
];

/// Fixed by a sign-in.
pub(crate) const SIGN_IN: [&str; 8] = [
    "login-missing",
    "login-cleared",
    "login-invalid",
    "login-not-refreshable",
    "login-expires",
    "login-rejected",
    "login-organization",
    "setup-token-expires",
];

const CODE: &str = "the-code-of-the-browser";

#[test]
fn sign_in_problem_is_fixed_by_the_printed_remedy() {
    let old = claude_client::installed("2.1.197").unwrap_or_else(|error| panic!("{error}"));
    let fixture =
        ClaudeGuest::start_with_product(Suite::Bookworm, &[(&old, "/usr/local/bin/claude-2.1.197")])
            .unwrap_or_else(|error| panic!("{error}"));
    fixture.guest.enroll("alice");
    fixture.guest.write("/home/alice/.claude.json", "alice", "600", br#"{"hasCompletedOnboarding":true}"#);
    fixture.sign_in("alice");
    row::check_rows(&fixture.guest, &ROWS, "");
    for (id, broken) in [
        ("login-missing", "rm .claude/.credentials.json"),
        (
            "login-cleared",
            r#"echo '{"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0}}' >.claude/.credentials.json"#,
        ),
        ("login-invalid", "echo '{' >.claude/.credentials.json"),
        (
            "login-not-refreshable",
            r#"sed -i 's/"refreshToken":"[^"]*"/"refreshToken":""/' .claude/.credentials.json"#,
        ),
        (
            "login-expires",
            r#"sed -i 's/"refreshTokenExpiresAt":[0-9]*,*//; s/{"accessToken"/{"refreshTokenExpiresAt":1735700000000,"accessToken"/' .claude/.credentials.json"#,
        ),
        (
            "login-organization",
            r#"echo 'expected_organization = "00000000-0000-4000-8000-0000000000aa"' >/etc/claude-auth-sync/conf.d/86-ours.toml; sed -i 's/"organizationUuid":"[^"]*"/"organizationUuid":"theirs"/' .claude/.credentials.json"#,
        ),
    ] {
        // The product has never read the login, so there is no backup.
        fixture.guest.forget_state("alice");
        let broken = || drop(fixture.guest.run(&format!("cd /home/alice && {broken}")).expect_success(id));
        case(&fixture.guest, id, Who::Alice, broken, |command, _| sign_in(&fixture, command))
            .unwrap_or_else(|why| panic!("{why}"));
    }
    // The server ends the login, and the sync finds out.
    fixture.guest.forget_state("alice");
    let login = fixture.sign_in("alice");
    let broken = || {
        assert!(fixture.anthropic.revoke(&login.family));
        let output = run_as(&fixture.guest, Who::Alice, "cas-sync run");
        assert_eq!(output.code, Some(79), "{output:?}");
        // Claude Code has tried to refresh it and cleared the file; the old one is written again.
        fixture.guest.put_login("alice", &login_file_of(&login));
    };
    case(&fixture.guest, "login-rejected", Who::Alice, broken, |command, _| sign_in(&fixture, command))
        .unwrap_or_else(|why| panic!("{why}"));
    assert!(fixture.claude("alice").answered(), "the client works again");

    // A setup token that was created eleven and a half months ago, and the next one.
    let (old, new) = ("sk-ant-oat01-old-0123456789", "sk-ant-oat01-new-0123456789");
    [old, new].iter().for_each(|token| fixture.anthropic.accept_setup_token(token));
    let broken = || {
        let set = format!("printf %s {old} | cas-sync token set --minted-at \"$(date -d '-350 days' +%F)\"");
        run_as(&fixture.guest, Who::Alice, &set).expect_success("the token of last year");
    };
    let fixed = |command: Option<&str>, who| {
        row::apply_remedy(&fixture.guest, who, command, &format!("printf %s {new} |"))
    };
    case(&fixture.guest, "setup-token-expires", Who::Alice, broken, fixed)
        .unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(fixture.guest.variable_over_ssh("alice").as_deref(), Some(new));
}

fn login_file_of(login: &Login) -> String {
    json!({ "claudeAiOauth": login.oauth_object(in_hours(8)) }).to_string()
}

/// Returns true if the client answers at the first attempt; a refusal is final.
fn answers(fixture: &ClaudeGuest) -> bool {
    let bounded = |question: &str| format!("CLAUDE_CODE_MAX_RETRIES=0 timeout 30 {question}");
    fixture.claude_in(|question| fixture.guest.ssh("alice", &bounded(question))).answered()
}

/// Runs the printed command, opens its URL, and enters the displayed code.
fn sign_in(fixture: &ClaudeGuest, command: Option<&str>) -> Result<CommandResult, String> {
    let command = command.ok_or("no command is printed")?;
    if !command.starts_with("cas-sync login") {
        return Err(format!("{command} is no sign-in that leaves the old login until the new one works"));
    }
    fixture.anthropic.show_code(CODE, Account::personal());
    let script = format!(
        "cd \"$(mktemp -d)\" && mkfifo said code
         {{ {command} >said <code; }} & exec 3<said 4>code
         read -r address <&3; state=${{address##*state=}}; state=${{state##*[?]z-}}
         echo \"{CODE}#${{state%%&*}}\" >&4; exec 4>&-; cat <&3; wait $!"
    );
    Ok(run_as(&fixture.guest, Who::Alice, &script))
}

#[test]
fn setting_that_overrides_the_login_is_named_with_a_remedy() {
    let fixture = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    fixture.guest.write("/home/alice/.claude.json", "alice", "600", br#"{"hasCompletedOnboarding":true}"#);
    let login = fixture.sign_in("alice");
    let access = parsed(&fixture.guest.read_login("alice"))["claudeAiOauth"]["accessToken"]
        .as_str()
        .expect("a token")
        .to_owned();
    let key =
        json!({ "hasCompletedOnboarding": true, "env": { "ANTHROPIC_API_KEY": "sk-ant-api03-secret" } });
    let helper = json!({ "apiKeyHelper": "echo sk-ant-api03-secret", "model": "haiku" });
    let pretty = |value| serde_json::to_string_pretty(value).expect("JSON");
    drop(login);
    for (id, path, text) in [
        ("override-claude-json", "/home/alice/.claude.json", key.to_string()),
        ("override-settings", "/home/alice/.claude/settings.json", pretty(&helper)),
        ("override-settings", "/home/alice/.claude/settings.json", pretty(&key)),
        ("override-managed-settings", "/etc/claude-code/managed-settings.json", pretty(&helper)),
    ] {
        let owner = if path.starts_with("/etc") { "root" } else { "alice" };
        let broken = || {
            fixture.guest.run("mkdir -p /etc/claude-code").expect_success("a folder");
            fixture.guest.write(path, owner, "644", text.as_bytes());
            assert!(!answers(&fixture), "{id}: the client uses another credential");
            let output = run_as(&fixture.guest, Who::Alice, "cas-sync doctor; cas-sync doctor --json");
            assert!(!output.text().contains("secret"), "no value is shown: {output:?}");
        };
        let fixed = |command: Option<&str>, who| row::apply_remedy(&fixture.guest, who, command, "");
        case(&fixture.guest, id, Who::Alice, broken, fixed).unwrap_or_else(|why| panic!("{why}"));
        fixture.anthropic.forget_requests();
        assert!(answers(&fixture), "{id}: after the remedy");
        let used = cas_tests::anthropic::fingerprint(&access);
        let requests = fixture.anthropic.essential_requests();
        let message = requests.iter().find(|request| request.is_message()).expect("a question");
        assert_eq!(message.token.as_deref(), Some(used.as_str()), "{id}: {message:?}");
    }
}

//! Problems that need a sign-in, and problems of the client, with the real Claude Code.

use cas_tests::anthropic::{Account, Login};
use cas_tests::claude_client::{self, in_hours};
use cas_tests::claude_login::parsed;
use cas_tests::guest::{ClaudeGuest, CommandResult, Suite};
use serde_json::json;

use super::row::{self, Row, Who, asked, case, row};

/// Fixed by what is printed, without a server.
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
    "login-absent",
    "login-cleared",
    "login-damaged",
    "login-partial",
    "login-expires",
    "login-rejected",
    "login-organization",
    "setup-token-expires",
];

const CODE: &str = "the-code-of-the-browser";

#[test]
fn sign_in_problem_is_fixed_by_the_printed_remedy() {
    let old = claude_client::installed("2.1.197").unwrap_or_else(|error| panic!("{error}"));
    let desk = ClaudeGuest::start_with_product(Suite::Bookworm, &[(&old, "/usr/local/bin/claude-2.1.197")])
        .unwrap_or_else(|error| panic!("{error}"));
    desk.guest.enroll("alice");
    desk.guest.write("/home/alice/.claude.json", "alice", "600", br#"{"hasCompletedOnboarding":true}"#);
    desk.sign_in("alice");
    row::all(&desk.guest, &ROWS, "");
    for (id, broken) in [
        ("login-absent", "rm .claude/.credentials.json"),
        (
            "login-cleared",
            r#"echo '{"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0}}' >.claude/.credentials.json"#,
        ),
        ("login-damaged", "echo '{' >.claude/.credentials.json"),
        (
            "login-partial",
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
        // The product has never seen the login, so there is no backup.
        desk.guest.forget_state("alice");
        let broken = || drop(desk.guest.run(&format!("cd /home/alice && {broken}")).expect_success(id));
        case(&desk.guest, id, Who::Alice, broken, |command, _| sign_in(&desk, command))
            .unwrap_or_else(|why| panic!("{why}"));
    }
    // The server ends the login, and the sync finds out.
    desk.guest.forget_state("alice");
    let login = desk.sign_in("alice");
    let broken = || {
        assert!(desk.anthropic.revoke(&login.family));
        let said = asked(&desk.guest, Who::Alice, "cas-sync run");
        assert_eq!(said.code, Some(79), "{said:?}");
        // Claude Code has tried to refresh it and cleared the file; the old one is written again.
        desk.guest.put_login("alice", &file_of(&login));
    };
    case(&desk.guest, "login-rejected", Who::Alice, broken, |command, _| sign_in(&desk, command))
        .unwrap_or_else(|why| panic!("{why}"));
    assert!(desk.claude("alice").answered(), "she works again");

    // A setup-token that was made eleven and a half months ago, and the next one.
    let (old, new) = ("sk-ant-oat01-old-0123456789", "sk-ant-oat01-new-0123456789");
    [old, new].iter().for_each(|token| desk.anthropic.accept_setup_token(token));
    let broken = || {
        let set = format!("printf %s {old} | cas-sync token set --minted-at \"$(date -d '-350 days' +%F)\"");
        asked(&desk.guest, Who::Alice, &set).expect_success("the token of last year");
    };
    let fixed =
        |command: Option<&str>, who| row::by_remedy(&desk.guest, who, command, &format!("printf %s {new} |"));
    case(&desk.guest, "setup-token-expires", Who::Alice, broken, fixed).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(desk.guest.variable_over_ssh("alice").as_deref(), Some(new));
}

fn file_of(login: &Login) -> String {
    json!({ "claudeAiOauth": login.oauth_object(in_hours(8)) }).to_string()
}

/// Whether the client does at its first try: what is refused is refused.
fn answers(desk: &ClaudeGuest) -> bool {
    let bounded = |question: &str| format!("CLAUDE_CODE_MAX_RETRIES=0 timeout 30 {question}");
    desk.claude_in(|question| desk.guest.ssh("alice", &bounded(question))).answered()
}

/// Runs the printed command, opens its URL, and enters the displayed code.
fn sign_in(desk: &ClaudeGuest, command: Option<&str>) -> Result<CommandResult, String> {
    let command = command.ok_or("no command is printed")?;
    if !command.starts_with("cas-sync login") {
        return Err(format!("{command} is no sign-in that leaves the old login until the new one works"));
    }
    desk.anthropic.show_code(CODE, Account::personal());
    let script = format!(
        "cd \"$(mktemp -d)\" && mkfifo said code
         {{ {command} >said <code; }} & exec 3<said 4>code
         read -r address <&3; state=${{address##*state=}}
         echo \"{CODE}#${{state%%&*}}\" >&4; exec 4>&-; cat <&3; wait $!"
    );
    Ok(asked(&desk.guest, Who::Alice, &script))
}

#[test]
fn setting_that_overrides_the_login_is_named_with_a_remedy() {
    let desk = ClaudeGuest::with_product(Suite::Bookworm, &["alice"]);
    desk.guest.write("/home/alice/.claude.json", "alice", "600", br#"{"hasCompletedOnboarding":true}"#);
    let login = desk.sign_in("alice");
    let access = parsed(&desk.guest.login_of("alice"))["claudeAiOauth"]["accessToken"]
        .as_str()
        .expect("a token")
        .to_owned();
    let key =
        json!({ "hasCompletedOnboarding": true, "env": { "ANTHROPIC_API_KEY": "sk-ant-api03-secret" } });
    let helper = json!({ "apiKeyHelper": "echo sk-ant-api03-secret", "model": "haiku" });
    let pretty = |value| serde_json::to_string_pretty(value).expect("JSON");
    drop(login);
    for (id, path, text) in [
        ("shadow-claude-json", "/home/alice/.claude.json", key.to_string()),
        ("shadow-settings", "/home/alice/.claude/settings.json", pretty(&helper)),
        ("shadow-settings", "/home/alice/.claude/settings.json", pretty(&key)),
        ("shadow-managed", "/etc/claude-code/managed-settings.json", pretty(&helper)),
    ] {
        let owner = if path.starts_with("/etc") { "root" } else { "alice" };
        let broken = || {
            desk.guest.run("mkdir -p /etc/claude-code").expect_success("a folder");
            desk.guest.write(path, owner, "644", text.as_bytes());
            assert!(!answers(&desk), "{id}: the client uses another credential");
            let said = asked(&desk.guest, Who::Alice, "cas-sync doctor; cas-sync doctor --json");
            assert!(!said.text().contains("secret"), "no value is shown: {said:?}");
        };
        let fixed = |command: Option<&str>, who| row::by_remedy(&desk.guest, who, command, "");
        case(&desk.guest, id, Who::Alice, broken, fixed).unwrap_or_else(|why| panic!("{why}"));
        desk.anthropic.forget_requests();
        assert!(answers(&desk), "{id}: after the remedy");
        let used = cas_tests::anthropic::fingerprint(&access);
        let asked = desk.anthropic.essential_requests();
        let message = asked.iter().find(|request| request.is_message()).expect("a question");
        assert_eq!(message.token.as_deref(), Some(used.as_str()), "{id}: {message:?}");
    }
}

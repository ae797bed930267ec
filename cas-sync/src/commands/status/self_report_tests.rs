use std::collections::BTreeMap;

use cas_core::claude_files::json_settings::ClaudeJson;
use serde_json::{Value, json};

use super::*;
use crate::commands::status::json::own_state;
use crate::commands::status::self_view::lines;
use crate::precedence::Place;
use crate::precedence::project::Project;
use crate::precedence::settings::Settings;
use crate::term::Terminal;

const NOW: u64 = 2_000_000_000_000;
const HOUR: u64 = 3_600_000;
/// The fingerprint of the refresh token "r".
const GENERATION: &str = "454349e422f05297";

fn own(login: &str, env: &Value, env_file: Option<&str>, report: Result<Option<Value>, &str>) -> SelfReport {
    let now = Timestamp::from_millis(NOW);
    let settings = Settings::from_file(
        &ClaudeJson::parse(json!({"env": env}).to_string().as_bytes()).expect("an object"),
    );
    let sources = Sources {
        project: Project::default(),
        settings: BTreeMap::from([(Place::Environment, settings)]),
        login_file: "/home/alice/.claude/.credentials.json".into(),
        login: LoginFileState::parse(login.as_bytes(), now).summary(),
        moved: None,
        has_open_key: false,
        sign_out: None,
        state_problem: None,
        profiles: Vec::new(),
        active_profile: None,
        env_file: env_file.map(cas_core::credential::fingerprint::Fingerprint::from_bytes),
        withdrawn: Vec::new(),
        unknown: Vec::new(),
    };
    let report = report
        .map(|found| found.map(|json| PublishedReport::parse(json.to_string().as_bytes()).expect("a state")))
        .map_err(str::to_owned);
    SelfReport {
        user: "alice".into(),
        machine: "desk".into(),
        now,
        effective: sources.effective(),
        newest_backup: Ok(sources
            .login
            .login()
            .map(|login| (login.clone(), Timestamp::from_millis(NOW - 2 * HOUR)))),
        sources,
        report,
        is_enrolled: true,
        store: StoreContact::Vault {
            url: Some("https://vault.example.org:8200".into()),
            answered_at: Some(Timestamp::from_millis(NOW - HOUR)),
            failed_at: None,
        },
        next: Schedule {
            sync_at: Some(Timestamp::from_millis(NOW + 3 * HOUR)),
            is_watched: Some(true),
            unknown: None,
        },
    }
}

fn login() -> String {
    let (expires_at, login_expires_at) = (NOW + 5 * HOUR, NOW + 27 * 24 * HOUR);
    format!(
        r#"{{"claudeAiOauth":{{"accessToken":"a","refreshToken":"r","expiresAt":{expires_at},"refreshTokenExpiresAt":{login_expires_at},"scopes":["user:inference"]}}}}"#
    )
}

fn report(status: &str, exit_code: u8, ago: i64, fingerprint: &str) -> Value {
    let at = i64::try_from(NOW).expect("a time") - ago;
    json!({
        "at_ms": at, "status": status, "text": "the last message", "exit_code": exit_code, "finding": "login", "verdict": "ok",
        "verified_at_ms": at, "credential": {"kind": "login", "fingerprint": fingerprint},
    })
}

#[test]
fn summary_has_reason_and_exit_code() {
    let hour = 3_600_000;
    let none = json!({});
    let tombstone = r#"{"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0}}"#;
    let key = json!({"ANTHROPIC_API_KEY": "k"});
    let token = json!({"CLAUDE_CODE_OAUTH_TOKEN": "t"});
    let misconfigured = json!({"at_ms": NOW, "status": "FAIL", "text": "the last message", "exit_code": 78, "finding": "misconfigured"});
    let unrecoverable = json!({"at_ms": NOW, "status": "FAIL", "text": "sign in", "exit_code": 79, "finding": "unrecoverable"});
    let with_token = json!({"at_ms": NOW, "status": "OK", "exit_code": 0, "finding": "setup-token",
        "credential": {"kind": "setup-token", "fingerprint": cas_core::credential::fingerprint::Fingerprint::from_bytes("t").to_string()}});
    let login = login();
    let ok = || Ok(Some(report("OK", 0, hour, GENERATION)));
    let rows: [(SelfReport, u8, &str); 16] = [
        (own(&login, &none, None, ok()), 0, "the last message"),
        (
            own(&login, &none, None, Ok(Some(report("OK", 0, hour, "0123456789abcdef")))),
            0,
            "the last message",
        ),
        (own(&login, &none, None, Ok(Some(report("WARN", 75, hour, GENERATION)))), 75, "the last message"),
        (
            own(&login, &none, None, Ok(Some(report("FAIL", 79, 90 * hour, GENERATION)))),
            79,
            "the last message",
        ),
        (
            own(&login, &none, None, Ok(Some(report("FAIL", 79, hour, "0123456789abcdef")))),
            75,
            "has changed since",
        ),
        (own(&login, &none, None, Ok(Some(unrecoverable.clone()))), 75, "has changed since"),
        (own(&login, &none, None, Ok(Some(misconfigured))), 78, "the last message"),
        (own(&login, &none, None, Ok(None)), 75, "not synced yet"),
        (
            own(&login, &none, None, Err("invalid JSON")),
            1,
            "cannot read the result of the last sync: invalid JSON",
        ),
        (
            own(&login, &none, None, Ok(Some(report("OK", 0, 14 * hour, GENERATION)))),
            1,
            "the last sync was 14 h ago",
        ),
        (own(&login, &none, None, Ok(Some(report("OK", 0, -hour, GENERATION)))), 1, "check the clock"),
        (own(&login, &key, None, ok()), 1, "an API key, ANTHROPIC_API_KEY in the environment"),
        (own(&login, &key, None, ok()), 1, "run `cas-sync doctor` to see how to remove it"),
        (
            own(tombstone, &none, None, Ok(Some(report("FAIL", 79, hour, GENERATION)))),
            79,
            "the login was cleared by Claude Code after a refused refresh; the last message",
        ),
        (own(tombstone, &none, None, Ok(Some(unrecoverable))), 79, "Claude Code is not logged in: sign in"),
        (own(tombstone, &none, Some("t"), ok()), 1, "this session started without it"),
    ];
    for (own, exit_code, reason) in rows {
        let found = own.summary();
        assert_eq!(found.exit_code, exit_code, "{found:?}");
        assert!(found.reason.contains(reason), "{found:?}");
        assert_eq!(own_state(&own)["exit_code"], exit_code, "the same for programs");
    }
    assert_eq!(own(&login, &token, Some("t"), Ok(Some(with_token))).summary().exit_code, 0);
}

#[test]
fn pasted_setup_token_is_shown_with_its_expiry() {
    let expires_at = NOW + 300 * 24 * HOUR;
    let pasted = format!(
        r#"{{"claudeAiOauth":{{"accessToken":"a","expiresAt":{expires_at},"scopes":["user:inference"]}}}}"#
    );
    let fingerprint = cas_core::credential::fingerprint::Fingerprint::from_bytes("a").to_string();
    let with = |fingerprint: &str, status| {
        let mut found = report(status, if status == "OK" { 0 } else { 79 }, 1000, fingerprint);
        found["credential"]["expires_at_ms"] = json!(expires_at);
        own(&pasted, &json!({}), None, Ok(Some(found)))
    };
    let terminal = Terminal { columns: Some(200), has_color: false, is_unicode: false };
    let own = with(&fingerprint, "OK");
    assert_eq!(own.summary().exit_code, 0);
    assert_eq!(own_state(&own)["access_token_expires_at_ms"], json!(expires_at));
    let screen = lines(&own, terminal).join("\n");
    assert!(screen.contains("expires     the login expires in 300 days"), "{screen}");
    // The report is about the login before it.
    let changed = with("0123456789abcdef", "FAIL");
    assert_eq!(changed.summary().exit_code, 75, "{:?}", changed.summary());
    assert!(!lines(&changed, terminal).join("\n").contains("300 days"));
}

#[test]
fn screen_at_80_columns() {
    let mut own = own(&login(), &json!({}), None, Ok(Some(report("OK", 0, 3_600_000, GENERATION))));
    let terminal = Terminal { columns: Some(80), has_color: false, is_unicode: false };
    let expected = [
        "Claude login of alice on desk: OK",
        "              the last message",
        "  uses        the login (/home/alice/.claude/.credentials.json)",
        "  verified    60 min ago: valid",
        "  expires     access token expires in 5 h; Claude Code refreshes it",
        "              the login expires in 27 days (2033-06-14); then sign in again",
        "  backup      on this machine: this login, saved 2 h ago",
        "              at https://vault.example.org:8200: last answer 60 min ago",
        "  next        a sync in 3 h; the watcher runs",
    ];
    assert_eq!(lines(&own, terminal), expected);
    own.sources.unknown.push((Place::UserSettings, "x is not a JSON object".into()));
    own.is_enrolled = false;
    let screen = lines(&own, Terminal { columns: Some(200), ..terminal }).join("\n");
    assert!(screen.contains("next        nothing: alice is not enrolled"), "{screen}");
    assert!(screen.ends_with("  note        x is not a JSON object"), "{screen}");
}

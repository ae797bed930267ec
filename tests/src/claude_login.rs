//! The content of `~/.claude/.credentials.json` for the scenarios: valid, and cleared as the client
//! clears it. (Measured with the real client: `docs/design/claude-code.md`.)

use serde_json::{Value, json};

use crate::now_ms;

/// Returns the text of a login file whose tokens are named after `generation`, with expiry
/// `expires_at_ms` and keys of other programs.
pub fn valid_login(generation: &str, expires_at_ms: u64) -> String {
    let login = json!({
        "claudeAiOauth": {
            "accessToken": format!("sk-ant-oat01-access-of-{generation}"),
            "refreshToken": format!("sk-ant-ort01-refresh-of-{generation}"),
            "expiresAt": expires_at_ms,
            "refreshTokenExpiresAt": expires_at_ms + 25 * 24 * HOUR_MS,
            "scopes": ["user:inference", "user:profile", "user:sessions:claude_code"],
            "subscriptionType": "enterprise",
            "rateLimitTier": "default_claude_max_5x",
            "clientId": "9d1c250a-0000-4000-8000-000000000000"
        },
        "mcpOAuth": {
            "tracker|0123456789abcdef": {
                "serverName": "tracker",
                "serverUrl": "https://tracker.example/mcp",
                "accessToken": "mcp-secret-\u{e9}",
                "expiresAt": 1_900_000_000_123_u64
            }
        },
        "aKeyOfTheFuture": { "list": [1, 2.5, null, "\u{1f511}"], "deep": { "er": true } }
    });
    login.to_string()
}

/// Returns the same file as Claude Code clears it after `invalid_grant`: both tokens empty,
/// expiresAt 0, everything else kept.
///
/// # Panics
/// If `login` is not a login.
pub fn cleared_login(login: &str) -> String {
    let mut login: Value = serde_json::from_str(login).expect("a login is JSON");
    let oauth =
        login.get_mut("claudeAiOauth").and_then(Value::as_object_mut).expect("it has a claudeAiOauth");
    oauth.insert("accessToken".into(), "".into());
    oauth.insert("refreshToken".into(), "".into());
    oauth.insert("expiresAt".into(), 0.into());
    login.to_string()
}

/// Returns a login that is valid for the next seven hours.
pub fn new_login(generation: &str) -> String {
    valid_login(generation, now_ms() + 7 * HOUR_MS)
}

/// One hour in ms.
pub const HOUR_MS: u64 = 60 * 60 * 1000;

/// Returns the text as JSON, for comparisons that ignore white space and order.
///
/// # Panics
/// If it is truncated.
#[track_caller]
pub fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("a truncated login file ({error}): {text:?}"))
}

//! How the demo shows a login: what it holds, never the secrets themselves.

use std::time::Duration;

use cas_core::fingerprint::Fingerprint;
use cas_tests::claude_login;
use serde_json::Value;

/// Prints what a login file holds, tokens as fingerprints.
pub(crate) fn show_login(text: &str) {
    let file = claude_login::parsed(text);
    let oauth = file.get("claudeAiOauth").cloned().unwrap_or_default();
    let others: Vec<_> = file
        .as_object()
        .into_iter()
        .flat_map(|keys| keys.keys())
        .filter(|key| *key != "claudeAiOauth")
        .collect();
    println!("    access token    {}", secret(&oauth["accessToken"]));
    println!("    refresh token   {}", secret(&oauth["refreshToken"]));
    println!("    good for        {}", time_left(oauth["expiresAt"].as_u64().unwrap_or(0)));
    println!("    other keys      {}", others.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", "));
}

/// A duration as a person reads it.
pub(crate) fn milliseconds(took: Duration) -> String {
    format!("{} ms", took.as_millis())
}

fn secret(token: &Value) -> String {
    match token.as_str() {
        None | Some("") => "empty".to_owned(),
        Some(token) => format!("there, fingerprint {}", Fingerprint::of(token)),
    }
}

fn time_left(expires_at_ms: u64) -> String {
    let left = Duration::from_millis(expires_at_ms.saturating_sub(cas_tests::now_ms()));
    match left.as_secs() {
        0 => "nothing, it has expired".to_owned(),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

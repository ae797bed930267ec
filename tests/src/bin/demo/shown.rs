//! How the demo shows things: what a login holds, never the secrets themselves.

use std::time::Duration;

use cas_core::fingerprint::Fingerprint;
use cas_tests::{claude_login::parsed, guest::Finished, now_ms};
use serde_json::Value;

/// Prints what a login file holds, tokens as fingerprints.
pub(crate) fn show_login(text: &str) {
    let file = parsed(text);
    let oauth = file.get("claudeAiOauth").cloned().unwrap_or_default();
    let keys = file.as_object().into_iter().flat_map(|keys| keys.keys());
    let others: Vec<_> = keys.filter(|key| *key != "claudeAiOauth").map(String::as_str).collect();
    println!("    access token    {}", secret(&oauth["accessToken"]));
    println!("    refresh token   {}", secret(&oauth["refreshToken"]));
    println!("    good for        {}", time_left(oauth["expiresAt"].as_u64().unwrap_or(0)));
    println!("    other keys      {}", others.join(", "));
}

/// Prints one question to `claude` and what it answered.
pub(crate) fn show_claude(answered: &Finished) {
    println!("    alice$ claude -p 'Reply with AUTH_OK.'");
    for line in answered.text().lines() {
        println!("    {line}");
    }
}

/// A duration as a person reads it.
pub(crate) fn milliseconds(took: Duration) -> String {
    format!("{} ms", took.as_millis())
}

/// `NO` is meant to be seen.
pub(crate) fn yes_or_no(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "NO" }
}

fn secret(token: &Value) -> String {
    match token.as_str() {
        None | Some("") => "empty".to_owned(),
        Some(token) => format!("there, fingerprint {}", Fingerprint::of(token)),
    }
}

fn time_left(expires_at_ms: u64) -> String {
    let left = Duration::from_millis(expires_at_ms.saturating_sub(now_ms()));
    match left.as_secs() {
        0 => "nothing, it has expired".to_owned(),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

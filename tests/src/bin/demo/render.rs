//! Formats a login for the demo: its properties, never the secrets.

use std::time::Duration;

use cas_core::credential::fingerprint::Fingerprint;
use serde_json::Value;

use crate::page::Page;

/// Prints what a login file holds, tokens as fingerprints.
pub(crate) fn show_login(page: &Page, file: &Value) {
    let login = &file["claudeAiOauth"];
    page.row("access token", &secret(&login["accessToken"]));
    page.row("refresh token", &secret(&login["refreshToken"]));
    page.row("valid for", &time_left(login["expiresAt"].as_u64().unwrap_or(0)));
}

/// Formats a duration.
pub(crate) fn seconds(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}

/// Returns the visible part of a text. Claude Code restores a cursor that it has hidden.
pub(crate) fn without_control_sequences(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    // ECMA-48 §5.4: a control sequence ends with a character from this one on.
    parts.fold(first, |seen, part| {
        seen + part.trim_start_matches(|mark| !('@'..='~').contains(&mark)).get(1..).unwrap_or_default()
    })
}

fn secret(token: &Value) -> String {
    match token.as_str() {
        None | Some("") => "empty".to_owned(),
        Some(token) => format!("there, fingerprint {}", Fingerprint::from_bytes(token)),
    }
}

fn time_left(expires_at_ms: u64) -> String {
    let left = Duration::from_millis(expires_at_ms.saturating_sub(cas_tests::now_ms()));
    match left.as_secs() {
        0 => "no time".to_owned(),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

//! The passing of time. A moment ago would be displayed in seconds, which differ between runs. So
//! everything recorded about a user is moved into the past by some hours, and by some minutes more,
//! so that no hour begins meanwhile.

use std::time::Duration;

use cas_core::time::timestamp::Timestamp;
use cas_tests::guest::Guest;
use serde_json::Value;

const HOUR_MS: u64 = 3_600_000;

/// The numbers that are times in the files: those of this century.
const MILLISECONDS: std::ops::Range<u64> = 1_000_000_000_000..4_000_000_000_000;

/// The text before an expiry date, which is one letter longer from the tenth day of a month on.
const EXPIRES: &str = " expires on ";

/// Moves everything recorded about this user into the past by this many hours and twenty minutes.
#[track_caller]
pub(crate) fn advance_hours(guest: &Guest, user: &str, hours: u64) {
    let past = hours * HOUR_MS + HOUR_MS / 3;
    let found = guest
        .run(&format!(
            "ls /home/{user}/.local/state/claude-auth-sync/*.json /var/lib/claude-auth-sync/published/{user} \
                /home/{user}/.claude/.credentials.json 2>/dev/null; true"
        ))
        .text();
    for path in found.lines() {
        let text = guest.read(path).unwrap_or_default();
        // A damaged file is not changed.
        let Ok(mut json) = serde_json::from_slice::<Value>(&text) else { continue };
        age_file(&mut json, past);
        let owner = if path.starts_with("/home") { user } else { "root" };
        guest.write(path, owner, "600", json.to_string().as_bytes());
    }
}

fn age_file(json: &mut Value, past: u64) {
    match json {
        Value::Number(number) => {
            if let Some(moment) = number.as_u64().filter(|moment| MILLISECONDS.contains(moment)) {
                *json = (moment - past).into();
            }
        }
        Value::String(text) => {
            if let Some((before, rest)) = text.split_once(EXPIRES) {
                let after = rest.split_once(',').map(|(_, after)| after).unwrap_or_default();
                *text = format!("{before}{EXPIRES}14 May,{after}");
            } else if let Some(moment) = Timestamp::parse_rfc3339(text) {
                *text = earlier(moment, past).to_string();
            } else if let Some(mut inner) = serde_json::from_str::<Value>(text).ok().filter(Value::is_object)
            {
                age_file(&mut inner, past);
                *text = inner.to_string();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| age_file(value, past)),
        Value::Object(members) => members.values_mut().for_each(|value| age_file(value, past)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn earlier(moment: Timestamp, past: u64) -> Timestamp {
    Timestamp::from_millis(moment.millis().saturating_sub(past))
}

/// Returns the moment in this many hours, plus a bit less than one hour.
pub(crate) fn in_hours(hours: u64) -> Timestamp {
    Timestamp::from_millis(cas_tests::now_ms())
        .saturating_add(Duration::from_millis(hours * HOUR_MS + HOUR_MS * 2 / 3))
}

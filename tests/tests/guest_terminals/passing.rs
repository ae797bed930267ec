//! The passing of time. What was written down a moment ago would be shown in seconds, which are others in each run: so all
//! that is known of somebody is made older by some hours, and a bit, which keeps each hour from beginning meanwhile.

use std::time::Duration;

use cas_core::time::timestamp::Timestamp;
use cas_tests::guest::Guest;
use serde_json::Value;

const HOUR_MS: u64 = 3_600_000;

/// The times that are meant by numbers in what is written down here: of this century.
const MILLISECONDS: std::ops::Range<u64> = 1_000_000_000_000..4_000_000_000_000;

/// Before the day on which something lapses, which is one letter longer from the tenth of a month on.
const LAPSES: &str = " lapses on ";

/// All that is written down of this person becomes older by so many hours and twenty minutes.
#[track_caller]
pub(crate) fn hours_pass(guest: &Guest, user: &str, hours: u64) {
    let past = hours * HOUR_MS + HOUR_MS / 3;
    let found = guest
        .run(&format!(
            "ls /home/{user}/.local/state/claude-auth-sync/*.json /var/lib/claude-auth-sync/people/{user}/*.json \
                /home/{user}/.claude/.credentials.json 2>/dev/null; true"
        ))
        .text();
    for path in found.lines() {
        let text = guest.read(path).unwrap_or_default();
        // What is damaged stays so.
        let Ok(mut json) = serde_json::from_slice::<Value>(&text) else { continue };
        make_older(&mut json, past);
        guest.write(path, user, "600", json.to_string().as_bytes());
    }
}

fn make_older(json: &mut Value, past: u64) {
    match json {
        Value::Number(number) => {
            if let Some(moment) = number.as_u64().filter(|moment| MILLISECONDS.contains(moment)) {
                *json = (moment - past).into();
            }
        }
        Value::String(text) => {
            if let Some((before, rest)) = text.split_once(LAPSES) {
                let after = rest.split_once(',').map(|(_, after)| after).unwrap_or_default();
                *text = format!("{before}{LAPSES}14 May,{after}");
            } else if let Some(moment) = Timestamp::parse_rfc3339(text) {
                *text = earlier(moment, past).to_string();
            } else if let Some(mut inner) = serde_json::from_str::<Value>(text).ok().filter(Value::is_object)
            {
                make_older(&mut inner, past);
                *text = inner.to_string();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| make_older(value, past)),
        Value::Object(members) => members.values_mut().for_each(|value| make_older(value, past)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn earlier(moment: Timestamp, past: u64) -> Timestamp {
    Timestamp::from_millis(moment.millis().saturating_sub(past))
}

/// The moment in so many hours, and a bit less than one more.
pub(crate) fn in_hours(hours: u64) -> Timestamp {
    Timestamp::from_millis(cas_tests::now_ms())
        .saturating_add(Duration::from_millis(hours * HOUR_MS + HOUR_MS * 2 / 3))
}

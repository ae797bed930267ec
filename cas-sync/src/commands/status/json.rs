//! The same for programs. `docs/user/status.md` says what each member means; members may be added, and none changes its meaning
//! or goes.

use cas_core::time::timestamp::Timestamp;
use serde_json::{Value, json};

use super::self_report::{SelfReport, Store};
use crate::precedence::Candidate;
use crate::published_state::report::PublishedReport;
use crate::published_state::rows::{self, Row};

/// The version of the JSON.
const SCHEMA: u32 = 1;

/// Everybody, the worst first.
pub(crate) fn of_rows(rows: &[Row], now: Timestamp) -> Value {
    let people: Vec<Value> = rows.iter().map(of_row).collect();
    json!({ "schema": SCHEMA, "at_ms": now, "exit_code": rows::exit_code(rows), "people": people })
}

/// One's own.
pub(crate) fn of_own(own: &SelfReport) -> Value {
    let judgement = own.judgement();
    let effective = &own.effective;
    let login = own.sources.login.login();
    json!({
        "schema": SCHEMA,
        "at_ms": own.now,
        "user": own.user,
        "machine": own.machine,
        "status": judgement.status.to_string(),
        "reason": judgement.reason,
        "exit_code": judgement.exit_code,
        "uses": effective.chosen.map(of_candidate),
        "sent_along": effective.beside.map(of_candidate),
        "not_used": effective.shadowed.iter().copied().map(of_candidate).collect::<Vec<_>>(),
        "other_server": effective.server.map(|place| place.word()),
        "setup_token_not_in_this_session": effective.token_not_here,
        "login_file": own.sources.login_file.display().to_string(),
        "access_token_expires_at_ms": login.map(|login| login.expires_at),
        "login_expires_at_ms": login.and_then(|login| login.login_expires_at),
        "enrolled": own.is_enrolled,
        "last_sync": own.standing.as_ref().ok().and_then(Option::as_ref).map(of_standing),
        "kept_at_ms": own.kept.as_ref().ok().and_then(Option::as_ref).map(|(_, at)| *at),
        "store": of_store(&own.store),
        "next_sync_at_ms": own.next.sync_at,
        "watched": own.next.is_watched,
        "next_unknown": own.next.unknown,
        "remarks": own.sources.unknown.iter().map(|(_, why)| why).collect::<Vec<_>>(),
    })
}

fn of_row(row: &Row) -> Value {
    json!({
        "user": row.name,
        "rank": row.rank.word(),
        "status": row.status().to_string(),
        "reason": row.reason,
        "exit_code": row.exit_code(),
        "last_sync": row.standing.as_ref().map(of_standing),
    })
}

fn of_standing(standing: &PublishedReport) -> Value {
    let credential = standing.credential.as_ref().map(|credential| {
        json!({
            "kind": credential.kind,
            "fingerprint": credential.fingerprint,
            "access_token_expires_at_ms": credential.access_token_expires_at,
            "expires_at_ms": credential.lapses_at,
            "expiry_is_estimated": credential.expiry_is_estimated,
        })
    });
    json!({
        "at_ms": standing.at,
        "status": standing.status.to_string(),
        "text": standing.text,
        "exit_code": standing.exit_code,
        "finding": standing.finding,
        "notes": standing.notes,
        "verdict": standing.verdict,
        "verified_at_ms": standing.verified_at,
        "outage": standing.outage,
        "outage_since_ms": standing.outage_since,
        "credential": credential,
    })
}

fn of_candidate(candidate: Candidate) -> Value {
    json!({
        "kind": candidate.kind.word(),
        "place": candidate.place.map(|place| place.word()),
        "setting": candidate.kind.setting(),
    })
}

fn of_store(store: &Store) -> Value {
    match store {
        Store::Local => json!({ "kind": "local" }),
        Store::Server { address, answered_at, failed_at } => {
            json!({ "kind": "server", "address": address, "answered_at_ms": answered_at, "failed_at_ms": failed_at })
        }
        Store::Unknown(why) => json!({ "kind": "unknown", "why": why }),
    }
}

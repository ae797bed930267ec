//! The members of the JSON output. `docs/user/status.md` describes each one.

use cas_core::time::timestamp::Timestamp;
use serde_json::{Value, json};

use super::self_report::{SelfReport, StoreContact};
use crate::precedence::Candidate;
use crate::published_state::report::PublishedReport;
use crate::published_state::rows::{self, UserRow};

/// Returns all users, the most severe state first.
pub(crate) fn all_users(rows: &[UserRow], now: Timestamp) -> Value {
    let users: Vec<Value> = rows.iter().map(user_json).collect();
    json!({ "at_ms": now, "exit_code": rows::exit_code(rows), "users": users })
}

/// Returns the user's own state.
pub(crate) fn own_state(own: &SelfReport) -> Value {
    let summary = own.summary();
    let effective = &own.effective;
    let login = own.sources.login.login();
    let unrefreshed_expiry = own.sources.login.unrefreshed_token().and_then(|token| token.expires_at);
    json!({
        "at_ms": own.now,
        "user": own.user,
        "machine": own.machine,
        "status": summary.status.to_string(),
        "reason": summary.reason,
        "exit_code": summary.exit_code,
        "active": effective.chosen.map(candidate_json),
        "also_sent": effective.beside.map(candidate_json),
        "overridden": effective.shadowed.iter().copied().map(candidate_json).collect::<Vec<_>>(),
        "other_server": effective.server.map(|place| place.word()),
        "setup_token_missing_in_session": effective.token_not_here,
        "login_file": own.sources.login_file.display().to_string(),
        "access_token_expires_at_ms": login.map(|login| login.expires_at).or(unrefreshed_expiry),
        "login_expires_at_ms": login.and_then(|login| login.login_expires_at),
        "enrolled": own.is_enrolled,
        "last_sync": own.report.as_ref().ok().and_then(Option::as_ref).map(report_json),
        "newest_backup_at_ms": own.newest_backup.as_ref().ok().and_then(Option::as_ref).map(|(_, at)| *at),
        "store": store_json(&own.store),
        "next_sync_at_ms": own.next.sync_at,
        "watched": own.next.is_watched,
        "next_unknown": own.next.unknown,
        "remarks": own.sources.unknown.iter().map(|(_, why)| why).collect::<Vec<_>>(),
    })
}

fn user_json(row: &UserRow) -> Value {
    json!({
        "user": row.name,
        "severity": row.severity.code(),
        "status": row.status().to_string(),
        "reason": row.reason,
        "exit_code": row.exit_code(),
        "last_sync": row.report.as_ref().map(report_json),
    })
}

fn report_json(report: &PublishedReport) -> Value {
    let credential = report.credential.as_ref().map(|credential| {
        json!({
            "kind": credential.kind,
            "fingerprint": credential.fingerprint,
            "access_token_expires_at_ms": credential.access_token_expires_at,
            "expires_at_ms": credential.expires_at,
            "expiry_is_estimated": credential.expiry_is_estimated,
        })
    });
    json!({
        "at_ms": report.at,
        "status": report.status.to_string(),
        "text": report.text,
        "exit_code": report.exit_code,
        "finding": report.finding,
        "details": report.details,
        "verification": report.verification,
        "verified_at_ms": report.verified_at,
        "outage": report.outage,
        "outage_since_ms": report.outage_since,
        "credential": credential,
    })
}

fn candidate_json(candidate: Candidate) -> Value {
    json!({
        "kind": candidate.kind.word(),
        "place": candidate.place.map(|place| place.word()),
        "setting": candidate.kind.setting(),
    })
}

fn store_json(store: &StoreContact) -> Value {
    match store {
        StoreContact::Local => json!({ "kind": "local" }),
        StoreContact::Vault { url, answered_at, failed_at } => {
            json!({ "kind": "vault", "url": url, "last_success_at_ms": answered_at, "last_failure_at_ms": failed_at })
        }
        StoreContact::Unknown(why) => json!({ "kind": "unknown", "reason": why }),
    }
}

//! Which credential Claude Code uses. `precedence.tsv` has the settings that decide it and what
//! each real client then sends. Each run compares `cas-sync` with all of the table, and the newest
//! client with a few rows, chosen by the day. At full size (`CAS_FULL_SIZE=1`) both clients run
//! with all of them. `RECORD=1` asks the clients about the rows that have no answers yet; at full
//! size about all.

mod row;
mod table;
mod user;

use cas_tests::claude_client::{ClaudeFixture, NEWEST, now_in_milliseconds};
use cas_tests::size::full_size;

use self::table::{Table, VERSIONS, is_recording};
use self::user::{NOT_LOGGED_IN, RowUser};

/// The number of rows that a run tests with the newest client.
const SAMPLE: usize = 5;
const DAY: i64 = 24 * 3_600_000;
/// The credentials that `cas-sync` manages.
const MANAGED: [&str; 2] = ["login", "setup-token environment"];

#[test]
fn status_names_the_credential_that_the_client_sends() {
    let fixture = ClaudeFixture::with_sync(NEWEST).unwrap_or_else(|error| panic!("{error}"));
    let mut differences = Vec::new();
    for (index, (settings, answers)) in Table::load().rows.iter().enumerate() {
        let user = RowUser::create(&fixture, &format!("user{index}"), settings);
        let sent = answers.last().expect("run this suite with RECORD=1");
        let named = user.reported();
        if named != *sent {
            differences.push(format!("{settings}: sent {sent:?}, and status names {named:?}"));
        }
        differences.extend(other_commands(&user, sent).map(|why| format!("{settings}: {why}")));
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Compares `check` and `verify` with what the client sends. Returns a difference.
fn other_commands(user: &RowUser<'_>, sent: &str) -> Option<String> {
    let is_managed = MANAGED.contains(&sent);
    user.forget_requests();
    let commands = if is_managed { &["check"][..] } else { &["check", "verify"] };
    commands.iter().find_map(|command| {
        let (text, code) = user.cas_sync(&[command]);
        let is_refused = text.contains("not managed") || (sent == NOT_LOGGED_IN && code != Some(0));
        let is_wrong = is_refused == is_managed || user.has_asked();
        is_wrong.then(|| format!("sent {sent:?}, and {command} ends with {code:?}: {text}"))
    })
}

/// Compares `doctor` with what the client sends: it names what overrides the login. The client's
/// own key overrides nothing. Returns a difference.
fn doctor(user: &RowUser<'_>, sent: &str) -> Option<String> {
    if MANAGED.contains(&sent) || [NOT_LOGGED_IN, "primary-api-key own-state"].contains(&sent) {
        return None;
    }
    let (text, code) = user.cas_sync(&["doctor"]);
    let is_wrong = code == Some(0) || !text.contains("[override-");
    is_wrong.then(|| format!("sent {sent:?}, and doctor ends with {code:?}: {text}"))
}

#[test]
fn clients_send_the_recorded_credential() {
    let mut table = Table::load();
    let fixture = ClaudeFixture::with_sync(NEWEST).unwrap_or_else(|error| panic!("{error}"));
    let mut differences = Vec::new();
    for index in chosen_rows(&table) {
        let (settings, answers) = &table.rows[index];
        let versions = if is_recording() || full_size() { &VERSIONS[..] } else { &[NEWEST] };
        let mut sent = |version: &&str| {
            let user = RowUser::create(&fixture, &format!("user{index}-{version}"), settings);
            let sent = user.sent(version);
            let wrong = if *version == NEWEST { doctor(&user, &sent) } else { None };
            differences.extend(wrong.map(|why| format!("{settings}: {why}")));
            sent
        };
        let found: Vec<_> = versions.iter().map(&mut sent).collect();
        if is_recording() {
            table.rows[index].1 = found;
            table.save();
        } else if !answers.ends_with(&found) {
            differences.push(format!("{settings}: {found:?}, recorded: {answers:?}"));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Returns the rows to ask the clients about: other ones each day, so that all are tested within a
/// month.
fn chosen_rows(table: &Table) -> Vec<usize> {
    let count = table.rows.len();
    let is_new = |index: &usize| table.rows[*index].1.len() < VERSIONS.len();
    if full_size() {
        return (0..count).collect();
    }
    if is_recording() {
        return (0..count).filter(is_new).collect();
    }
    let first = usize::try_from(now_in_milliseconds() / DAY).unwrap_or(0) * SAMPLE;
    (first..first + SAMPLE).map(|index| index % count).collect()
}

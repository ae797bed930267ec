//! Every check in doctor's own list has a row, or is listed here with the reason why it has none.

use std::collections::BTreeSet;

use super::{home, machine, sign_in, store};

/// Findings that no guest can produce, and why. `docs/user/doctor.md` lists the same.
const NOT_BROKEN: [(&str, &str); 4] = [
    ("document-organization", "it takes a store and a sign-in at once; the unit tests judge it"),
    (
        "override-organization-settings",
        "only an organisation's administrator can take a setting out of what it serves",
    ),
    ("clock-skew", "a guest has this machine's clock, which no test may set"),
    ("clock-not-synchronized", "as above"),
];

/// Findings with a test of their own.
const ALONE: [&str; 5] = [
    "override-environment",
    "override-claude-json",
    "override-settings",
    "override-managed-settings",
    "old-session",
];

#[test]
fn every_check_has_a_scenario_or_a_reason_for_none() {
    let page = include_str!("../../../docs/user/doctor.md");
    let listed: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(listed.len() > 60, "the page has its table");
    let rows = home::ROWS.iter().chain(&machine::ROWS).chain(&store::ROWS).chain(&sign_in::ROWS);
    let broken = rows.map(|row| row.id).chain(store::AT_SERVER).chain(sign_in::SIGN_IN).chain(ALONE);
    let broken: BTreeSet<&str> = broken.chain(NOT_BROKEN.iter().map(|(id, _)| *id)).collect();
    assert_eq!(listed, broken);
}

//! `cas-sync logout`, killed at each of its system calls. Wherever it ends, no sync restores a
//! login that is gone, and a second run completes the sign-out.

use cas_tests::claude_login::parsed;
use cas_tests::test_user::{LOGIN, TestUser};
use serde_json::json;

use crate::disk_state::DiskState;
use crate::scenario::Scenario;
use crate::strace::{Calls, Subcommand, kill_at};
use crate::sweep::SweepStatistics;

/// There is no client here, so the login is not revoked.
const LOGOUT: Subcommand = Subcommand { words: &["logout", "--yes"], code: 1 };

pub(crate) fn sweep(scenario: &Scenario) -> SweepStatistics {
    scenario.begin();
    let calls = Calls::trace_run(scenario.test_user(), LOGOUT);
    assert_signed_out(scenario, "an undisturbed run");
    let mut swept = SweepStatistics::default();
    for (name, numbers) in calls.points() {
        for nth in numbers {
            scenario.begin();
            if !kill_at(scenario.test_user(), LOGOUT, name, nth) {
                break;
            }
            let place = format!("killed at {name} number {nth}");
            swept.points += 1;
            scenario.age_locks();
            let had_login = has_login(scenario.test_user());
            swept.before_the_change += usize::from(had_login);
            swept.after_the_change += usize::from(!had_login);
            let output = scenario.test_user().sync();
            assert!(output.status.success(), "{place}: {output:?}");
            assert_eq!(has_login(scenario.test_user()), had_login, "{place}: {output:?}");
            let logout = scenario.test_user().program("cas-sync");
            let output = scenario.test_user().output(scenario.test_user().command(&logout, LOGOUT.words));
            assert!(matches!(output.status.code(), Some(0 | 1)), "{place}: {output:?}");
            assert_signed_out(scenario, &place);
        }
    }
    eprintln!("{swept:?} of {} calls", calls.total());
    assert!(swept.points * 10 >= calls.total() * 9, "{swept:?}: not every call was reached: {calls:?}");
    swept
}

fn has_login(test_user: &TestUser) -> bool {
    let file = parsed(&String::from_utf8(test_user.read(LOGIN).expect("other members stay")).expect("text"));
    assert!(!file["mcpOAuth"].is_null(), "{file}");
    !file["claudeAiOauth"].is_null()
}

#[track_caller]
fn assert_signed_out(scenario: &Scenario, place: &str) {
    scenario.age_locks();
    let output = scenario.test_user().sync();
    assert!(output.status.success(), "{place}: {output:?}");
    assert!(!has_login(scenario.test_user()), "{place}: restored: {output:?}");
    // Every file of the product is whole and private.
    let _whole = DiskState::look(scenario);
    for (name, (_, content)) in scenario.test_user().all_files() {
        let text = String::from_utf8_lossy(&content).into_owned();
        assert!(!text.contains("sk-ant-ort01") && !text.contains("oauthAccount"), "{place}: {name}: {text}");
    }
    let (_, fields) = scenario.document().expect("a document");
    assert_eq!(fields["claude_ai_oauth_json"], json!(""), "{place}");
    assert_eq!(fields["vaultwarden_email"], json!("alice@example.org"), "{place}");
}

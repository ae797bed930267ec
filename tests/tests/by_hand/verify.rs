//! `cas-sync verify`, with the real client.

use std::fs;
use std::thread;
use std::time::Duration;

use cas_tests::anthropic::MessageAnswer;
use cas_tests::openbao::Policy;
use cas_tests::test_user::ENV_FILE;
use nix::fcntl::{Flock, FlockArg};

use super::*;

const TOKEN: &str = "sk-ant-oat01-alices_setup-token";

/// Returns the files of a home except those that a verification writes.
fn without_ledger(test_user: &TestUser) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = home(test_user);
    files.retain(|path, _| {
        !["state.json", "ledger.json", "last-request", "publish-only", "request-unsent"]
            .iter()
            .any(|name| path.ends_with(name))
    });
    files
}

#[test]
fn valid_login_is_reported_and_recorded() {
    let (test_user, file) = signed_in(20);
    // Creates a state directory with its locks.
    by_hand(&test_user, "run --no-verify").expect(0, &[]);
    let before = without_ledger(&test_user);
    by_hand(&test_user, "verify")
        .expect(0, &["OK login complete, access token until 20", "verified by inference"]);
    let known = state(&test_user, "state.json");
    assert_eq!(
        (known["verification"].as_str(), known["credential"]["fingerprint"].as_str()),
        (Some("ok"), Some(&*generation(&file)))
    );
    assert!(known["verified_at_ms"].as_u64().is_some_and(|at| at <= now_ms() && at > now_ms() - HOUR_MS));
    assert_eq!(without_ledger(&test_user), before);
    assert_eq!(refreshes(&test_user), 0);

    let report = by_hand(&test_user, "verify --json").expect(0, &[]).json();
    assert_eq!((report["verification"].as_str(), report["finding"].as_str()), (Some("ok"), Some("login")));
    assert_eq!(report["login"]["generation"], generation(&file));
    for word in ["accessToken", "sk-ant"] {
        assert!(!report.to_string().contains(word), "{report}");
    }
}

#[test]
fn rejected_login_is_reported_and_not_changed() {
    let (test_user, file) = signed_in(20);
    by_hand(&test_user, "run").expect(0, &["backed up"]);
    let verified_at = state(&test_user, "state.json")["verified_at_ms"].clone();
    test_user.anthropic().answer_messages(&access_token(&file), Some(MessageAnswer::Revoked));
    let before = without_ledger(&test_user);

    let output = by_hand(&test_user, "verify");
    output.expect(79, &["FAIL login complete", "rejected by the Anthropic API", "cas-sync login"]);

    assert_eq!(without_ledger(&test_user), before, "neither a refresh nor a restore");
    assert_eq!(refreshes(&test_user), 0);
    let known = state(&test_user, "state.json");
    assert_eq!((known["verification"].as_str(), &known["verified_at_ms"]), (Some("rejected"), &verified_at));
    assert_eq!(known["status"], "OK", "how the last sync ended");
    assert_eq!(state(&test_user, "ledger.json")["generations"][generation(&file)]["state"], "rejected");
    by_hand(&test_user, "check").expect(79, &["rejected by the Anthropic API"]);
}

/// Root publishes the result as that of a sync: a request starts the service that publishes.
#[test]
fn command_result_is_marked_for_publication() {
    let (test_user, file) = signed_in(20);
    let requests = test_user.request_file();
    let has_note = || test_user.path(&format!("{STATE}/publish-only")).exists();
    by_hand(&test_user, "run").expect(0, &["verified by inference"]);
    assert_eq!((requests.take(), has_note()), (true, true));

    test_user.anthropic().answer_messages(&access_token(&file), Some(MessageAnswer::Revoked));
    by_hand(&test_user, "verify").expect(79, &["rejected by the Anthropic API"]);
    let known = state(&test_user, "state.json");
    assert_eq!((&known["verification"], &known["status"]), (&json!("rejected"), &json!("OK")));
    assert_eq!((requests.take(), has_note()), (true, true));
    by_hand(&test_user, "check");
    assert!(!requests.take(), "nothing was found that root does not know");
}

#[test]
fn verify_does_not_refresh_an_expired_login() {
    let test_user = TestUser::create_with_claude();
    test_user.sign_in_as("alice", -1);
    let before = test_user.read(LOGIN);
    let output = by_hand(&test_user, "verify");
    output.expect(
        75,
        &["Claude Code refreshes it at its next start", "Nothing was verified", "`cas-sync run`"],
    );
    assert_eq!(test_user.read(LOGIN), before);
    assert!(test_user.anthropic().requests().is_empty(), "no request was sent");
}

#[test]
fn active_credential_is_verified_unless_another_is_selected() {
    let (test_user, file) = signed_in(20);
    by_hand(&test_user, "verify --setup-token").expect(1, &["there is no setup-token"]);
    test_user.put(ENV_FILE, &format!("CLAUDE_CODE_OAUTH_TOKEN={TOKEN}\n"));
    test_user.anthropic().accept_setup_token(TOKEN);
    by_hand(&test_user, "verify").expect(0, &["OK setup-token in use, verified by inference"]);
    by_hand(&test_user, "verify --setup-token").expect(0, &["setup-token in use"]);
    assert_eq!(state(&test_user, "state.json")["credential"]["kind"], "setup-token");
    test_user.anthropic().answer_messages(&access_token(&file), Some(MessageAnswer::Revoked));
    by_hand(&test_user, "verify --login").expect(79, &["FAIL login complete"]);
    let known = state(&test_user, "state.json");
    assert_eq!((&known["credential"]["kind"], &known["verification"]), (&json!("setup-token"), &json!("ok")));
    test_user.remove(LOGIN);
    by_hand(&test_user, "verify --login").expect(79, &["there is no login", "`cas-sync restore`"]);
}

#[test]
fn inconclusive_verification_records_nothing() {
    let (test_user, file) = signed_in(20);
    by_hand(&test_user, "run").expect(0, &[]);
    let before = home(&test_user);
    test_user.anthropic().answer_messages(&access_token(&file), Some(MessageAnswer::Overloaded));
    by_hand(&test_user, "verify").expect(75, &["WARN login complete", "not verified"]);
    test_user.configure("[claude]\nprogram = \"/nonexistent/claude\"\n");
    by_hand(&test_user, "verify").expect(69, &["claude cannot be used"]);
    assert_eq!(home(&test_user), before);
}

/// `verify` works if the configuration disables it for syncs, and without a store.
#[test]
fn verify_works_without_the_store_and_with_verify_disabled() {
    let (test_user, _) = signed_in(20);
    let bao = test_user.bao();
    let (_, relay) = test_user.use_store_through_relay(&bao, Policy::Patch);
    let config =
        fs::read_to_string(test_user.folder().join("etc/claude-auth-sync/config.toml")).expect("a file");
    test_user.configure(&format!("verify = false\n{config}"));
    by_hand(&test_user, "verify").expect(0, &["verified by inference"]);
    assert_eq!(relay.connections(), 0);
}

#[test]
fn verify_waits_for_a_running_sync_up_to_a_limit() {
    let (test_user, _) = signed_in(20);
    by_hand(&test_user, "run").expect(0, &[]);
    let lock = || {
        let file = fs::File::open(test_user.path(&format!("{STATE}/lock"))).expect("a lock file");
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).expect("locked")
    };
    let held = lock();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_secs(2));
            drop(held);
        });
        by_hand(&test_user, "verify").expect(0, &[]);
    });
    let held = lock();
    let output = by_hand(&test_user, "verify").expect(75, &[]);
    let lines: Vec<_> = output.err.lines().collect();
    assert!(
        matches!(lines.as_slice(), [waits, late] if waits.starts_with("A sync is running; waiting")
            && late.starts_with("cas-sync: another run is still active")),
        "{}",
        output.err
    );
    drop(held);
}

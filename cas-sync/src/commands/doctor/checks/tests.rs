//! The checks on constructed facts.

use std::collections::BTreeSet;

use cas_core::credential::fingerprint::RefreshTokenId;
use cas_core::credential::login::{LoginSummary, Owner};
use cas_core::credential::login_file::LoginFileState;
use cas_core::ledger::GenerationState;
use cas_core::time::timestamp::Timestamp;

use super::super::check::{CheckResult, Finding, Remedy, Severity, diagnose};
use super::super::facts::*;
use super::{machine_checks, user_checks};

/// The page has a row for each check: `| `ID` | …`.
const PAGE: &str = include_str!("../../../../../docs/user/doctor.md");

const NOW: u64 = 1_800_000_000_000;
const HOUR: u64 = 60 * 60 * 1000;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn login() -> LoginSummary {
    LoginSummary {
        generation: RefreshTokenId::from_bytes("one"),
        expires_at: at(NOW + 7 * HOUR),
        login_expires_at: Some(at(NOW + 20 * 24 * HOUR)),
        owner: Owner { account: None, organization: Some("ours".into()) },
    }
}

fn vault() -> Vault {
    Vault {
        url: "https://vault.example".into(),
        mount: "secret".into(),
        document: "claude-users/ada".into(),
        token_path: "/home/ada/.config/claude-auth-sync/vault-token".into(),
        token_file: TokenFile::Valid,
        token: Some(Token::Own {
            expires_at: Some(at(NOW + 700 * HOUR)),
            never_renewed: None,
            has_required_access: Some(true),
            excess_access: Vec::new(),
        }),
        failure: None,
        content: Content::Read { organization: Some("ours".into()) },
        clock_ahead: Some(0),
    }
}

/// A user without problems.
fn ada() -> UserFacts {
    UserFacts {
        user: "ada".into(),
        uid: 1000,
        now: at(NOW),
        login: Login {
            path: "/home/ada/.claude/.credentials.json".into(),
            state: LoginFileState::Valid(login()),
            generation_state: Some(GenerationState::Current),
            has_backup: true,
            email: None,
            expected_organization: Some("ours".into()),
            unreadable_state: None,
        },
        env_file: EnvFile::Absent,
        entries: Vec::new(),
        locks: Vec::new(),
        overrides: Vec::new(),
        client: Client::Found {
            path: "/usr/bin/claude".into(),
            version: Some("2.1.329".into()),
            is_new_enough: true,
        },
        onboarding: Onboarding::Done,
        store: Store { vault: Some(vault()), ..Store::default() },
        is_enrolled: true,
        units: Units::Known { overrides: Vec::new(), are_enabled: true, inactive: Vec::new(), failed: None },
        sessions: Vec::new(),
    }
}

fn machine() -> MachineFacts {
    let lines = [
        "session required pam_unix.so",
        "session optional pam_systemd.so",
        "session optional pam_cas_session.so",
    ];
    MachineFacts {
        pam: Pam { has_module: true, session: Some(lines.map(String::from).into()), is_chosen: true },
        target: SyncTarget::Runs,
        roster: Roster::Valid,
        is_request_socket_active: Some(true),
        clock: Clock::Synchronized,
        has_enrolled_users: true,
        missing_accounts: Vec::new(),
    }
}

fn found(facts: &UserFacts) -> Vec<(String, Finding)> {
    let rows = diagnose(&user_checks(), facts).into_iter();
    rows.flat_map(|row| match row.result {
        CheckResult::Problems(findings) => {
            findings.into_iter().map(|finding| (row.id.clone(), finding)).collect()
        }
        _ => Vec::new(),
    })
    .collect()
}

fn names(facts: &UserFacts) -> Vec<String> {
    found(facts).into_iter().map(|(id, _)| id).collect()
}

#[test]
fn page_lists_exactly_the_checks() {
    let rows: Vec<&str> =
        PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let (user, machine) = (user_checks(), machine_checks());
    let checks: Vec<&str> =
        user.iter().map(|check| check.id).chain(machine.iter().map(|check| check.id)).collect();
    assert_eq!(rows, checks, "docs/user/doctor.md lists the checks in their order");
    let names: BTreeSet<&str> = checks.iter().copied().collect();
    assert_eq!(names.len(), checks.len(), "each once");
}

#[test]
fn checks_of_valid_facts_find_nothing() {
    assert_eq!(names(&ada()), Vec::<String>::new());
    let rows = diagnose(&machine_checks(), &machine());
    assert!(rows.iter().all(|row| row.result == CheckResult::Ok), "{rows:?}");
}

#[test]
fn unknown_facts_are_never_reported_as_ok() {
    let unreachable = Vault {
        token: None,
        failure: Some(VaultFailure::Unreachable("no route".into())),
        content: Content::NotRead,
        clock_ahead: None,
        ..vault()
    };
    let facts = UserFacts { store: Store { vault: Some(unreachable), ..Store::default() }, ..ada() };
    assert_eq!(names(&facts), ["store-unreachable"]);
    for row in diagnose(&user_checks(), &facts) {
        let depends = ["vault-token-ended", "vault-policy-wide", "document-deleted", "clock-off"];
        let is_unknown = matches!(row.result, CheckResult::Unknown(_));
        assert_eq!(is_unknown, depends.contains(&row.id.as_str()) || is_unknown, "{row:?}");
        assert!(!(depends.contains(&row.id.as_str()) && row.result == CheckResult::Ok), "{row:?}");
    }
}

#[test]
fn wrong_clock_and_unset_clock_are_reported() {
    for (ahead, expected) in [
        (Some(0), None),
        (Some(120), None),
        (Some(121), Some("ahead of")),
        (Some(-7200), Some("behind")),
        (None, None),
    ] {
        let vault = Vault { clock_ahead: ahead, ..vault() };
        let facts = UserFacts { store: Store { vault: Some(vault), ..Store::default() }, ..ada() };
        let found = found(&facts);
        assert_eq!(found.is_empty(), expected.is_none(), "{ahead:?}: {found:?}");
        assert!(
            found
                .iter()
                .all(|(id, finding)| id == "clock-off" && finding.cause.contains(expected.unwrap_or("?")))
        );
    }
    let unset = MachineFacts { clock: Clock::Unsynchronized, ..machine() };
    let rows = diagnose(&machine_checks(), &unset);
    let row = rows.iter().find(|row| row.id == "clock-unset").expect("the check");
    assert!(matches!(&row.result, CheckResult::Problems(found) if found[0].severity == Severity::Warning));
}

#[test]
fn rejected_and_stale_superseded_logins_are_reported() {
    let with = |state, expires_at_ms| {
        let mut facts = ada();
        facts.login.state = LoginFileState::Valid(LoginSummary { expires_at: at(expires_at_ms), ..login() });
        facts.login.generation_state = Some(state);
        names(&facts)
    };
    assert_eq!(with(GenerationState::Rejected, NOW + HOUR), ["login-rejected"]);
    assert_eq!(with(GenerationState::Superseded, NOW - HOUR), ["login-rejected"]);
    assert!(with(GenerationState::Superseded, NOW + HOUR).is_empty(), "its access token still works");
    assert!(with(GenerationState::Restored, NOW + HOUR).is_empty());
}

#[test]
fn login_of_another_organization_is_reported_if_one_is_expected() {
    let mut facts = ada();
    facts.login.expected_organization = Some("theirs".into());
    assert_eq!(names(&facts), ["login-organization", "document-organization"]);
    facts.login.expected_organization = None;
    assert!(names(&facts).is_empty());
}

#[test]
fn login_is_not_checked_while_a_setup_token_is_active() {
    let mut facts = ada();
    facts.login.state = LoginFileState::ClearedByClient;
    assert_eq!(names(&facts), ["login-cleared"]);
    facts.env_file = EnvFile::Token { expiry: None };
    assert!(names(&facts).is_empty(), "a setup token is active");
}

#[test]
fn setup_token_expiry_is_a_warning_or_a_problem() {
    use cas_core::credential::expiry::{Expiry, ExpirySource};
    const DAY: u64 = 24 * HOUR;
    let report = |expiry: Option<(u64, ExpirySource)>| {
        let expiry = expiry.map(|(ms, source)| Expiry { at: at(ms), source });
        let mut found = found(&UserFacts { env_file: EnvFile::Token { expiry }, ..ada() });
        assert!(found.len() <= 1 && found.iter().all(|(id, _)| id == "setup-token-expires"), "{found:?}");
        found.pop().map(|(_, finding)| finding)
    };
    assert_eq!(report(None), None);
    assert_eq!(report(Some((NOW + 31 * DAY, ExpirySource::Declared))), None);
    for (ms, source, severity, words) in [
        (NOW + 9 * DAY, ExpirySource::Declared, Severity::Warning, "in 9 days"),
        (NOW + 30 * DAY, ExpirySource::UpperBound, Severity::Warning, "at the latest"),
        (NOW - DAY, ExpirySource::Declared, Severity::Problem, "expired on"),
        (NOW - DAY, ExpirySource::FromCreationDate, Severity::Warning, "has an estimated expiry of"),
    ] {
        let finding = report(Some((ms, source))).expect("a finding");
        assert_eq!(finding.severity, severity, "{}", finding.cause);
        assert!(finding.cause.contains(words), "{}", finding.cause);
        assert_eq!(finding.remedy, Remedy::User("cas-sync token set".into()));
    }
}

#[test]
fn login_expiry_within_a_week_is_reported() {
    let report = |expires_at_ms| {
        let mut facts = ada();
        let login = LoginSummary { login_expires_at: Some(at(expires_at_ms)), ..login() };
        facts.login.state = LoginFileState::Valid(login);
        found(&facts).pop().map(|(id, finding)| (id, finding.severity, finding.remedy))
    };
    let sign_in = || Remedy::User("cas-sync login".into());
    let expected = |severity| Some(("login-expires".to_owned(), severity, sign_in()));
    assert_eq!(report(NOW + 7 * 24 * HOUR + 1), None);
    assert_eq!(report(NOW + 7 * 24 * HOUR), expected(Severity::Warning));
    assert_eq!(report(NOW), expected(Severity::Problem));
    assert_eq!(report(1000), None, "an implausible date");
}

#[test]
fn lock_is_abandoned_after_two_minutes_without_a_holder() {
    let with = |touched, holder, uid| {
        let lock = Lock {
            path: "/home/ada/.claude.lock".into(),
            is_directory: true,
            is_empty: true,
            uid,
            touched_at: at(touched),
            holder,
        };
        names(&UserFacts { locks: vec![lock], ..ada() })
    };
    assert!(with(NOW - 119_000, None, 1000).is_empty());
    assert_eq!(with(NOW - 120_000, None, 1000), ["lock-abandoned"]);
    assert!(with(NOW - 600_000, Some(7), 1000).is_empty(), "a stopped process may continue");
    assert!(with(NOW + 119_000, None, 1000).is_empty(), "clocks differ a little");
    assert_eq!(with(NOW + 121_000, None, 1000), ["lock-future"]);
    assert_eq!(with(NOW, None, 0), ["lock-foreign"]);
}

#[test]
fn malformed_variable_name_is_not_part_of_a_command() {
    let places = [
        OverridePlace::Environment,
        OverridePlace::ClaudeJson { path: "/home/ada/.claude.json".into() },
        OverridePlace::Managed { path: "/etc/claude-code/managed-settings.json".into() },
    ];
    for place in places {
        let with = |name: &str| {
            let setting = Override { place: place.clone(), name: name.into() };
            let found = found(&UserFacts { overrides: vec![setting], ..ada() });
            matches!(found.as_slice(), [(_, finding)] if !matches!(finding.remedy, Remedy::Text(_)))
        };
        assert!(with("CLAUDE_CODE_USE_BEDROCK"), "{place:?}");
        for name in
            ["CLAUDE_CODE_USE_X;id", "CLAUDE_CODE_USE_/e", "CLAUDE_CODE_USE_$(id)", "CLAUDE_CODE_USE_\n"]
        {
            assert!(!with(name), "{place:?} {name}");
        }
    }
}

/// pam-auth-update --force would discard edits in the stack that decides who can log in.
#[test]
fn session_stack_edits_are_never_overwritten_by_a_remedy() {
    let without: Vec<String> = ["session required pam_unix.so"].map(String::from).into();
    let required: Vec<String> = ["session required pam_cas_session.so"].map(String::from).into();
    for (session, is_chosen, expected) in [
        (without.clone(), false, Some("pam-auth-update --enable claude-auth-sync")),
        (without, true, None),
        (required.clone(), true, None),
        (required, false, None),
    ] {
        let facts =
            MachineFacts { pam: Pam { has_module: true, session: Some(session), is_chosen }, ..machine() };
        let rows = diagnose(&machine_checks(), &facts);
        let findings = rows.into_iter().find_map(|row| match row.result {
            CheckResult::Problems(findings) if row.id.starts_with("pam-line") => Some(findings),
            _ => None,
        });
        let remedies: Vec<_> = findings.into_iter().flatten().map(|finding| finding.remedy).collect();
        let commands: Vec<_> = remedies
            .iter()
            .filter_map(|remedy| match remedy {
                Remedy::Text(_) => None,
                Remedy::Root(command) | Remedy::User(command) | Remedy::Vault(command) => {
                    Some(command.as_str())
                }
            })
            .collect();
        assert_eq!((remedies.len(), commands), (1, expected.into_iter().collect()), "{is_chosen}");
    }
}

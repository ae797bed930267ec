//! The checks on constructed facts.

mod credentials;
mod session_stack;

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

fn timestamp(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn login() -> LoginSummary {
    LoginSummary {
        generation: RefreshTokenId::from_bytes("one"),
        expires_at: timestamp(NOW + 7 * HOUR),
        login_expires_at: Some(timestamp(NOW + 20 * 24 * HOUR)),
        owner: Owner { account: None, organization: Some("own".into()) },
    }
}

fn vault() -> Vault {
    Vault {
        url: "https://vault.example".into(),
        mount: "secret".into(),
        document: "claude-users/ada".into(),
        token_path: "/home/ada/.config/claude-auth-sync/vault-token".into(),
        token_file: TokenFile::Valid,
        token: Some(TokenFacts::Own {
            expires_at: Some(timestamp(NOW + 700 * HOUR)),
            never_renewed: None,
            has_required_access: Some(true),
            excess_access: Vec::new(),
        }),
        failure: None,
        content: Content::Read { organization: Some("own".into()) },
        clock_ahead: Some(0),
    }
}

/// A user without problems.
fn ada() -> UserFacts {
    UserFacts {
        user: "ada".into(),
        uid: 1000,
        now: timestamp(NOW),
        login: Login {
            path: "/home/ada/.claude/.credentials.json".into(),
            state: LoginFileState::Valid(login()),
            sign_out: None,
            generation_state: Some(GenerationState::Current),
            unrefreshed_token: None,
            has_backup: true,
            email: None,
            expected_organization: Some("own".into()),
            obstacle: None,
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
        state_problem: None,
        store: StoreFacts { vault: Some(vault()), ..StoreFacts::default() },
        is_enrolled: true,
        units: UnitFacts::Known {
            overrides: Vec::new(),
            are_enabled: true,
            inactive: Vec::new(),
            failed: None,
        },
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
        roster: RosterState::Valid,
        is_request_service_active: Some(true),
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
    let facts =
        UserFacts { store: StoreFacts { vault: Some(unreachable), ..StoreFacts::default() }, ..ada() };
    assert_eq!(names(&facts), ["store-unreachable"]);
    for row in diagnose(&user_checks(), &facts) {
        let depends = ["vault-token-rejected", "vault-policy-too-broad", "document-deleted", "clock-skew"];
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
        let facts = UserFacts { store: StoreFacts { vault: Some(vault), ..StoreFacts::default() }, ..ada() };
        let found = found(&facts);
        assert_eq!(found.is_empty(), expected.is_none(), "{ahead:?}: {found:?}");
        assert!(
            found
                .iter()
                .all(|(id, finding)| id == "clock-skew" && finding.cause.contains(expected.unwrap_or("?")))
        );
    }
    let unset = MachineFacts { clock: Clock::Unsynchronized, ..machine() };
    let rows = diagnose(&machine_checks(), &unset);
    let row = rows.iter().find(|row| row.id == "clock-not-synchronized").expect("the check");
    assert!(matches!(&row.result, CheckResult::Problems(found) if found[0].severity == Severity::Warning));
}

#[test]
fn lock_is_a_finding_only_if_no_client_takes_it_over() {
    let with = |touched, holder, uid| {
        let lock = Lock {
            path: "/home/ada/.claude.lock".into(),
            is_directory: true,
            is_empty: true,
            uid,
            touched_at: timestamp(touched),
            holder,
        };
        names(&UserFacts { locks: vec![lock], ..ada() })
    };
    assert!(with(NOW - 600_000, None, 1000).is_empty(), "the next client takes it over");
    assert!(with(NOW + 121_000, Some(7), 1000).is_empty(), "a process holds it");
    assert!(with(NOW + 59_000, None, 1000).is_empty(), "clocks differ a little");
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

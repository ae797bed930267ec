//! The tables over facts, where no machine has to be broken.

use std::collections::BTreeSet;

use cas_core::credential::fingerprint::RefreshTokenId;
use cas_core::credential::login::{LoginSummary, Owner};
use cas_core::credential::login_file::LoginFileState;
use cas_core::ledger::GenerationState;
use cas_core::time::timestamp::Timestamp;

use super::super::check::{CheckResult, Finding, Remedy, Severity, diagnose};
use super::super::facts::*;
use super::{of_a_person, of_the_machine};

/// The page with a row for each check: `| `ID` | …`.
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
        address: "https://vault.example".into(),
        mount: "secret".into(),
        document: "people/ada".into(),
        token_path: "/home/ada/.config/claude-auth-sync/vault-token".into(),
        token_file: TokenFile::Fine,
        token: Some(Token::Own {
            expires_at: Some(at(NOW + 700 * HOUR)),
            never_renewed: None,
            may_work: Some(true),
            too_wide: Vec::new(),
        }),
        silence: None,
        content: Content::Read { organization: Some("ours".into()) },
        clock_ahead: Some(0),
    }
}

/// Somebody with whom all is well.
fn ada() -> PersonFacts {
    PersonFacts {
        user: "ada".into(),
        uid: 1000,
        now: at(NOW),
        login: Login {
            path: "/home/ada/.claude/.credentials.json".into(),
            state: LoginFileState::Valid(login()),
            fate: Some(GenerationState::Current),
            has_copy: true,
            address: None,
            expected_organization: Some("ours".into()),
            memory: None,
        },
        env_file: EnvFile::Absent,
        entries: Vec::new(),
        locks: Vec::new(),
        shadows: Vec::new(),
        client: Client::Found {
            path: "/usr/bin/claude".into(),
            version: Some("2.1.329".into()),
            is_new_enough: true,
        },
        onboarding: Onboarding::Done,
        store: Store { vault: Some(vault()), ..Store::default() },
        is_enrolled: true,
        units: Units::Some { stand_ins: Vec::new(), are_enabled: true, resting: Vec::new(), failed: None },
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
        roster: Roster::Fine,
        requests: Requests::Fine,
        clock: Clock::Synchronized,
        is_anybody_enrolled: true,
    }
}

fn found(facts: &PersonFacts) -> Vec<(String, Finding)> {
    let rows = diagnose(&of_a_person(), facts).into_iter();
    rows.flat_map(|row| match row.judgement {
        CheckResult::Problems(findings) => {
            findings.into_iter().map(|finding| (row.id.clone(), finding)).collect()
        }
        _ => Vec::new(),
    })
    .collect()
}

fn names(facts: &PersonFacts) -> Vec<String> {
    found(facts).into_iter().map(|(id, _)| id).collect()
}

#[test]
fn the_page_has_a_row_for_each_check_and_no_other() {
    let rows: Vec<&str> =
        PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let (person, machine) = (of_a_person(), of_the_machine());
    let checks: Vec<&str> =
        person.iter().map(|check| check.id).chain(machine.iter().map(|check| check.id)).collect();
    assert_eq!(rows, checks, "docs/user/doctor.md lists the checks in their order");
    let names: BTreeSet<&str> = checks.iter().copied().collect();
    assert_eq!(names.len(), checks.len(), "each once");
}

#[test]
fn where_all_is_well_nothing_is_found() {
    assert_eq!(names(&ada()), Vec::<String>::new());
    let rows = diagnose(&of_the_machine(), &machine());
    assert!(rows.iter().all(|row| row.judgement == CheckResult::Ok), "{rows:?}");
}

#[test]
fn what_nobody_knows_is_never_called_fine() {
    let silent = Vault {
        token: None,
        silence: Some(Silence::Unreachable("no route".into())),
        content: Content::NotRead,
        clock_ahead: None,
        ..vault()
    };
    let facts = PersonFacts { store: Store { vault: Some(silent), ..Store::default() }, ..ada() };
    assert_eq!(names(&facts), ["store-unreachable"]);
    for row in diagnose(&of_a_person(), &facts) {
        let depends = ["vault-token-ended", "vault-policy-wide", "document-deleted", "clock-off"];
        let is_unknown = matches!(row.judgement, CheckResult::Unknown(_));
        assert_eq!(is_unknown, depends.contains(&row.id.as_str()) || is_unknown, "{row:?}");
        assert!(!(depends.contains(&row.id.as_str()) && row.judgement == CheckResult::Ok), "{row:?}");
    }
}

#[test]
fn a_clock_that_is_off_and_one_that_nothing_sets_are_told() {
    for (ahead, expected) in [
        (Some(0), None),
        (Some(120), None),
        (Some(121), Some("ahead of")),
        (Some(-7200), Some("behind")),
        (None, None),
    ] {
        let vault = Vault { clock_ahead: ahead, ..vault() };
        let facts = PersonFacts { store: Store { vault: Some(vault), ..Store::default() }, ..ada() };
        let found = found(&facts);
        assert_eq!(found.is_empty(), expected.is_none(), "{ahead:?}: {found:?}");
        assert!(
            found
                .iter()
                .all(|(id, finding)| id == "clock-off" && finding.cause.contains(expected.unwrap_or("?")))
        );
    }
    let unset = MachineFacts { clock: Clock::Unsynchronized, ..machine() };
    let rows = diagnose(&of_the_machine(), &unset);
    let row = rows.iter().find(|row| row.id == "clock-unset").expect("the check");
    assert!(matches!(&row.judgement, CheckResult::Problems(found) if found[0].severity == Severity::Warning));
}

#[test]
fn a_login_that_was_refused_or_exchanged_is_told_and_a_fresh_one_that_comes_back_is_not() {
    let with = |fate, ends| {
        let mut facts = ada();
        facts.login.state = LoginFileState::Valid(LoginSummary { expires_at: at(ends), ..login() });
        facts.login.fate = Some(fate);
        names(&facts)
    };
    assert_eq!(with(GenerationState::Rejected, NOW + HOUR), ["login-rejected"]);
    assert_eq!(with(GenerationState::Superseded, NOW - HOUR), ["login-rejected"]);
    assert!(with(GenerationState::Superseded, NOW + HOUR).is_empty(), "its access token still works");
    assert!(with(GenerationState::Restored, NOW + HOUR).is_empty());
}

#[test]
fn another_organisations_login_is_told_where_one_is_expected() {
    let mut facts = ada();
    facts.login.expected_organization = Some("theirs".into());
    assert_eq!(names(&facts), ["login-organization", "document-organization"]);
    facts.login.expected_organization = None;
    assert!(names(&facts).is_empty());
}

#[test]
fn a_login_that_no_session_uses_is_nobodys_trouble() {
    let mut facts = ada();
    facts.login.state = LoginFileState::ClearedByClient;
    assert_eq!(names(&facts), ["login-emptied"]);
    facts.env_file = EnvFile::Token { lapse: None };
    assert!(names(&facts).is_empty(), "a setup-token is used");
}

#[test]
fn a_setup_token_that_lapses_or_has_lapsed_is_told_and_one_whose_end_is_reckoned_only_warned_of() {
    use cas_core::credential::expiry::{Expiry, ExpirySource};
    const DAY: u64 = 24 * HOUR;
    let told = |lapse: Option<(u64, ExpirySource)>| {
        let lapse = lapse.map(|(ms, certainty)| Expiry { at: at(ms), source: certainty });
        let mut found = found(&PersonFacts { env_file: EnvFile::Token { lapse }, ..ada() });
        assert!(found.len() <= 1 && found.iter().all(|(id, _)| id == "setup-token-lapses"), "{found:?}");
        found.pop().map(|(_, finding)| finding)
    };
    assert_eq!(told(None), None);
    assert_eq!(told(Some((NOW + 31 * DAY, ExpirySource::Declared))), None);
    for (ms, certainty, severity, words) in [
        (NOW + 9 * DAY, ExpirySource::Declared, Severity::Warning, "in 9 days"),
        (NOW + 30 * DAY, ExpirySource::UpperBound, Severity::Warning, "at the latest"),
        (NOW - DAY, ExpirySource::Declared, Severity::Problem, "lapsed on"),
        (NOW - DAY, ExpirySource::FromCreationDate, Severity::Warning, "should have lapsed on"),
    ] {
        let finding = told(Some((ms, certainty))).expect("a finding");
        assert_eq!(finding.severity, severity, "{}", finding.cause);
        assert!(finding.cause.contains(words), "{}", finding.cause);
        assert_eq!(finding.remedy, Remedy::Person("cas-sync token set".into()));
    }
}

#[test]
fn a_login_that_lapses_within_a_week_or_has_lapsed_is_told() {
    let told = |ends| {
        let mut facts = ada();
        let login = LoginSummary { login_expires_at: Some(at(ends)), ..login() };
        facts.login.state = LoginFileState::Valid(login);
        found(&facts).pop().map(|(id, finding)| (id, finding.severity, finding.remedy))
    };
    let sign_in = || Remedy::Person("cas-sync login".into());
    let expected = |severity| Some(("login-lapses".to_owned(), severity, sign_in()));
    assert_eq!(told(NOW + 7 * 24 * HOUR + 1), None);
    assert_eq!(told(NOW + 7 * 24 * HOUR), expected(Severity::Warning));
    assert_eq!(told(NOW), expected(Severity::Problem));
    assert_eq!(told(1000), None, "a date that cannot be");
}

#[test]
fn a_lock_is_abandoned_after_two_minutes_unless_its_holder_runs() {
    let with = |touched, holder, uid| {
        let lock = Lock {
            path: "/home/ada/.claude.lock".into(),
            is_directory: true,
            is_empty: true,
            uid,
            touched_at: at(touched),
            holder,
        };
        names(&PersonFacts { locks: vec![lock], ..ada() })
    };
    assert!(with(NOW - 119_000, None, 1000).is_empty());
    assert_eq!(with(NOW - 120_000, None, 1000), ["lock-abandoned"]);
    assert!(with(NOW - 600_000, Some(7), 1000).is_empty(), "a process that is stopped may go on");
    assert!(with(NOW + 119_000, None, 1000).is_empty(), "clocks differ a little");
    assert_eq!(with(NOW + 121_000, None, 1000), ["lock-future"]);
    assert_eq!(with(NOW, None, 0), ["lock-foreign"]);
}

#[test]
fn a_name_that_somebody_made_up_is_no_part_of_a_command() {
    let places = [
        Place::Environment,
        Place::OwnState { path: "/home/ada/.claude.json".into() },
        Place::Managed { path: "/etc/claude-code/managed-settings.json".into() },
    ];
    for place in places {
        let with = |name: &str| {
            let shadow = Override { place: place.clone(), name: name.into() };
            let found = found(&PersonFacts { shadows: vec![shadow], ..ada() });
            matches!(found.as_slice(), [(_, finding)] if !matches!(finding.remedy, super::super::check::Remedy::Text(_)))
        };
        assert!(with("CLAUDE_CODE_USE_BEDROCK"), "{place:?}");
        for name in
            ["CLAUDE_CODE_USE_X;id", "CLAUDE_CODE_USE_/e", "CLAUDE_CODE_USE_$(id)", "CLAUDE_CODE_USE_\n"]
        {
            assert!(!with(name), "{place:?} {name}");
        }
    }
}

/// In the stack that decides who gets in, nobody's edits are given up for a line of ours.
#[test]
fn no_command_goes_over_what_somebody_wrote_into_the_session_stack() {
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
        let rows = diagnose(&of_the_machine(), &facts);
        let findings = rows.into_iter().find_map(|row| match row.judgement {
            CheckResult::Problems(findings) if row.id.starts_with("pam-line") => Some(findings),
            _ => None,
        });
        let remedies: Vec<_> = findings.into_iter().flatten().map(|finding| finding.remedy).collect();
        let commands: Vec<_> = remedies
            .iter()
            .filter_map(|remedy| match remedy {
                Remedy::Text(_) => None,
                Remedy::Root(command) | Remedy::Person(command) | Remedy::Server(command) => {
                    Some(command.as_str())
                }
            })
            .collect();
        assert_eq!((remedies.len(), commands), (1, expected.into_iter().collect()), "{is_chosen}");
    }
}

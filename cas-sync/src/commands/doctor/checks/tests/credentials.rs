//! The checks of logins and setup tokens.

use super::*;

#[test]
fn rejected_and_stale_superseded_logins_are_reported() {
    let with = |state, expires_at_ms| {
        let mut facts = ada();
        facts.login.state =
            LoginFileState::Valid(LoginSummary { expires_at: timestamp(expires_at_ms), ..login() });
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
    facts.login.expected_organization = Some("other".into());
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
        let expiry = expiry.map(|(ms, source)| Expiry { at: timestamp(ms), source });
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
        let login = LoginSummary { login_expires_at: Some(timestamp(expires_at_ms)), ..login() };
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
fn login_that_is_not_refreshed_is_dated_and_may_be_rejected() {
    use cas_core::credential::expiry::{Expiry, ExpirySource};
    use cas_core::credential::login::NotRefreshable;
    let with = |expires_at_ms, is_rejected| {
        let mut facts = ada();
        facts.login.state = LoginFileState::NotRefreshable(NotRefreshable::without_token("none"));
        facts.login.generation_state = None;
        let expiry = Expiry { at: timestamp(expires_at_ms), source: ExpirySource::Declared };
        facts.login.unrefreshed_token = Some((expiry, is_rejected));
        names(&facts)
    };
    assert_eq!(with(NOW + 8 * 24 * HOUR, false), ["login-not-refreshable"]);
    assert_eq!(with(NOW + 6 * 24 * HOUR, false), ["login-not-refreshable", "login-expires"]);
    assert_eq!(with(NOW + 8 * 24 * HOUR, true), ["login-not-refreshable", "login-rejected"]);
}

//! The login file: what Claude Code makes of it.

use cas_core::credential::expiry::{CredentialKind, Expiry};
use cas_core::credential::expiry_warning::{ExpiryWarning, WarningStage};
use cas_core::credential::login::AccessProblem;
use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::LoginFileState;
use cas_core::ledger::GenerationState;

use super::super::check::{Check, CheckResult, Finding, Fix, Remedy, move_aside_as_user};
use super::super::facts::{EnvFile, PersonFacts};

pub(super) const CHECKS: [Check<PersonFacts>; 10] = [
    Check { id: "login-absent", looks_at: "is there a login", judge: absent },
    Check { id: "login-emptied", looks_at: "was the login emptied by Claude Code", judge: emptied },
    Check { id: "login-damaged", looks_at: "can Claude Code read the login", judge: damaged },
    Check { id: "login-scope", looks_at: "may the login ask the model", judge: scope },
    Check { id: "login-partial", looks_at: "can the login be refreshed", judge: partial },
    Check { id: "login-unreadable", looks_at: "is the login file the person's own", judge: unreadable },
    Check { id: "login-rejected", looks_at: "was this login refused or exchanged", judge: rejected },
    Check { id: "login-lapses", looks_at: "when the person has to sign in again", judge: lapses },
    Check {
        id: "login-organization",
        looks_at: "is the login of the expected organisation",
        judge: organization,
    },
    Check { id: "memory-damaged", looks_at: "can our own ledger and history be read", judge: memory },
];

const SIGN_IN: &str = "cas-sync login";

/// Takes a login of another account or organisation than the one that is there.
const SWITCH: &str = "cas-sync login --switch-account";

/// What the scope's absence is called by whoever reads the file.
const SCOPE: &str = AccessProblem::MissingScope.as_str();

/// A login that no session uses is nobody's trouble.
fn used(facts: &PersonFacts, judge: impl Fn() -> CheckResult) -> CheckResult {
    match facts.env_file {
        EnvFile::Token { .. } => {
            CheckResult::NotApplicable("the setup-token is used instead of the login".into())
        }
        _ => judge(),
    }
}

/// Broken: a copy that may be put back is, by the planner; otherwise somebody signs in.
fn broken(facts: &PersonFacts, cause: String) -> CheckResult {
    CheckResult::of([match facts.login.has_copy {
        true => Finding::problem(cause, Remedy::Person("cas-sync run".into())).with_fix(Fix::Sync),
        false => Finding::problem(cause, sign_in(facts)),
    }])
}

fn sign_in(facts: &PersonFacts) -> Remedy {
    Remedy::Person(match &facts.login.address {
        Some(address) => format!("{SIGN_IN} --email {address}"),
        None => SIGN_IN.into(),
    })
}

fn absent(facts: &PersonFacts) -> CheckResult {
    used(facts, || match &facts.login.state {
        LoginFileState::Missing => broken(facts, format!("there is no login in {}", facts.login.path)),
        _ => CheckResult::Ok,
    })
}

fn emptied(facts: &PersonFacts) -> CheckResult {
    used(facts, || match &facts.login.state {
        LoginFileState::ClearedByClient => broken(
            facts,
            format!("Claude Code emptied {}, because its refresh token was refused", facts.login.path),
        ),
        _ => CheckResult::Ok,
    })
}

fn damaged(facts: &PersonFacts) -> CheckResult {
    used(facts, || match &facts.login.state {
        LoginFileState::Invalid(why) if *why != SCOPE => {
            broken(facts, format!("Claude Code takes {} for no login: {why}", facts.login.path))
        }
        _ => CheckResult::Ok,
    })
}

fn scope(facts: &PersonFacts) -> CheckResult {
    used(facts, || match &facts.login.state {
        LoginFileState::Invalid(why) if *why == SCOPE => broken(
            facts,
            format!(
                "the login in {} lacks the scope user:inference: Claude Code says it is not logged in",
                facts.login.path
            ),
        ),
        _ => CheckResult::Ok,
    })
}

fn partial(facts: &PersonFacts) -> CheckResult {
    used(facts, || match &facts.login.state {
        LoginFileState::NotRefreshable(why) => {
            let cause =
                format!("the login works until its access token ends, and cannot be backed up: {why}");
            CheckResult::of([Finding::warning(cause, sign_in(facts))])
        }
        _ => CheckResult::Ok,
    })
}

fn unreadable(facts: &PersonFacts) -> CheckResult {
    match &facts.login.state {
        // Whose it is and which mode it has are checks of their own.
        LoginFileState::Unreadable(why) if !facts.has_foreign_entries() => {
            let cause = format!("nothing is done with the login file: {why}");
            CheckResult::of([Finding::problem(cause, move_aside_as_user(&facts.login.path))])
        }
        _ => CheckResult::Ok,
    }
}

fn rejected(facts: &PersonFacts) -> CheckResult {
    used(facts, || {
        let cause = match (facts.login.state.login(), facts.login.fate) {
            (Some(_), Some(GenerationState::Rejected)) => {
                "the server refused this login when it was verified last"
            }
            (Some(login), Some(GenerationState::Superseded)) if !is_fresh(facts, login) => {
                "the login file holds an old copy, whose refresh token was exchanged since"
            }
            _ => return CheckResult::Ok,
        };
        CheckResult::of([Finding::problem(cause, sign_in(facts))])
    })
}

fn is_fresh(facts: &PersonFacts, login: &LoginSummary) -> bool {
    cas_core::credential::login_file::is_fresh(login.expires_at, facts.now)
}

fn lapses(facts: &PersonFacts) -> CheckResult {
    used(facts, || {
        let lapse = facts.login.state.login().and_then(Expiry::for_login);
        let lapsing = lapse.and_then(|lapse| ExpiryWarning::check(facts.now, CredentialKind::Login, lapse));
        CheckResult::of(lapsing.map(|lapsing| {
            let cause = format!("the login {}", lapsing.describe());
            match lapsing.stage() {
                WarningStage::Expired => Finding::problem(cause, sign_in(facts)),
                _ => Finding::warning(cause, sign_in(facts)),
            }
        }))
    })
}

fn organization(facts: &PersonFacts) -> CheckResult {
    used(facts, || {
        let found = facts.login.state.login().and_then(|login| login.owner.organization.as_deref());
        match (&facts.login.expected_organization, found) {
            (None, _) => {
                CheckResult::NotApplicable("no organisation is expected by the configuration".into())
            }
            (Some(expected), Some(found)) if expected != found => {
                let cause = format!(
                    "the login is of the organisation {found}, not of {expected}: it is never backed up"
                );
                CheckResult::of([Finding::problem(cause, Remedy::Person(SWITCH.into()))])
            }
            _ => CheckResult::Ok,
        }
    })
}

fn memory(facts: &PersonFacts) -> CheckResult {
    CheckResult::of(facts.login.memory.iter().map(|(path, why)| {
        let cause = format!("without it nothing is put back: {why}");
        Finding::problem(cause, move_aside_as_user(path))
    }))
}

//! The login file: what Claude Code makes of it.

use cas_core::credential::expiry::{Kind, Lapse};
use cas_core::credential::expiry_warning::{Lapsing, Stage};
use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::LocalLogin;
use cas_core::ledger::Fate;

use super::super::check::{Check, Finding, Fix, Judgement, Remedy, aside_by_person};
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
const SCOPE: &str = "the scope user:inference is missing";

/// A login that no session uses is nobody's trouble.
fn used(facts: &PersonFacts, judge: impl Fn() -> Judgement) -> Judgement {
    match facts.env_file {
        EnvFile::Token { .. } => Judgement::Idle("the setup-token is used instead of the login".into()),
        _ => judge(),
    }
}

/// Broken: a copy that may be put back is, by the planner; otherwise somebody signs in.
fn broken(facts: &PersonFacts, cause: String) -> Judgement {
    Judgement::of([match facts.login.has_copy {
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

fn absent(facts: &PersonFacts) -> Judgement {
    used(facts, || match &facts.login.state {
        LocalLogin::Absent => broken(facts, format!("there is no login in {}", facts.login.path)),
        _ => Judgement::Fine,
    })
}

fn emptied(facts: &PersonFacts) -> Judgement {
    used(facts, || match &facts.login.state {
        LocalLogin::Tombstone => broken(
            facts,
            format!("Claude Code emptied {}, because its refresh token was refused", facts.login.path),
        ),
        _ => Judgement::Fine,
    })
}

fn damaged(facts: &PersonFacts) -> Judgement {
    used(facts, || match &facts.login.state {
        LocalLogin::Damaged(why) if *why != SCOPE => {
            broken(facts, format!("Claude Code takes {} for no login: {why}", facts.login.path))
        }
        _ => Judgement::Fine,
    })
}

fn scope(facts: &PersonFacts) -> Judgement {
    used(facts, || match &facts.login.state {
        LocalLogin::Damaged(why) if *why == SCOPE => broken(
            facts,
            format!(
                "the login in {} lacks the scope user:inference: Claude Code says it is not logged in",
                facts.login.path
            ),
        ),
        _ => Judgement::Fine,
    })
}

fn partial(facts: &PersonFacts) -> Judgement {
    used(facts, || match &facts.login.state {
        LocalLogin::Partial(why) => {
            let cause =
                format!("the login works until its access token ends, and cannot be backed up: {why}");
            Judgement::of([Finding::warning(cause, sign_in(facts))])
        }
        _ => Judgement::Fine,
    })
}

fn unreadable(facts: &PersonFacts) -> Judgement {
    match &facts.login.state {
        // Whose it is and which mode it has are checks of their own.
        LocalLogin::Unreadable(why) if !facts.has_foreign_entries() => {
            let cause = format!("nothing is done with the login file: {why}");
            Judgement::of([Finding::problem(cause, aside_by_person(&facts.login.path))])
        }
        _ => Judgement::Fine,
    }
}

fn rejected(facts: &PersonFacts) -> Judgement {
    used(facts, || {
        let cause = match (facts.login.state.login(), facts.login.fate) {
            (Some(_), Some(Fate::Rejected)) => "the server refused this login when it was verified last",
            (Some(login), Some(Fate::Superseded)) if !is_fresh(facts, login) => {
                "the login file holds an old copy, whose refresh token was exchanged since"
            }
            _ => return Judgement::Fine,
        };
        Judgement::of([Finding::problem(cause, sign_in(facts))])
    })
}

fn is_fresh(facts: &PersonFacts, login: &LoginSummary) -> bool {
    cas_core::credential::login_file::is_fresh(login.expires_at, facts.now)
}

fn lapses(facts: &PersonFacts) -> Judgement {
    used(facts, || {
        let lapse = facts.login.state.login().and_then(Lapse::of_login);
        let lapsing = lapse.and_then(|lapse| Lapsing::at(facts.now, Kind::Login, lapse));
        Judgement::of(lapsing.map(|lapsing| {
            let cause = format!("the login {}", lapsing.when());
            match lapsing.stage() {
                Stage::Passed => Finding::problem(cause, sign_in(facts)),
                _ => Finding::warning(cause, sign_in(facts)),
            }
        }))
    })
}

fn organization(facts: &PersonFacts) -> Judgement {
    used(facts, || {
        let found = facts.login.state.login().and_then(|login| login.owner.organization.as_deref());
        match (&facts.login.expected_organization, found) {
            (None, _) => Judgement::Idle("no organisation is expected by the configuration".into()),
            (Some(expected), Some(found)) if expected != found => {
                let cause = format!(
                    "the login is of the organisation {found}, not of {expected}: it is never backed up"
                );
                Judgement::of([Finding::problem(cause, Remedy::Person(SWITCH.into()))])
            }
            _ => Judgement::Fine,
        }
    })
}

fn memory(facts: &PersonFacts) -> Judgement {
    Judgement::of(facts.login.memory.iter().map(|(path, why)| {
        let cause = format!("without it nothing is put back: {why}");
        Finding::problem(cause, aside_by_person(path))
    }))
}

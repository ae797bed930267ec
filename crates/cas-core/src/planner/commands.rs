//! What a person asks for by hand: one thing, under the same rules as everything that happens by itself. Nothing here can be
//! forced: what the rules forbid would spend a token, and with it, perhaps, every copy of the login.

use super::{
    BackupFilter, Command, DocumentFact, Facts, Ineligible, Mode, Step, Target, VerificationTarget, backup,
    candidate, copies, eligibility, probe, restore, roll_back,
};
use crate::credential::login_file::LoginFileState;
use crate::credential::verification::Verification;
use crate::outcome::{BackupLocation, Finding, Status};

/// The next step of this errand; nothing when it is over.
pub(super) fn next(errand: Command, facts: &Facts) -> Option<Step> {
    match errand {
        Command::Backup | Command::Restore(_) if !facts.settings.oauth_backup => None,
        Command::Verify(which) => probe(facts, subject(facts, which)?),
        Command::Backup => ask_store(facts).or_else(|| back_up(facts)),
        Command::Restore(choice) => put_back(facts, choice),
    }
}

/// What is to be probed. Only a fresh access token can be: nothing here refreshes.
fn subject(facts: &Facts, which: Target) -> Option<VerificationTarget> {
    match (which, facts.active_token()) {
        (Target::Active | Target::SetupToken, Some(token)) => Some(VerificationTarget::SetupToken(token)),
        (Target::SetupToken, None) => None,
        (Target::Active, None) | (Target::Login, _) => match &facts.login {
            LoginFileState::Valid(login) => Some(VerificationTarget::Login(login.generation)),
            _ => None,
        },
    }
}

fn ask_store(facts: &Facts) -> Option<Step> {
    matches!(facts.document, DocumentFact::NotRead).then_some(Step::ReadStore)
}

fn back_up(facts: &Facts) -> Option<Step> {
    let login = facts.login.login()?;
    let probed = match &facts.login {
        LoginFileState::Valid(login) => probe(facts, VerificationTarget::Login(login.generation)),
        _ => None,
    };
    let place = || backup::next_location(facts, login).map(|place| Step::Backup(login.generation, place));
    probed.or_else(place)
}

/// The store is asked first, also where only the history is wanted: it may know that a copy was replaced since.
fn put_back(facts: &Facts, choice: BackupFilter) -> Option<Step> {
    if facts.active_token().is_some() {
        return None;
    }
    match &facts.login {
        LoginFileState::Valid(login) => {
            probe(facts, VerificationTarget::Login(login.generation)).or_else(|| {
                let verdict = facts.verdict(VerificationTarget::Login(login.generation));
                let later = || restore(facts, candidate::chosen_for_a_rejected_login(facts, choice, login));
                let is_rejected = verdict.is_some_and(Verification::is_rejected);
                is_rejected.then(|| ask_store(facts).or_else(later).or_else(|| roll_back(facts, login)))?
            })
        }
        LoginFileState::ClearedByClient | LoginFileState::Invalid(_) | LoginFileState::Missing => {
            ask_store(facts).or_else(|| restore(facts, candidate::chosen(facts, choice)))
        }
        LoginFileState::AccessTokenExpired(_)
        | LoginFileState::NotRefreshable(_)
        | LoginFileState::Unreadable(_) => None,
    }
}

/// Whether a run is about the login even while a setup-token is in use.
pub(super) fn is_about_the_login(mode: Mode) -> bool {
    matches!(mode, Mode::Command(Command::Verify(Target::Login) | Command::Backup))
}

/// What there is to say of this errand that is not said of a run by itself.
pub(super) fn finding(errand: Command, facts: &Facts) -> Option<(Status, Finding)> {
    let not_done = |why: &str| Some((Status::Fail, Finding::RequestRefused(why.to_owned())));
    match errand {
        Command::Backup | Command::Restore(_) if !facts.settings.oauth_backup => {
            not_done("no copies of logins are kept or put back on this machine (oauth_backup = false)")
        }
        Command::Verify(Target::SetupToken) if facts.active_token().is_none() => {
            not_done("there is no setup-token that could be verified")
        }
        Command::Verify(Target::Active | Target::SetupToken) if facts.active_token().is_some() => None,
        Command::Verify(_) | Command::Backup => broken(&facts.login)
            .map(|state| (Status::Fail, Finding::LoginUnusable { state: state.to_owned() })),
        Command::Restore(_) if facts.active_token().is_some() => not_done(
            "a setup-token is in use, so Claude Code does not look at the login, and it was left alone",
        ),
        // To a run by itself that is somebody who has yet to sign in; whoever asks for their login is told that there is none.
        Command::Restore(choice)
            if choice == BackupFilter::default() && eligibility::has_never_signed_in(facts) =>
        {
            broken(&facts.login)
                .map(|state| (Status::Fail, Finding::Unrecoverable { state: state.to_owned() }))
        }
        Command::Restore(choice) => withheld(facts, choice),
    }
}

/// What Claude Code takes for no login, in words.
pub(super) fn broken<L>(login: &LoginFileState<L>) -> Option<&'static str> {
    match login {
        LoginFileState::ClearedByClient => {
            Some("the login was emptied by Claude Code (its refresh was refused)")
        }
        LoginFileState::Invalid(_) => Some("the login file is damaged"),
        LoginFileState::Missing => Some("there is no login"),
        _ => None,
    }
}

/// Why what the person chose was not put back, where anything else than that there is nothing is to be said.
fn withheld(facts: &Facts, choice: BackupFilter) -> Option<(Status, Finding)> {
    if choice == BackupFilter::default() || facts.done.restore.is_some() {
        return None;
    }
    let not_done = |why: String| Some((Status::Fail, Finding::RequestRefused(why)));
    let what = choice.generation.map_or_else(
        || format!("no copy in {} may be put back", choice.from.unwrap_or(BackupLocation::LocalHistory)),
        |generation| format!("generation {generation} is not put back"),
    );
    let chosen = copies(facts).into_iter().find(|copy| choice.matches(copy.login.generation, copy.source));
    let obstacle = chosen.as_ref().and_then(|copy| copy.obstacle);
    let why = match (choice.generation, &chosen, obstacle) {
        (Some(_), None, _) => {
            ": no copy of it is kept (`cas-sync restore --list` names those there are)".into()
        }
        (Some(_), _, Some(obstacle)) => format!(": {obstacle}"),
        _ => String::new(),
    };
    match &facts.login {
        LoginFileState::Valid(_) | LoginFileState::AccessTokenExpired(_)
            if obstacle == Some(Ineligible::AlreadyInFile) =>
        {
            None
        }
        LoginFileState::Valid(_) | LoginFileState::AccessTokenExpired(_) if choice.generation.is_some() => {
            let verdict = facts
                .login
                .login()
                .and_then(|login| facts.verdict(VerificationTarget::Login(login.generation)));
            let is_rejected = verdict.is_some_and(Verification::is_rejected);
            (!is_rejected)
                .then(|| not_done(format!("the login in the file is whole and stays; {what}{why}")))?
        }
        login => {
            let state = broken(login)?;
            match (obstacle, candidate::for_a_broken_login(facts)) {
                (Some(Ineligible::RestoreLimitReached), _) => None,
                (_, Some((best, source))) => not_done(format!(
                    "{what}{why}; `cas-sync restore` without a choice puts {} back from {source}",
                    best.generation
                )),
                (_, None) => {
                    Some((Status::Fail, Finding::Unrecoverable { state: format!("{state}, {what}{why},") }))
                }
            }
        }
    }
}

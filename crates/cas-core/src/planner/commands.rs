//! The commands `verify`, `backup` and `restore`. They follow the same rules as every other run and
//! cannot be forced: what the rules forbid can consume a refresh token and thereby revoke the
//! login.

use super::{
    BackupFilter, Command, DocumentFact, Facts, Ineligible, Mode, Step, Target, VerificationTarget, backup,
    backups, candidate, eligibility, probe, restore, roll_back,
};
use crate::credential::login_file::LoginFileState;
use crate::credential::verification::Verification;
use crate::outcome::{BackupLocation, Finding, Status};

/// Returns the next step of this command, or `None` when it is complete.
pub(super) fn next(command: Command, facts: &Facts) -> Option<Step> {
    match command {
        Command::Backup | Command::Restore(_) if !facts.settings.oauth_backup => None,
        Command::Verify(target) => probe(facts, verification_target(facts, target)?),
        Command::Backup => ask_store(facts).or_else(|| back_up(facts)),
        Command::Restore(filter) => restore_backup(facts, filter),
    }
}

/// Returns the credential to verify. A login needs a valid access token, because `verify` does not
/// refresh.
fn verification_target(facts: &Facts, target: Target) -> Option<VerificationTarget> {
    match (target, facts.active_token()) {
        (Target::Active | Target::SetupToken, Some(token)) => Some(VerificationTarget::SetupToken(token)),
        (Target::SetupToken, None) => None,
        (Target::Active, None) | (Target::Login, _) => match &facts.login {
            LoginFileState::Valid(login) => Some(VerificationTarget::Login(login.generation)),
            login => {
                login.unrefreshed_token().map(|token| VerificationTarget::UnrefreshedToken(token.fingerprint))
            }
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

/// Reads the store first, even if a backup of the local history is requested: the store may know
/// that it is superseded.
fn restore_backup(facts: &Facts, filter: BackupFilter) -> Option<Step> {
    if facts.active_token().is_some() {
        return None;
    }
    match &facts.login {
        LoginFileState::Valid(_) | LoginFileState::AccessTokenExpired(_)
            if filter == BackupFilter::default() && candidate::successor(facts).is_some() =>
        {
            ask_store(facts).or_else(|| restore(facts, candidate::successor(facts)))
        }
        LoginFileState::Valid(login) => {
            probe(facts, VerificationTarget::Login(login.generation)).or_else(|| {
                let verdict = facts.verdict(VerificationTarget::Login(login.generation));
                let later = || restore(facts, candidate::selected_for_rejected_login(facts, filter, login));
                let is_rejected = verdict.is_some_and(Verification::is_rejected);
                is_rejected.then(|| ask_store(facts).or_else(later).or_else(|| roll_back(facts, login)))?
            })
        }
        LoginFileState::ClearedByClient | LoginFileState::Invalid(_) | LoginFileState::Missing => {
            ask_store(facts).or_else(|| restore(facts, candidate::selected(facts, filter)))
        }
        LoginFileState::AccessTokenExpired(_)
        | LoginFileState::NotRefreshable(_)
        | LoginFileState::Unreadable(_) => None,
    }
}

/// Returns true if the run is about the login even while a setup token is active.
pub(super) fn is_about_login(mode: Mode) -> bool {
    matches!(mode, Mode::Command(Command::Verify(Target::Login) | Command::Backup))
}

/// Returns the finding that is specific to this command, if there is one.
pub(super) fn finding(command: Command, facts: &Facts) -> Option<(Status, Finding)> {
    let refused = |why: &str| Some((Status::Fail, Finding::RequestRefused(why.to_owned())));
    match command {
        Command::Backup | Command::Restore(_) if !facts.settings.oauth_backup => {
            refused("logins are not backed up or restored on this machine (oauth_backup = false)")
        }
        Command::Verify(Target::SetupToken) if facts.active_token().is_none() => {
            refused("there is no setup-token to verify")
        }
        Command::Verify(Target::Active | Target::SetupToken) if facts.active_token().is_some() => None,
        Command::Verify(_) | Command::Backup => unusable_state(&facts.login)
            .map(|state| (Status::Fail, Finding::LoginUnusable { state: state.to_owned() })),
        Command::Restore(_) if facts.active_token().is_some() => {
            refused("a setup-token is in use, so Claude Code does not read the login; file not changed")
        }
        // Without a login ever, other runs report "no login yet"; a user who asks for a restore is
        // told that there is no backup.
        Command::Restore(filter)
            if filter == BackupFilter::default() && eligibility::has_never_signed_in(facts) =>
        {
            unusable_state(&facts.login)
                .map(|state| (Status::Fail, Finding::Unrecoverable { state: state.to_owned() }))
        }
        Command::Restore(filter) => refusal(facts, filter),
    }
}

/// Describes a login file in which Claude Code finds no login.
pub(super) fn unusable_state<L>(login: &LoginFileState<L>) -> Option<&'static str> {
    match login {
        LoginFileState::ClearedByClient => {
            Some("the login was cleared by Claude Code (its refresh was rejected)")
        }
        LoginFileState::Invalid(_) => Some("the login file is damaged"),
        LoginFileState::Missing => Some("there is no login"),
        _ => None,
    }
}

/// Returns why the selected backup was not restored, if there is more to report than that there is
/// none.
fn refusal(facts: &Facts, filter: BackupFilter) -> Option<(Status, Finding)> {
    if filter == BackupFilter::default() || facts.done.restore.is_some() {
        return None;
    }
    let refused = |why: String| Some((Status::Fail, Finding::RequestRefused(why)));
    let what = filter.generation.map_or_else(
        || format!("no backup in {} can be restored", filter.from.unwrap_or(BackupLocation::LocalHistory)),
        |generation| format!("generation {generation} is not restored"),
    );
    let selected =
        backups(facts).into_iter().find(|backup| filter.matches(backup.login.generation, backup.source));
    let ineligible = selected.as_ref().and_then(|backup| backup.ineligible);
    let why = match (filter.generation, &selected, ineligible) {
        (Some(_), None, _) => ": it has no backup (`cas-sync restore --list` lists the backups)".into(),
        (Some(_), _, Some(ineligible)) => format!(": {ineligible}"),
        _ => String::new(),
    };
    match &facts.login {
        LoginFileState::Valid(_) | LoginFileState::AccessTokenExpired(_)
            if ineligible == Some(Ineligible::AlreadyInFile) =>
        {
            None
        }
        LoginFileState::Valid(_) | LoginFileState::AccessTokenExpired(_) if filter.generation.is_some() => {
            let verdict = facts
                .login
                .login()
                .and_then(|login| facts.verdict(VerificationTarget::Login(login.generation)));
            let is_rejected = verdict.is_some_and(Verification::is_rejected);
            (!is_rejected)
                .then(|| refused(format!("the login in the file is complete and stays; {what}{why}")))?
        }
        login => {
            let state = unusable_state(login)?;
            match (ineligible, candidate::for_unusable_login(facts)) {
                (Some(Ineligible::RestoreLimitReached), _) => None,
                (_, Some((best, source))) => refused(format!(
                    "{what}{why}; `cas-sync restore` without options restores {} from {source}",
                    best.generation
                )),
                (_, None) => {
                    Some((Status::Fail, Finding::Unrecoverable { state: format!("{state}, {what}{why}") }))
                }
            }
        }
    }
}

//! The rules that every step is held against.

use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::{LoginFileState, is_fresh};
use cas_core::credential::remnant::Remnant;
use cas_core::credential::verification::Verification;
use cas_core::outcome::BackupLocation;
use cas_core::planner::*;
use cas_core::time::timestamp::Timestamp;

use crate::history::{HOUR, Run};
use crate::world::World;

impl World {
    pub(crate) fn check(&self, facts: &Facts, step: &Step, run: &Run) {
        let verdict =
            facts.login.login().and_then(|login| facts.verdict(VerificationTarget::Login(login.generation)));
        let is_rejected = verdict.is_some_and(Verification::is_rejected);
        let is_of_a_copy = matches!(step, Step::Restore(..) | Step::RollBack | Step::Backup(..));
        assert!(run.keeps_copies || !is_of_a_copy, "{step:?} although no copies are to be kept");
        match step {
            Step::Restore(generation, source) => {
                let login =
                    self.ever.iter().find(|login| login.generation == *generation).expect("it existed");
                assert!(facts.login.needs_restore() || is_rejected, "I1: {:?} was replaced", facts.login);
                assert!(!self.rejected.contains(generation), "I1, I3: a rejected generation was put back");
                assert!(
                    !self.seen_superseded.contains(generation),
                    "I1, I3: a superseded generation was put back"
                );
                let is_foreign = *source == BackupLocation::Store && self.backup_is_foreign;
                assert!(
                    !is_foreign || run.others || !self.has_had_own_login,
                    "the login that another machine lives by was put back"
                );
                let newer = self.written_after(login);
                assert!(newer.is_none(), "I3: put back although Claude Code wrote {newer:?} later");
                let last = self.lay_there_last.as_ref();
                assert!(
                    last.is_none_or(|last| self.true_owner(last.generation) == &login.owner),
                    "I1: another account's login was put back"
                );
                if run.mode == Mode::Watch {
                    assert!(facts.login != LoginFileState::Missing, "the watcher undid a deletion");
                    assert!(is_fresh(login.expires_at, facts.now), "the watcher put a stale login back");
                }
                if let Some(found) = facts.login.login() {
                    assert!(login.expires_at > found.expires_at && found.generation != *generation, "I1");
                }
                if let Some(remnant) = &facts.remnant {
                    self.check_remnant(login, remnant);
                }
                self.check_frequency(login);
                self.check_undated(login);
                assert!(
                    !run.expected || login.owner.organization.as_deref() == Some("organization0"),
                    "another organisation's login"
                );
                assert!(
                    facts.active_token().is_none(),
                    "the login file is left alone while a setup-token is in use"
                );
            }
            Step::RollBack => {
                let put_back = facts.login.login().and_then(|login| self.restores.get(&login.generation));
                assert!(is_rejected && put_back.is_some(), "I3, I4: only what was put back makes room again");
            }
            Step::Backup(generation, place) => {
                let login = facts.login.login().expect("I2: no complete login");
                assert_eq!(login.generation, *generation);
                assert!(verdict.is_none_or(Verification::is_alive), "I4: backed up after {verdict:?}");
                let is_alive = verdict.is_some_and(Verification::is_alive);
                assert!(
                    is_alive || !self.rejected.contains(generation),
                    "I2: a rejected generation was backed up"
                );
                if *place == BackupLocation::Store {
                    let kept = facts.document().expect("I2: never without having read").backup.as_ref();
                    assert!(kept.is_none_or(|kept| kept.expires_at < login.expires_at), "I2: an older one");
                    let owner = self.true_owner(*generation);
                    assert!(
                        kept.is_none_or(|kept| self.true_owner(kept.generation) == owner),
                        "I2: in the place of another account's"
                    );
                    assert!(
                        !run.expected || login.owner.organization.as_deref() == Some("organization0"),
                        "I2"
                    );
                }
            }
            Step::RemoveEnvFile => {
                let said = facts.document().map(|document| document.setup_token.clone());
                assert_eq!(said, Some(TokenFact::Withdrawn), "I6");
            }
            Step::WriteEnvFile => {
                let said = facts.document().map(|document| document.setup_token.clone());
                assert!(
                    matches!(said, Some(TokenFact::Token(_))),
                    "only a well-formed token reaches the env file"
                );
                assert!(
                    !matches!(facts.env_file, EnvFileFact::Unreadable(_)),
                    "I8: what is not the user's file is not replaced"
                );
            }
            Step::Probe(subject) => {
                assert!(run.can_verify && matches!(run.mode, Mode::Sync | Mode::Command(_)));
                if let VerificationTarget::Login(_) = subject {
                    assert!(
                        matches!(facts.login, LoginFileState::Valid(_)),
                        "nothing stale is probed by value"
                    );
                }
            }
            Step::RefreshRun => {
                assert!(run.can_verify && run.mode == Mode::Sync && !run.refreshing);
                let login = facts.login.login().expect("only a login is refreshed");
                assert!(
                    matches!(facts.login, LoginFileState::AccessTokenExpired(_)) || is_rejected,
                    "nothing to refresh"
                );
                // The expiry of one that is written in seconds tells no order.
                let is_later = |other: &LoginSummary| {
                    !self.undated.contains(&login.generation)
                        && !other.owner.contradicts(&login.owner)
                        && other.expires_at > login.expires_at
                };
                assert!(!facts.history.iter().any(is_later), "a spent refresh token was replayed");
                assert!(
                    !self.seen_superseded.contains(&login.generation),
                    "a spent refresh token was replayed"
                );
            }
            Step::ReadStore => assert!(run.mode != Mode::Watch, "the watcher asks nobody"),
            Step::Report(_) => (),
        }
        if let Mode::Command(errand) = run.mode {
            Self::check_errand(errand, step);
        }
    }

    /// Whoever asks for one thing gets nothing else.
    fn check_errand(errand: Command, step: &Step) {
        let is_asked_for = match (errand, step) {
            (_, Step::Report(_) | Step::Probe(_)) => true,
            (Command::Verify(_), _) => false,
            (Command::Backup, step) => matches!(step, Step::ReadStore | Step::Backup(..)),
            (Command::Restore(choice), Step::Restore(generation, source)) => {
                choice.generation.is_none_or(|wanted| wanted == *generation)
                    && choice.from.is_none_or(|wanted| wanted == *source)
            }
            (Command::Restore(_), step) => matches!(step, Step::ReadStore | Step::RollBack),
        };
        assert!(is_asked_for, "{errand:?} led to {step:?}");
    }

    /// A login of the same account that Claude Code was seen to write after this one was first seen, with the clock set back
    /// in between.
    fn written_after(&self, login: &LoginSummary) -> Option<&LoginSummary> {
        let position = self.written.iter().position(|(written, _)| written.generation == login.generation)?;
        let (_, seen_at) = &self.written[position];
        let mut since =
            self.written[position..].iter().filter(|(_, at)| at < seen_at).map(|(login, _)| login);
        since.find(|later| {
            later.generation != login.generation
                && !self.rejected.contains(&later.generation)
                && !later.owner.contradicts(&login.owner)
        })
    }

    /// A login that broke off in the file is not replaced by an older generation of the same account.
    fn check_remnant(&self, login: &LoginSummary, remnant: &Remnant) {
        let position = |generation| self.ever.iter().position(|login| login.generation == generation);
        let torn = &self.ever[position(remnant.generation).expect("it existed")];
        let is_newer = position(remnant.generation) > position(login.generation)
            && torn.expires_at >= login.expires_at
            && !torn.owner.contradicts(&login.owner);
        let is_unusable = self.rejected.contains(&torn.generation);
        assert!(!is_newer || is_unusable, "I1: {login:?} was restored over the newer {torn:?}");
    }

    /// A login whose expiry tells no order is not replaced by an older generation of the same account.
    fn check_undated(&self, login: &LoginSummary) {
        let later = self.ever.iter().skip_while(|other| other.generation != login.generation).skip(1);
        let mut newer = later.filter(|other| {
            self.undated.contains(&other.generation)
                && self.seen.contains(&other.generation)
                && !self.rejected.contains(&other.generation)
                && !self.seen_superseded.contains(&other.generation)
                && !other.owner.contradicts(&login.owner)
        });
        assert_eq!(newer.next(), None, "I1: {login:?} was restored, and this is newer");
    }

    pub(crate) fn check_frequency(&self, login: &LoginSummary) {
        let restores = self.restores.get(&login.generation).map_or(&[][..], Vec::as_slice);
        if is_fresh(login.expires_at, Timestamp::from_millis(self.now)) {
            let recent = restores.iter().filter(|(at, _)| *at > self.now || self.now - at < HOUR).count();
            assert!(recent < 8, "I3: put back {recent} times within the hour");
        } else {
            assert!(restores.is_empty(), "I3: a stale generation was put back again");
        }
    }
}

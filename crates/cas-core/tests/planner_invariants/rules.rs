//! The rules that each step is checked against.

use cas_core::config::StoreKind;
use cas_core::credential::fingerprint::Fingerprint;
use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::{LoginFileState, LoginPlace, is_fresh};
use cas_core::credential::remnant::Remnant;
use cas_core::credential::verification::Verification;
use cas_core::outcome::{BackupLocation, Status};
use cas_core::planner::*;
use cas_core::time::timestamp::Timestamp;

use crate::history::{HOUR, Run};
use crate::world::World;

impl World {
    pub(crate) fn check(&self, facts: &Facts, step: &Step, run: &Run) {
        let verdict =
            facts.login.login().and_then(|login| facts.verdict(VerificationTarget::Login(login.generation)));
        let is_rejected = verdict.is_some_and(Verification::is_rejected);
        let needs_backups = matches!(step, Step::Restore(..) | Step::RollBack | Step::Backup(..));
        assert!(run.oauth_backup || !needs_backups, "{step:?} although backups are disabled");
        let is_marked = matches!(&facts.document, DocumentFact::Read(document) if document.is_offboarded);
        let uses_document = matches!(
            step,
            Step::Restore(_, BackupLocation::Store)
                | Step::Backup(_, BackupLocation::Store)
                | Step::WriteEnvFile
                | Step::RemoveEnvFile
                | Step::CopyToken(_)
                | Step::RemoveLocalToken
        );
        assert!(!(is_marked && uses_document), "{step:?} with the document of an offboarded user");
        let is_repointed = matches!(self.place, LoginPlace::Link(_))
            && self.last_place != LoginPlace::Unknown
            && self.place != self.last_place;
        let writes_file = matches!(step, Step::Restore(..) | Step::RollBack);
        assert!(!(is_repointed && writes_file), "{step:?} into a file that may be another account's");
        match step {
            Step::Restore(generation, source) => {
                let login =
                    self.ever.iter().find(|login| login.generation == *generation).expect("it existed");
                let is_superseded = facts.login.login().is_some_and(|found| {
                    self.seen_superseded.contains(&found.generation)
                        && self.true_owner(found.generation) == self.true_owner(*generation)
                });
                assert!(
                    facts.login.needs_restore() || is_rejected || is_superseded,
                    "I1: {:?} was replaced",
                    facts.login
                );
                assert!(!self.rejected.contains(generation), "I1, I3: a rejected generation was restored");
                assert!(
                    !self.seen_superseded.contains(generation),
                    "I1, I3: a superseded generation was restored"
                );
                let is_foreign = *source == BackupLocation::Store && self.backup_is_foreign;
                assert!(
                    !is_foreign || run.others || run.asks_for_other_machine(),
                    "another machine's login was restored although it was not asked for"
                );
                let newer = self.written_after(login);
                assert!(newer.is_none(), "I3: restored although Claude Code wrote {newer:?} later");
                let last = self.last_login.as_ref();
                assert!(
                    last.is_none_or(|last| self.true_owner(last.generation) == &login.owner),
                    "I1: another account's login was restored"
                );
                let is_automatic = !matches!(run.mode, Mode::Command(_));
                assert!(self.sign_out.is_none() || !is_automatic, "I1: restored after {:?}", self.sign_out);
                if run.mode == Mode::Watch {
                    assert!(facts.login != LoginFileState::Missing, "the watcher restored a deleted login");
                    assert!(
                        is_fresh(login.expires_at, facts.now),
                        "the watcher restored a login with an expired access token"
                    );
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
                    "another organization's login"
                );
                assert!(
                    facts.active_token().is_none(),
                    "the login file is not changed while a setup token is active"
                );
            }
            Step::RollBack => {
                let restored = facts.login.login().and_then(|login| self.restores.get(&login.generation));
                assert!(is_rejected && restored.is_some(), "I3, I4: only a restored login is rolled back");
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
                        "I2: it replaced another account's"
                    );
                    assert!(
                        !run.expected || login.owner.organization.as_deref() == Some("organization0"),
                        "I2"
                    );
                }
            }
            Step::RemoveEnvFile => {
                let token = facts.active_token().expect("I6: only a token is removed");
                let is_held = self.held.contains(&(token, run.store_id()));
                assert!(is_held, "I6: removed a token that this store never held");
                let stated = facts.document().map(|document| document.setup_token.clone());
                assert!(matches!(stated, Some(TokenFact::Withdrawn | TokenFact::Absent)), "I6: {stated:?}");
            }
            Step::CopyToken(token) => self.check_copied_token(*token, facts, run),
            Step::RemoveLocalToken => {
                let local = facts.local_token.expect("only a token is removed");
                let is_replaced = matches!((&self.token, facts.active_token()),
                    (Some(TokenFact::Token(stored)), Some(active)) if *stored == active);
                let is_held = self.held.contains(&(local, run.store_id()));
                assert!(is_replaced || is_held, "a token was removed that Vault never had");
            }
            Step::WriteEnvFile => {
                self.check_activation(facts, run);
                let stated = facts.document().map(|document| document.setup_token.clone());
                assert!(
                    matches!(stated, Some(TokenFact::Token(_))),
                    "only a well-formed token reaches the env file"
                );
                assert!(
                    !matches!(facts.env_file, EnvFileFact::Unreadable(_)),
                    "I8: a file of another user was replaced"
                );
            }
            Step::Probe(subject) => {
                assert!(run.can_verify && matches!(run.mode, Mode::Sync | Mode::Command(_)));
                if let VerificationTarget::Login(_) = subject {
                    assert!(
                        matches!(facts.login, LoginFileState::Valid(_)),
                        "an expired access token was verified by value"
                    );
                }
            }
            Step::RefreshRun => {
                assert!(run.can_verify && run.mode == Mode::Sync && !run.refreshing);
                let login = facts.login.login().expect("only a login is refreshed");
                assert!(
                    matches!(facts.login, LoginFileState::AccessTokenExpired(_)) || is_rejected,
                    "there is nothing to refresh"
                );
                // The expiry of one that is written in seconds tells no order.
                let is_later = |other: &LoginSummary| {
                    !self.undated.contains(&login.generation)
                        && !other.owner.contradicts(&login.owner)
                        && other.expires_at > login.expires_at
                };
                assert!(!facts.history.iter().any(is_later), "a consumed refresh token was reused");
                assert!(
                    !self.seen_superseded.contains(&login.generation),
                    "a consumed refresh token was reused"
                );
            }
            Step::ReadStore => assert!(run.mode != Mode::Watch, "the watcher read the store"),
            Step::Report(outcome) => {
                let is_failure = outcome.status == Status::Fail;
                assert!(!is_marked || run.mode != Mode::Sync || is_failure, "a sync did not report the mark");
            }
        }
        if let Mode::Command(command) = run.mode {
            Self::check_command(command, step);
        }
    }

    /// A command takes no other steps than its own.
    fn check_command(command: Command, step: &Step) {
        let is_permitted = match (command, step) {
            (_, Step::Report(_) | Step::Probe(_)) => true,
            (Command::Verify(_), _) => false,
            (Command::Backup, step) => matches!(step, Step::ReadStore | Step::Backup(..)),
            (Command::Restore(filter), Step::Restore(generation, source)) => {
                filter.generation.is_none_or(|selected| selected == *generation)
                    && filter.from.is_none_or(|selected| selected == *source)
            }
            (Command::Restore(_), step) => matches!(step, Step::ReadStore | Step::RollBack),
        };
        assert!(is_permitted, "{command:?} led to {step:?}");
    }

    /// Returns a login of the same account that Claude Code wrote after this one was first seen,
    /// with the clock set back in between.
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

    /// A setup token that is known to be rejected is never activated, and one that was not verified
    /// replaces no credential that works, unless this machine verifies nothing.
    fn check_activation(&self, facts: &Facts, run: &Run) {
        let Some(TokenFact::Token(token)) = self.token else { panic!("the store has no token") };
        let has_token =
            facts.active_token().is_some_and(|active| self.token_is_valid.get(&active) != Some(&false));
        let login = facts.login.login().map(|login| login.generation);
        let has_login = login.is_some_and(|generation| !self.rejected.contains(&generation));
        let verdict = facts.verdict(VerificationTarget::SetupToken(token));
        assert!(!verdict.is_some_and(Verification::is_rejected), "a rejected setup token was activated");
        let is_known_rejected = self.token_is_valid.get(&token) == Some(&false) && verdict.is_none();
        assert!(!is_known_rejected, "a setup token that was rejected earlier was activated");
        let is_account_refused = matches!(verdict, Some(Verification::Rejected { .. }));
        assert!(!is_account_refused, "a setup token whose account is refused was activated");
        let is_alive = verdict.is_some_and(Verification::is_alive);
        let is_unusable = matches!(verdict, Some(Verification::ClientUnusable(_)));
        assert!(
            is_alive || !run.can_verify || is_unusable || !(has_token || has_login),
            "an unverified setup token replaced a credential that works"
        );
    }

    /// Vault gets the setup token of the local store only where it has no field for one and never
    /// held this one, and no token that was rejected.
    fn check_copied_token(&self, token: Fingerprint, facts: &Facts, run: &Run) {
        assert!(run.store == StoreKind::Vault && run.mode == Mode::Sync && self.local_token == Some(token));
        assert!(matches!(self.token, None | Some(TokenFact::Absent)), "a field of Vault was overwritten");
        assert!(!self.held.contains(&(token, run.store_id())), "a withdrawn token was stored again");
        assert!(facts.active_token().is_none_or(|active| active == token), "another token is active");
        let verdict = facts.verdict(VerificationTarget::SetupToken(token));
        let is_refused = matches!(verdict, Some(Verification::Rejected { .. }));
        assert!(!is_refused && self.token_is_valid.get(&token) != Some(&false), "it was rejected");
    }

    /// A login that broke off in the file is not replaced by an older generation of the same
    /// account.
    fn check_remnant(&self, login: &LoginSummary, remnant: &Remnant) {
        let position = |generation| self.ever.iter().position(|login| login.generation == generation);
        let torn = &self.ever[position(remnant.generation).expect("it existed")];
        let is_newer = position(remnant.generation) > position(login.generation)
            && torn.expires_at >= login.expires_at
            && !torn.owner.contradicts(&login.owner);
        let is_unusable = self.rejected.contains(&torn.generation);
        assert!(!is_newer || is_unusable, "I1: {login:?} was restored over the newer {torn:?}");
    }

    /// A login whose expiry tells no order is not replaced by an older generation of the same
    /// account. Two of them have only the order in which they were first seen, and an old copy can
    /// be seen last.
    fn check_undated(&self, login: &LoginSummary) {
        if self.undated.contains(&login.generation) {
            return;
        }
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
            assert!(recent < 8, "I3: restored {recent} times within the hour");
        } else {
            let verified = self.verified.get(&login.generation);
            let is_restored_again =
                restores.iter().any(|(at, _)| verified.is_none_or(|verified| verified < at));
            assert!(!is_restored_again, "I3: a generation with an expired access token was restored again");
        }
    }
}

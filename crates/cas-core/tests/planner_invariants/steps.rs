//! What a step of the planner does in the simulated world, and what other processes do meanwhile.

use cas_core::config::StoreKind;
use cas_core::credential::expiry::SetupTokenDates;
use cas_core::credential::login_file::{LoginFileState, is_fresh};
use cas_core::credential::verification::Verification;
use cas_core::outcome::BackupLocation;
use cas_core::planner::*;
use cas_core::store::StoreError;

use crate::history::{Event, Interference, Run};
use crate::world::World;

impl World {
    pub(crate) fn interfere(&mut self, facts: &mut Facts, interference: Option<Interference>) {
        match interference {
            Some(Interference::SignsIn) => self.happen(Event::SignIn { account: 0 }),
            Some(Interference::Clears) => self.happen(Event::Clear),
            None => return,
        }
        self.observe();
        facts.login = self.file.0.clone();
        facts.sign_out = self.sign_out;
        facts.remnant = self.remnant();
        facts.ledger = self.ledger.clone();
    }

    pub(crate) fn carry_out(&mut self, facts: &mut Facts, step: Step, run: &Run) {
        let result = || if run.writes_succeed { Ok(()) } else { Err("disk full".to_owned()) };
        let verdict = run.verdicts[facts.done.verdicts.len() % run.verdicts.len()].clone();
        match step {
            Step::ReadStore if run.store_answers => {
                if let (Some(TokenFact::Token(token)), false) = (&self.token, self.is_offboarded) {
                    let dates = SetupTokenDates::default();
                    self.ledger.setup_tokens.record_from_store(*token, dates, run.store_id(), facts.now);
                    self.held.insert((*token, run.store_id()));
                }
                self.contact = StoreContact { last_success: Some(facts.now), last_failure: None };
                facts.document = DocumentFact::Read(DocumentSummary {
                    backup: self.backup.clone(),
                    from_another_machine: self.backup_is_foreign,
                    setup_token: self.token.clone().unwrap_or(TokenFact::NotSpecified),
                    is_offboarded: self.is_offboarded,
                });
            }
            Step::ReadStore => {
                self.contact.last_failure = Some(facts.now);
                facts.document =
                    DocumentFact::Unreadable(StoreError::Unreachable { reason: "refused".into() });
            }
            Step::CopyToken(token) => {
                if run.writes_succeed {
                    self.token = Some(TokenFact::Token(token));
                    self.copied += 1;
                }
                facts.done.copied_token = Some(result());
                if run.writes_succeed {
                    return self.carry_out(facts, Step::ReadStore, run);
                }
            }
            Step::RemoveLocalToken => {
                if run.writes_succeed {
                    self.local_token = None;
                }
                facts.done.removed_local_token = true;
                facts.local_token = self.local_token;
            }
            Step::WriteEnvFile | Step::RemoveEnvFile => {
                let change =
                    if step == Step::WriteEnvFile { EnvFileChange::Written } else { EnvFileChange::Removed };
                if run.writes_succeed {
                    self.env_file.0 = match (change, &self.token) {
                        (EnvFileChange::Written, Some(TokenFact::Token(token))) => EnvFileFact::Token(*token),
                        _ => EnvFileFact::Absent,
                    };
                }
                facts.done.env_file = Some(result().map(|()| change));
                facts.env_file = self.env_file.0.clone();
            }
            Step::Probe(subject) => {
                if let VerificationTarget::Login(generation) = subject {
                    self.ledger.record_verification(generation, &verdict, facts.now);
                    self.note_alive(generation, &verdict);
                    if verdict.is_rejected() {
                        self.rejected.insert(generation);
                    }
                }
                if let VerificationTarget::SetupToken(token) | VerificationTarget::UnrefreshedToken(token) =
                    subject
                {
                    self.ledger.setup_tokens.record(token, facts.now);
                    self.ledger.setup_tokens.record_verification(token, &verdict);
                    match verdict {
                        Verification::Ok | Verification::RateLimited => {
                            self.token_is_valid.insert(token, true);
                        }
                        Verification::Rejected { account_level: false } => {
                            self.token_is_valid.insert(token, false);
                        }
                        _ => (),
                    }
                }
                facts.done.probes += 1;
                facts.done.verdicts.push((subject, verdict));
            }
            Step::RefreshRun => {
                self.refresh_runs += 1;
                let before = self.file.0.login().expect("only a login is refreshed").clone();
                match &verdict {
                    Verification::Ok | Verification::RateLimited => {
                        self.happen(Event::Refresh);
                        let generation = self.file.0.login().expect("a refresh leaves a login").generation;
                        facts.done.verdicts.push((VerificationTarget::Login(generation), verdict.clone()));
                        self.ledger.record_verification(generation, &verdict, facts.now);
                        self.note_alive(generation, &verdict);
                    }
                    Verification::Rejected { account_level: false } => {
                        self.happen(Event::Clear);
                        self.ledger.record_verification(before.generation, &verdict, facts.now);
                        self.rejected.insert(before.generation);
                        facts
                            .done
                            .verdicts
                            .push((VerificationTarget::Login(before.generation), verdict.clone()));
                    }
                    _ => facts
                        .done
                        .verdicts
                        .push((VerificationTarget::Login(before.generation), verdict.clone())),
                }
                facts.done.refresh_run = Some(verdict);
            }
            Step::Restore(generation, source) => {
                let login = self
                    .ever
                    .iter()
                    .find(|login| login.generation == generation)
                    .expect("it existed")
                    .clone();
                let fresh = is_fresh(login.expires_at, facts.now);
                self.ledger.begin_restore(&login, None, facts.now);
                self.restores.entry(generation).or_default().push((self.now, fresh));
                if run.writes_succeed {
                    self.put(login.clone());
                }
                facts.done.restore = Some(Restored { login, source, result: result() });
            }
            Step::RollBack => {
                if run.writes_succeed {
                    self.file.0 = LoginFileState::ClearedByClient;
                    self.ledger.record_rollback();
                }
                self.roll_backs += 1;
                facts.done.roll_back = Some(result());
            }
            Step::Backup(_, place) => {
                let login = self.file.0.login().expect("only a login is backed up").clone();
                let into_history = place == BackupLocation::LocalHistory || run.store == StoreKind::Local;
                if run.writes_succeed && into_history {
                    self.history.push(login.clone());
                }
                if run.writes_succeed && place == BackupLocation::Store {
                    (self.backup, self.backup_is_foreign) = (Some(login), false);
                    self.backups += 1;
                }
                match place {
                    BackupLocation::LocalHistory => facts.done.history_backup = Some(result()),
                    BackupLocation::Store => facts.done.store_backup = Some(result()),
                }
            }
            Step::Report(_) => (),
        }
        self.observe();
        facts.login = self.file.0.clone();
        facts.remnant = self.remnant();
        facts.ledger = self.ledger.clone();
        facts.history = self.history.clone();
    }
}

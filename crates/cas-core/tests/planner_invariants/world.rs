//! The simulated world of the histories. It executes the planner's steps, and records independently
//! what the rules need.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cas_core::config::StoreKind;
use cas_core::credential::fingerprint::{Fingerprint, RefreshTokenId};
use cas_core::credential::login::{LoginSummary, NotRefreshable, Owner, UnrefreshedToken};
use cas_core::credential::login_file::{LoginFileState, LoginPlace, is_fresh};
use cas_core::credential::remnant::Remnant;
use cas_core::credential::sign_out::SignOut;
use cas_core::credential::verification::Verification;
use cas_core::ledger::Ledger;
use cas_core::planner::{self, *};
use cas_core::time::timestamp::Timestamp;

use crate::history::{Damage, Event, HOUR, Run};

#[derive(Default)]
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) restored_by_hand: usize,
    pub(crate) backed_up_by_hand: usize,
    pub(crate) serial: u64,
    pub(crate) file: File,
    /// Why the user intends that there is no login.
    pub(crate) sign_out: Option<SignOut>,
    /// What is left of a login in a damaged file.
    pub(crate) remnant: Option<Remnant>,
    /// Those whose expiry was written in seconds.
    pub(crate) undated: BTreeSet<RefreshTokenId>,
    pub(crate) ledger: Ledger,
    pub(crate) history: Vec<LoginSummary>,
    pub(crate) backup: Option<LoginSummary>,
    pub(crate) backup_is_foreign: bool,
    pub(crate) is_offboarded: bool,
    /// Where the credential file is, and where it was when a login was last seen in it.
    pub(crate) place: LoginPlace,
    pub(crate) last_place: LoginPlace,
    pub(crate) token: Option<TokenFact>,
    pub(crate) env_file: Env,
    /// The setup token of the local store.
    pub(crate) local_token: Option<Fingerprint>,
    /// The setup tokens that each store was seen to hold.
    pub(crate) held: BTreeSet<(Fingerprint, Fingerprint)>,
    /// The last conclusive verification of each setup token.
    pub(crate) token_is_valid: BTreeMap<Fingerprint, bool>,
    pub(crate) contact: StoreContact,
    // The test's own records.
    pub(crate) ever: Vec<LoginSummary>,
    pub(crate) seen: BTreeSet<RefreshTokenId>,
    /// The logins in which an older client dropped the owner. `ever` has it.
    pub(crate) unnamed: BTreeSet<RefreshTokenId>,
    /// The logins with a valid access token at their first sight in the file, in that order, with
    /// the time, without those that were restored.
    pub(crate) written: Vec<(LoginSummary, u64)>,
    pub(crate) last_login: Option<LoginSummary>,
    pub(crate) seen_superseded: BTreeSet<RefreshTokenId>,
    pub(crate) rejected: BTreeSet<RefreshTokenId>,
    pub(crate) restores: BTreeMap<RefreshTokenId, Vec<(u64, bool)>>,
    /// When a generation was last shown to work.
    pub(crate) verified: BTreeMap<RefreshTokenId, u64>,
    pub(crate) backups: usize,
    /// How often a setup token was copied to Vault.
    pub(crate) copied: usize,
    pub(crate) roll_backs: usize,
    pub(crate) refresh_runs: usize,
}

pub(crate) struct File(pub(crate) LoginFileState<LoginSummary>);
pub(crate) struct Env(pub(crate) EnvFileFact);

impl Default for File {
    fn default() -> Self {
        Self(LoginFileState::Missing)
    }
}

impl Default for Env {
    fn default() -> Self {
        Self(EnvFileFact::Absent)
    }
}

impl World {
    pub(crate) fn new_login(&mut self, account: u8, machine: &str) -> LoginSummary {
        self.serial += 1;
        let login = LoginSummary {
            generation: RefreshTokenId::from_bytes(&format!("{machine}{}", self.serial)),
            // Mostly eight hours, sometimes another lifetime.
            expires_at: Timestamp::from_millis(
                self.now + [8, 8, 8, 1, 24][self.serial as usize % 5] * HOUR + self.serial,
            ),
            login_expires_at: None,
            owner: Owner {
                account: Some(format!("account{account}")),
                organization: Some(format!("organization{account}")),
            },
        };
        self.ever.push(login.clone());
        login
    }

    /// Returns the real owner of a login.
    pub(crate) fn true_owner(&self, generation: RefreshTokenId) -> &Owner {
        &self.ever.iter().find(|login| login.generation == generation).expect("it existed").owner
    }

    pub(crate) fn put(&mut self, mut login: LoginSummary) {
        if self.unnamed.contains(&login.generation) {
            login.owner = Owner::default();
        }
        let fresh = is_fresh(login.expires_at, Timestamp::from_millis(self.now));
        self.file.0 =
            if fresh { LoginFileState::Valid(login) } else { LoginFileState::AccessTokenExpired(login) };
    }

    pub(crate) fn age_file(&mut self) {
        if let Some(login) = self.file.0.login().cloned() {
            self.put(login);
        }
    }

    pub(crate) fn happen(&mut self, event: Event) {
        match event {
            Event::Wait(millis) => self.now += millis,
            Event::SetClockBack(millis) => self.now -= millis.min(self.now / 2),
            Event::SignIn { account } => {
                let login = self.new_login(account, "here");
                self.put(login);
            }
            Event::Refresh => {
                if let Some(old) = self.file.0.login().map(|login| login.generation) {
                    let account = u8::from(self.true_owner(old).account.as_deref() == Some("account1"));
                    let login = self.new_login(account, "here");
                    self.put(login);
                }
            }
            Event::RefreshByOlderClient => {
                self.observe(); // the owner is unknown unless the login was seen with its name
                if self.file.0.login().is_some() {
                    self.happen(Event::Refresh);
                    self.unnamed.extend(self.ever.last().map(|login| login.generation));
                    self.put(self.ever.last().expect("just made").clone());
                    self.observe();
                }
            }
            Event::RefreshInSeconds if self.file.0.login().is_some() => {
                self.happen(Event::Refresh);
                let login = self.ever.last_mut().expect("just made");
                login.expires_at = Timestamp::from_millis(login.expires_at.millis() / 1000);
                self.undated.insert(login.generation);
                let login = login.clone();
                self.put(login);
            }
            Event::RefreshInSeconds => (),
            Event::Clear => self.file.0 = LoginFileState::ClearedByClient,
            Event::Damage(damage) => self.damage(damage),
            Event::Delete => self.file.0 = LoginFileState::Missing,
            Event::SignOut(sign_out) => {
                let login = self.file.0.login().map(|login| login.generation);
                self.file.0 = LoginFileState::Missing;
                self.sign_out = Some(sign_out);
                if sign_out == SignOut::Logout {
                    self.ledger.record_sign_out(login);
                }
            }
            Event::NotRefreshable => {
                self.file.0 = LoginFileState::NotRefreshable(NotRefreshable {
                    why: "no refresh token",
                    token: Some(UnrefreshedToken {
                        fingerprint: Fingerprint::from_bytes("0"),
                        expires_at: None,
                        has_refresh_token: false,
                    }),
                });
            }
            Event::WriteOldCopy(which) if !self.ever.is_empty() => {
                self.put(self.ever[which % self.ever.len()].clone())
            }
            Event::WriteOldCopy(_) => (),
            Event::OtherMachineBacksUp => {
                self.backup = Some(self.new_login(0, "there"));
                self.backup_is_foreign = true;
            }
            Event::Repoint(account) => {
                self.place = match account {
                    None => LoginPlace::File,
                    Some(account) => LoginPlace::Link(Fingerprint::from_bytes(&account.to_string())),
                };
            }
            Event::Offboard(is_offboarded) => self.is_offboarded = is_offboarded,
            Event::StoreToken(token) => self.token = token,
            Event::LocalToken(token) => self.local_token = token,
            Event::EnvFile(found) => self.env_file.0 = found,
            Event::Run(run) => self.run(run),
        }
        self.age_file();
        self.sign_out = self.sign_out.filter(|_| self.file.0.needs_restore());
    }

    fn damage(&mut self, damage: Damage) {
        if damage.of_new_login {
            self.happen(Event::Refresh);
        }
        self.remnant = self.file.0.login().filter(|_| damage.has_generation).map(|login| Remnant {
            generation: login.generation,
            expires_at: damage.has_expiry.then_some(login.expires_at),
            owner: if damage.has_owner { login.owner.clone() } else { Owner::default() },
        });
        self.file.0 = LoginFileState::Invalid("torn");
    }

    pub(crate) fn remnant(&self) -> Option<Remnant> {
        self.remnant.clone().filter(|_| matches!(self.file.0, LoginFileState::Invalid(_)))
    }

    /// A verified login may be restored again when its access token has expired.
    pub(crate) fn note_alive(&mut self, generation: RefreshTokenId, verdict: &Verification) {
        if verdict.is_alive() {
            self.verified.insert(generation, self.now);
        }
    }

    /// Records the login in the file, as each run does first. Logins that expire earlier are
    /// superseded.
    pub(crate) fn observe(&mut self) {
        if let Some(login) = self.file.0.login_mut() {
            self.ledger.record_login(login, self.place, Timestamp::from_millis(self.now));
            login.owner = self.ledger.resolve_owner(login);
            let login = login.clone();
            let is_superseded = |other: &&LoginSummary| {
                other.expires_at < login.expires_at
                    && self.seen.contains(&other.generation)
                    && !other.owner.contradicts(&login.owner)
            };
            let superseded: Vec<_> =
                self.ever.iter().filter(is_superseded).map(|other| other.generation).collect();
            self.seen_superseded.extend(superseded);
            let is_first_seen =
                self.seen.insert(login.generation) && !self.restores.contains_key(&login.generation);
            if is_first_seen && is_fresh(login.expires_at, Timestamp::from_millis(self.now)) {
                self.written.push((login.clone(), self.now));
            }
            self.last_login = Some(login);
            self.last_place = self.place;
        }
    }

    pub(crate) fn facts(&self, run: &Run) -> Facts {
        Facts {
            now: Timestamp::from_millis(self.now),
            login: self.file.0.clone(),
            sign_out: self.sign_out,
            client_state: None,
            remnant: self.remnant(),
            refreshing: run.refreshing,
            ledger: self.ledger.clone(),
            history: self.history.clone(),
            document: DocumentFact::NotRead,
            env_file: self.env_file.0.clone(),
            local_token: self.local_token.filter(|_| run.store == StoreKind::Vault),
            contact: self.contact,
            place: self.place,
            asked_lately: false,
            settings: Settings {
                mode: run.mode,
                store: run.store,
                login_refresh_after: Duration::from_secs(900),
                store_id: run.store_id(),
                can_verify: run.can_verify,
                verifies_in_sync: run.can_verify,
                expected_organization: run.expected.then(|| "organization0".to_owned()),
                restore_from_other_machines: run.others,
                oauth_backup: run.oauth_backup,
                can_copy_setup_token: true,
            },
            done: Progress::default(),
        }
    }

    pub(crate) fn run(&mut self, mut run: Run) {
        if let (Mode::Command(Command::Restore(filter)), Some(which)) = (&mut run.mode, run.selected) {
            filter.generation =
                (!self.ever.is_empty()).then(|| self.ever[which % self.ever.len()].generation);
        }
        self.observe();
        let mut facts = self.facts(&run);
        let (mut restores, mut probes, mut reports) = (0, 0, 0);
        for interference in &run.interference {
            let step = planner::next(&facts);
            self.check(&facts, &step, &run);
            match &step {
                Step::Restore(..) => {
                    restores += 1;
                    self.restored_by_hand += usize::from(matches!(run.mode, Mode::Command(_)));
                }
                Step::Backup(..) => {
                    self.backed_up_by_hand += usize::from(matches!(run.mode, Mode::Command(_)));
                }
                Step::Probe(_) => probes += 1,
                Step::Report(_) => {
                    reports += 1;
                    break;
                }
                _ => (),
            }
            self.carry_out(&mut facts, step, &run);
            self.interfere(&mut facts, *interference);
        }
        assert!(
            restores <= 1 && probes <= 2 && reports == 1,
            "I7: {restores} restores, {probes} probes, {reports} reports"
        );
    }
}

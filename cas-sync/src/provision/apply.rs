//! Does for one person what the plan says, one step at a time, and notes how it went.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use cas_core::account::Account;
use cas_core::deadline::Deadline;
use cas_core::store::Failure;
use cas_core::store::vault::{Administration, Permission, Token, attempts};

use super::custodian::Line;
use super::custody::Custody;
use super::plan::{Ending, Facts, Means, PROOF_LASTS_MS, Proof, Step, TokenState, Try, Wanted, next};
use super::record::{Record, Records};
use crate::deferred_signals::DeferredSignals;
use crate::{enrolment, units};

/// How long the server may take for one answer.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a home may take, and how long once another was too slow: they may be on one server.
const PATIENCE: Duration = Duration::from_secs(10);
const IMPATIENCE: Duration = Duration::from_secs(2);
/// How often, and how long, a server is waited for that says when to ask again.
const MOST_WAITS: u32 = 20;
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// More than any plan has.
const MOST_STEPS: usize = 16;

/// Somebody the roster, or an earlier one, names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) wanted: Wanted,
    /// Why this person cannot be served here at all.
    pub(super) unservable: Option<String>,
}

/// What was done for one person, and how it ended.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    pub(super) ending: Ending,
}

/// What a run works with.
pub(super) struct Work {
    /// None where the store is on this machine.
    pub(super) store: Option<Administration>,
    pub(super) admin: Option<Token>,
    pub(super) means: Means,
    pub(super) records: Records,
    /// This machine, for people who look at a token.
    pub(super) host: String,
    pub(super) is_dry: bool,
    /// Those whose units are yet to be started.
    pub(super) enrolled: Vec<String>,
    /// Why the server is not asked any more.
    pub(super) outage: Option<Failure>,
    pub(super) has_role: bool,
    pub(super) a_home_was_slow: bool,
}

/// What is at hand for one person while it is being served.
#[derive(Default)]
struct Hands {
    custody: Option<Custody>,
    token: Option<Token>,
}

impl Work {
    /// An admin's token that the server does not know is none.
    pub(super) fn look_at_the_admin(&mut self) {
        let Some(admin) = self.admin.take() else { return };
        let now_ms = self.means.now_ms;
        match self.ask(|store, deadline| store.look_up(&admin, "", now_ms, deadline)) {
            Ok(None) => {
                self.means.no_admin = Some(
                    "the admin's token is expired, revoked, or may not look itself up: log in to the store again".into(),
                );
            }
            Ok(Some(_)) | Err(_) => self.admin = Some(admin),
        }
    }

    /// Serves one person. What is begun for them is not interrupted.
    pub(super) fn serve(&mut self, person: &Person) -> Served {
        let _uninterrupted = DeferredSignals::new();
        let mut hands = Hands::default();
        let mut facts = self.gather(person, &mut hands);
        let (mut steps, mut tries) = (Vec::new(), 0);
        while tries < MOST_STEPS {
            let step = next(&facts, &self.means);
            if let Step::Done(ending) = step {
                let ending = self.remember(person, &facts, ending);
                return Served { name: person.name.clone(), steps, ending };
            }
            facts = match self.is_dry {
                true => facts.imagined(&step, self.means.now_ms),
                false => self.done(&step, facts, person, &mut hands),
            };
            tries += 1;
            if facts.show(&step) {
                steps.push(step);
            }
        }
        let ending = Ending::Skipped("this takes no end; report it".into());
        Served { name: person.name.clone(), steps, ending }
    }

    fn gather(&mut self, person: &Person, hands: &mut Hands) -> Facts {
        let record = self.records.of(&person.name);
        let is_servable = person.wanted == Wanted::Yes && person.unservable.is_none();
        let token = match is_servable && self.store.is_some() {
            true => self.token_of(&person.name, hands),
            false => TokenState::NotNeeded,
        };
        let is_proved = |record: &Record| {
            let is_this = matches!(&token, TokenState::Held(held) if held.accessor == record.accessor);
            is_this && record.proved_at_ms.saturating_add(PROOF_LASTS_MS) > self.means.now_ms
        };
        Facts {
            wanted: person.wanted.clone(),
            unservable: person.unservable.clone(),
            is_enrolled: match person.wanted {
                Wanted::Yes => enrolment::is_enrolled(&person.name),
                _ => enrolment::has_traces(&person.name),
            },
            enrolment_failed: None,
            proof: if record.as_ref().is_some_and(is_proved) { Proof::Good } else { Proof::Due },
            token,
            renewal: Try::NotYet,
            minting: Try::NotYet,
            policy: Try::NotYet,
            accessor: record.map(|record| record.accessor).filter(|accessor| !accessor.is_empty()),
            revocation: Try::NotYet,
        }
    }

    fn token_of(&mut self, user: &str, hands: &mut Hands) -> TokenState {
        if let Some(failure) = &self.outage {
            return TokenState::Unknown(failure.clone());
        }
        let patience = if self.a_home_was_slow { IMPATIENCE } else { PATIENCE };
        let mut custody = match Custody::of(user, patience) {
            Ok(custody) => custody,
            Err(error) => return TokenState::Unfit(format!("no process of theirs can be started: {error}")),
        };
        let line = custody.look();
        self.a_home_was_slow |= custody.was_slow();
        hands.custody = Some(custody);
        match line {
            Line::Token(token) => self.standing_of(token, user, hands),
            Line::Absent => TokenState::Absent("they have no token".into()),
            Line::Replaceable(why) => TokenState::Absent(why),
            other => TokenState::Unfit(other.to_string()),
        }
    }

    fn standing_of(&mut self, token: Token, user: &str, hands: &mut Hands) -> TokenState {
        let now_ms = self.means.now_ms;
        let standing = self.ask(|store, deadline| store.look_up(&token, user, now_ms, deadline));
        hands.token = Some(token);
        match standing {
            Ok(Some(standing)) => TokenState::Held(standing),
            Ok(None) => TokenState::Absent("their token is expired or revoked".into()),
            Err(failure) => TokenState::Unknown(failure),
        }
    }

    fn done(&mut self, step: &Step, facts: Facts, person: &Person, hands: &mut Hands) -> Facts {
        let user = &person.name;
        match step {
            Step::Renew => self.renewed(facts, user, hands),
            Step::Mint(_) => self.minted(facts, user, hands),
            Step::Prove => {
                Facts { proof: self.proof(user, hands), ..facts }.after_outage(self.outage.as_ref())
            }
            Step::RewritePolicy => {
                let written =
                    self.with_admin(|store, admin, deadline| store.write_policy(admin, user, deadline));
                Facts { policy: tried(&written), proof: Proof::Due, ..facts }
            }
            Step::Enroll => self.enrolled(facts, user),
            Step::Disenroll => match enrolment::cease(user) {
                Ok(_) => Facts { is_enrolled: false, ..facts },
                Err(error) => Facts { enrolment_failed: Some(format!("{error:#}")), ..facts },
            },
            Step::Revoke => {
                let accessor = facts.accessor.clone().unwrap_or_default();
                let revoked =
                    self.with_admin(|store, admin, deadline| store.revoke(admin, &accessor, deadline));
                Facts { revocation: tried(&revoked), ..facts }
            }
            Step::Done(_) => facts,
        }
    }

    fn renewed(&mut self, facts: Facts, user: &str, hands: &mut Hands) -> Facts {
        let Some(token) = hands.token.take() else { return facts };
        let renewal = tried(&self.ask(|store, deadline| store.renew(&token, user, deadline)));
        Facts { token: self.standing_of(token, user, hands), renewal, ..facts }
    }

    /// Nothing is made before there is room for it, and what cannot be kept is revoked.
    fn minted(&mut self, facts: Facts, user: &str, hands: &mut Hands) -> Facts {
        let Some(custody) = &mut hands.custody else { return facts };
        if let Err(why) = custody.prepare() {
            return Facts { token: TokenState::Unfit(why), ..facts };
        }
        let host = self.host.clone();
        let minted = self.set_up(user).and_then(|()| {
            self.with_admin(|store, admin, deadline| store.mint(admin, user, &host, deadline))
        });
        let minted = match minted {
            Ok(minted) => minted,
            Err(failure) => return Facts { minting: Try::Failed(failure), ..facts },
        };
        if let Err(why) = custody.keep(&minted.token) {
            let revoked =
                self.with_admin(|store, admin, deadline| store.revoke(admin, &minted.accessor, deadline));
            let rest = revoked.err().map(|failure| format!("; its new token is not revoked: {failure}"));
            return Facts { token: TokenState::Unfit(why + &rest.unwrap_or_default()), ..facts };
        }
        // Their own old one is of no use any more; somebody else's is not ours to end.
        match &facts.token {
            TokenState::Held(old) if old.foreign.is_none() => {
                drop(self.with_admin(|store, admin, deadline| store.revoke(admin, &old.accessor, deadline)));
            }
            _ => (),
        }
        let token = self.standing_of(minted.token, user, hands);
        Facts { token, proof: Proof::Due, minting: Try::Done, ..facts }
    }

    /// The role, once in a run, and this user's policy, where they are missing. An admin who may not look at them is believed to
    /// have seen to them.
    fn set_up(&mut self, user: &str) -> Result<(), Failure> {
        if !self.has_role {
            if let Ok(false) = self.with_admin(Administration::has_role) {
                self.with_admin(Administration::write_role)?;
            }
            self.has_role = true;
        }
        match self.with_admin(|store, admin, deadline| store.policy(admin, user, deadline)) {
            Ok(None) => self.with_admin(|store, admin, deadline| store.write_policy(admin, user, deadline)),
            _ => Ok(()),
        }
    }

    fn proof(&mut self, user: &str, hands: &Hands) -> Proof {
        let Some(token) = &hands.token else { return Proof::Useless };
        let Some(layout) = self.store.as_ref().map(|store| store.layout().clone()) else { return Proof::Due };
        match self.ask(|store, deadline| store.may_read(token, user, deadline)) {
            Ok(Permission::Allowed) => {}
            Ok(Permission::Denied) => return Proof::Useless,
            Err(_) => return Proof::Due,
        }
        let mut wide = Vec::new();
        for attempt in attempts(&layout, user) {
            match self.ask(|store, deadline| store.attempt(token, &attempt, deadline)) {
                Ok(Permission::Denied) => {}
                Ok(Permission::Allowed) => wide.push(attempt.would.to_owned()),
                Err(_) => return Proof::Due,
            }
        }
        if wide.is_empty() { Proof::Good } else { Proof::Wide(wide) }
    }

    fn enrolled(&mut self, facts: Facts, user: &str) -> Facts {
        if let Some(why) = units::stand_in_for(user) {
            return Facts { enrolment_failed: Some(why), ..facts };
        }
        let prepared =
            Account::named(user).map_err(Into::into).and_then(|account| enrolment::prepare(&account));
        match prepared {
            Ok(_) => {
                self.enrolled.push(user.to_owned());
                Facts { is_enrolled: true, ..facts }
            }
            Err(error) => Facts { enrolment_failed: Some(format!("{error:#}")), ..facts },
        }
    }

    /// Writes down who was brought by the roster, and with which token; forgets who has gone.
    fn remember(&self, person: &Person, facts: &Facts, ending: Ending) -> Ending {
        if self.is_dry {
            return ending;
        }
        let is_well = matches!(ending, Ending::Well | Ending::TooWide(_));
        let written = match &facts.wanted {
            Wanted::Gone { doubt: None } if is_well => self.records.forget(&person.name),
            Wanted::Yes if is_well => self.keep_record(&person.name, facts),
            // Enrolled or not: there is a token now that is to be revoked some day.
            Wanted::Yes if facts.minting == Try::Done => self.keep_record(&person.name, facts),
            _ => Ok(()),
        };
        match written {
            Ok(()) => ending,
            Err(error) => Ending::Skipped(format!("{error:#}")),
        }
    }

    fn keep_record(&self, user: &str, facts: &Facts) -> Result<()> {
        let before = self.records.of(user);
        let accessor = match &facts.token {
            TokenState::Held(standing) => standing.accessor.clone(),
            _ => String::new(),
        };
        let mut record = Record { accessor, ..before.clone().unwrap_or_default() };
        let is_same = before.as_ref().is_some_and(|before| before.accessor == record.accessor);
        let was_proved = is_same && record.proved_at_ms.saturating_add(PROOF_LASTS_MS) > self.means.now_ms;
        record.proved_at_ms = match &facts.proof {
            Proof::Good if was_proved => record.proved_at_ms,
            Proof::Good => self.means.now_ms,
            _ => 0,
        };
        if before == Some(record.clone()) { Ok(()) } else { self.records.keep(user, &record) }
    }

    fn with_admin<T>(
        &mut self,
        request: impl Fn(&mut Administration, &Token, &Deadline) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some(admin) = self.admin.take() else {
            return Err(Failure::Unreachable { reason: "there is no admin's token".into() });
        };
        let answer = self.ask(|store, deadline| request(store, &admin, deadline));
        self.admin = Some(admin);
        answer
    }

    /// Asks again when the server wants to be asked a little later. Once it is sealed or gone, nobody asks it in this run.
    pub(super) fn ask<T>(
        &mut self,
        request: impl Fn(&mut Administration, &Deadline) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if let Some(failure) = &self.outage {
            return Err(failure.clone());
        }
        let Some(store) = &mut self.store else {
            return Err(Failure::Unreachable { reason: "there is no server".into() });
        };
        let mut answer = request(store, &Deadline::after(ANSWER));
        for _ in 0..MOST_WAITS {
            let Err(Failure::Busy { retry_after: Some(wait), .. }) = &answer else { break };
            if *wait > LONGEST_WAIT {
                break;
            }
            thread::sleep((*wait).max(SHORTEST_WAIT));
            answer = request(store, &Deadline::after(ANSWER));
        }
        if let Err(failure @ (Failure::Busy { .. } | Failure::Unreachable { .. })) = &answer {
            self.outage = Some(failure.clone());
        }
        answer
    }
}

impl Facts {
    /// A question that was not answered decides nothing.
    fn after_outage(self, outage: Option<&Failure>) -> Self {
        match outage {
            Some(failure) => Self { token: TokenState::Unknown(failure.clone()), ..self },
            None => self,
        }
    }
}

fn tried<T>(result: &Result<T, Failure>) -> Try {
    match result {
        Ok(_) => Try::Done,
        Err(failure) => Try::Failed(failure.clone()),
    }
}

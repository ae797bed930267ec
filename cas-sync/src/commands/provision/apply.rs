//! Does for one person what the plan says, one step at a time, and notes how it went.

use std::time::Duration;

use anyhow::Result;
use cas_core::store::StoreError;
use cas_core::system::account::Account;
use cas_vault::{Minted, Token};

use super::plan::RunContext;
use super::plan::{Attempt, Desired, Facts, PolicyCheck, ProvisionResult, Step, TokenState, next};
use super::records::{Record, Records};
use super::server::VaultServer;
use super::token_agent::Message;
use super::token_agent_client::TokenAgentClient;
use crate::enrollment::enroll;
use crate::enrollment::unenroll;
use crate::systemd;

/// How long a home may take, and how long once another was too slow: they may be on one server.
const PATIENCE: Duration = Duration::from_secs(10);
const SHORT_HOME_TIMEOUT: Duration = Duration::from_secs(2);
/// More than any plan has.
const MOST_STEPS: usize = 16;

/// Somebody the roster, or an earlier one, names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) wanted: Desired,
    /// Why this person cannot be served here at all.
    pub(super) unservable: Option<String>,
}

/// What was done for one person, and how it ended.
#[derive(Debug)]
pub(super) struct UserResult {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    pub(super) ending: ProvisionResult,
    /// What the server remarked, such as a lifetime cut short by a limit.
    pub(super) warnings: Vec<String>,
}

/// What a run works with.
pub(super) struct Provisioner {
    /// None where the store is on this machine.
    pub(super) server: Option<VaultServer>,
    pub(super) means: RunContext,
    pub(super) records: Records,
    pub(super) is_dry: bool,
    /// Those whose units are yet to be started.
    pub(super) enrolled: Vec<String>,
    pub(super) a_home_was_slow: bool,
}

/// What is at hand for one person while it is being served.
#[derive(Default)]
struct UserSession {
    user: String,
    custody: Option<TokenAgentClient>,
    token: Option<Token>,
    record: Option<Record>,
    warnings: Vec<String>,
}

impl Provisioner {
    /// Why the server is not asked any more, if it is not.
    pub(super) fn outage(&self) -> Option<&StoreError> {
        self.server.as_ref().and_then(VaultServer::outage)
    }

    /// Serves one person.
    pub(super) fn provision_user(&mut self, person: &Person) -> UserResult {
        let record = self.records.of(&person.name);
        let mut hands = UserSession { user: person.name.clone(), record, ..UserSession::default() };
        let mut facts = self.gather(person, &mut hands);
        let mut steps = Vec::new();
        for _ in 0..MOST_STEPS {
            let step = next(&facts, &self.means);
            if let Step::Done(ending) = step {
                let ending = self.save_record(&facts, &mut hands, ending);
                return UserResult { name: hands.user, steps, ending, warnings: hands.warnings };
            }
            // A proof changes nothing; what was only imagined cannot be proved.
            let is_real = facts.minting == Attempt::NotTried && facts.policy == Attempt::NotTried;
            let is_imagined = self.is_dry && !(step == Step::Prove && is_real);
            facts = match is_imagined {
                true => facts.simulate(&step, self.means.now_ms),
                false => self.done(&step, facts, &mut hands).unwrap_or_else(|failed| *failed),
            };
            if facts.show(&step) {
                steps.push(step);
            }
        }
        let ending = ProvisionResult::Skipped("this takes no end; report it".into());
        UserResult { name: hands.user, steps, ending, warnings: hands.warnings }
    }

    fn gather(&mut self, person: &Person, hands: &mut UserSession) -> Facts {
        let is_servable = person.wanted == Desired::Enrolled && person.unservable.is_none();
        let token = match (self.outage().cloned(), is_servable && self.server.is_some()) {
            (Some(failure), true) => TokenState::Unknown(failure),
            (None, true) => self.token_of(hands),
            (_, false) => TokenState::NotRequired,
        };
        let record = hands.record.clone().filter(|_| self.server.is_some()).unwrap_or_default();
        Facts {
            wanted: person.wanted.clone(),
            unservable: person.unservable.clone(),
            is_enrolled: match person.wanted {
                Desired::Enrolled => {
                    let are_due = hands.record.as_ref().is_some_and(|record| record.units_are_due);
                    !are_due && enroll::is_enrolled(&person.name)
                }
                _ => enroll::has_enrollment_artifacts(&person.name),
            },
            enrollment_failed: None,
            proof: self.means.cached_policy_check(&token, &record),
            token,
            renewal: Attempt::NotTried,
            minting: Attempt::NotTried,
            policy: Attempt::NotTried,
            former: self.means.revocable_tokens(&record),
            revocation: Attempt::NotTried,
        }
    }

    fn token_of(&mut self, hands: &mut UserSession) -> TokenState {
        let patience = if self.a_home_was_slow { SHORT_HOME_TIMEOUT } else { PATIENCE };
        let mut custody = match TokenAgentClient::spawn(&hands.user, patience) {
            Ok(custody) => custody,
            Err(error) => {
                return TokenState::HomeUnusable(format!("no process of theirs can be started: {error}"));
            }
        };
        let line = custody.read();
        self.a_home_was_slow |= custody.was_slow();
        hands.custody = Some(custody);
        match line {
            Message::Token(token) => self.standing_of(token, hands),
            Message::Absent => TokenState::Absent("they have no token".into()),
            Message::Replaceable(why) => TokenState::Absent(why),
            other => TokenState::HomeUnusable(other.to_string()),
        }
    }

    fn standing_of(&mut self, token: Token, hands: &mut UserSession) -> TokenState {
        let Some(server) = &mut self.server else { return TokenState::NotRequired };
        let standing = server.standing(&token, &hands.user);
        hands.token = Some(token);
        match standing {
            Ok(Some(standing)) => TokenState::Present(standing),
            Ok(None) => {
                TokenState::Absent("their token is expired, revoked, or may not look itself up".into())
            }
            Err(failure) => TokenState::Unknown(failure),
        }
    }

    /// The facts after a step; those of one that came to nothing are the error.
    fn done(&mut self, step: &Step, facts: Facts, hands: &mut UserSession) -> Result<Facts, Box<Facts>> {
        match step {
            Step::Renew => Ok(self.renewed(facts, hands)),
            Step::Mint(_) => self.minted(facts, hands),
            Step::Prove => Ok(self.proved(facts, hands)),
            Step::RewritePolicy => {
                // Whatever becomes of it, what was proved before holds no more.
                if let Some(record) = hands.record.as_mut().filter(|record| record.proved_at_ms > 0) {
                    record.proved_at_ms = 0;
                    if let Err(error) = self.records.keep(&hands.user, record) {
                        return Err(Box::new(Facts {
                            token: TokenState::HomeUnusable(format!("{error:#}")),
                            ..facts
                        }));
                    }
                }
                let written = self.with_server(|server| server.rewrite_policy(&hands.user));
                let token = match hands.token.take() {
                    Some(token) => self.standing_of(token, hands),
                    None => facts.token,
                };
                Ok(Facts { policy: attempt_result(&written), token, proof: PolicyCheck::Pending, ..facts })
            }
            Step::Enroll => Ok(self.enrolled(facts, &hands.user)),
            Step::Unenroll => Ok(match unenroll::unenroll_one(&hands.user) {
                Ok(_) => Facts { is_enrolled: false, ..facts },
                Err(error) => Facts { enrollment_failed: Some(format!("{error:#}")), ..facts },
            }),
            Step::Revoke => Ok(self.revoked(facts, hands)),
            Step::Done(_) => Ok(facts),
        }
    }

    fn renewed(&mut self, facts: Facts, hands: &mut UserSession) -> Facts {
        let Some(token) = hands.token.take() else { return facts };
        let renewal = attempt_result(&self.with_server(|server| server.renew(&token, &hands.user)));
        Facts { token: self.standing_of(token, hands), renewal, ..facts }
    }

    fn proved(&mut self, facts: Facts, hands: &UserSession) -> Facts {
        let Some(token) = &hands.token else { return Facts { proof: PolicyCheck::TooNarrow, ..facts } };
        match self.with_server(|server| server.check_policy(token, &hands.user)) {
            Ok(proof) => Facts { proof, ..facts },
            // A question that was not answered decides nothing.
            Err(failure) => Facts { token: TokenState::Unknown(failure), ..facts },
        }
    }

    /// Nothing is made before there is room for it. Which tokens there were is written down before the file is touched, so
    /// that none is forgotten wherever this ends; whichever of them does not lie there in the end is revoked later.
    fn minted(&mut self, facts: Facts, hands: &mut UserSession) -> Result<Facts, Box<Facts>> {
        let unfit =
            |facts: Facts, why: String| Box::new(Facts { token: TokenState::HomeUnusable(why), ..facts });
        if let Err(why) =
            hands.custody.as_mut().map_or(Err("there is no home".into()), TokenAgentClient::reserve)
        {
            return Err(unfit(facts, why));
        }
        let host = self.means.host.clone();
        let minted: Minted = match self.with_server(|server| server.mint(&hands.user, &host)) {
            Ok(minted) => minted,
            Err(failure) => return Err(Box::new(Facts { minting: Attempt::Failed(failure), ..facts })),
        };
        hands.warnings.extend(minted.warnings);
        let former = self.means.revocable_tokens_with(&facts, &minted.accessor);
        let record = Record { former: former.clone(), ..hands.record.clone().unwrap_or_default() };
        let facts = Facts { former, ..facts };
        if let Err(error) = self.records.keep(&hands.user, &record) {
            return Err(unfit(facts, format!("{error:#}")));
        }
        hands.record = Some(record);
        let Some(custody) = &mut hands.custody else { return Err(unfit(facts, "there is no home".into())) };
        if let Err(why) = custody.write(&minted.token) {
            // Whoever is too slow to say so may have kept it.
            if !custody.was_slow() && self.with_server(|server| server.revoke(&minted.accessor)).is_ok() {
                let record = hands.record.iter_mut();
                record.for_each(|record| record.former.retain(|former| *former != minted.accessor));
            }
            return Err(unfit(facts, why));
        }
        let token = self.standing_of(minted.token, hands);
        Ok(Facts { token, proof: PolicyCheck::Pending, minting: Attempt::Done, ..facts })
    }

    fn enrolled(&mut self, facts: Facts, user: &str) -> Facts {
        if let Some(why) = systemd::override_warning(user) {
            return Facts { enrollment_failed: Some(why), ..facts };
        }
        let prepared =
            Account::from_name(user).map_err(Into::into).and_then(|account| enroll::prepare(&account));
        match prepared {
            Ok(_) => {
                self.enrolled.push(user.to_owned());
                Facts { is_enrolled: true, ..facts }
            }
            Err(error) => Facts { enrollment_failed: Some(format!("{error:#}")), ..facts },
        }
    }

    /// Each that is revoked is forgotten at once.
    fn revoked(&mut self, mut facts: Facts, hands: &mut UserSession) -> Facts {
        facts.revocation = Attempt::Done;
        for accessor in facts.to_revoke() {
            match self.with_server(|server| server.revoke(&accessor)) {
                Ok(()) => facts.former.retain(|former| *former != accessor),
                Err(failure) => facts.revocation = Attempt::Failed(failure),
            }
        }
        if let Some(record) = &mut hands.record {
            record.former.clone_from(&facts.former);
        }
        facts
    }

    /// Writes down who was brought by the roster, and with which token; forgets who has gone.
    fn save_record(
        &self,
        facts: &Facts,
        hands: &mut UserSession,
        ending: ProvisionResult,
    ) -> ProvisionResult {
        if self.is_dry {
            return ending;
        }
        let before = self.records.of(&hands.user);
        let mut after = self.means.record(facts, hands.record.take(), &ending);
        if let Some(record) = &mut after {
            record.units_are_due |= self.enrolled.contains(&hands.user);
        }
        let written = match after {
            None if before.is_some() => self.records.forget(&hands.user),
            Some(record) if before.as_ref() != Some(&record) => self.records.keep(&hands.user, &record),
            _ => Ok(()),
        };
        match written {
            Ok(()) => ending,
            Err(error) => ProvisionResult::Skipped(format!("{error:#}")),
        }
    }

    fn with_server<T>(
        &mut self,
        question: impl FnOnce(&mut VaultServer) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &mut self.server {
            Some(server) => question(server),
            None => Err(StoreError::Unreachable { reason: "there is no server".into() }),
        }
    }
}

fn attempt_result<T>(result: &Result<T, StoreError>) -> Attempt {
    match result {
        Ok(_) => Attempt::Done,
        Err(failure) => Attempt::Failed(failure.clone()),
    }
}

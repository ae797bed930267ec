//! Executes the planned steps for one user and records the result.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use cas_core::store::StoreError;
use cas_core::system::account::Account;
use cas_core::time::timestamp::Timestamp;
use cas_vault::{Minted, Token};

use super::plan::RunContext;
use super::plan::{
    Attempt, Desired, Facts, OFFBOARDED, Offboarding, PolicyCheck, ProvisionResult, Step, TokenState,
    next_step,
};
use super::records::{Record, Records};
use super::remains;
use super::server::VaultServer;
use super::token_agent::AgentMessage;
use super::token_agent_client::TokenAgentClient;
use crate::enrollment::enroll;
use crate::enrollment::unenroll;
use crate::systemd;

/// The time limit for an answer from a home. The shorter limit applies after another home was slow,
/// because both can be on the same file server.
const HOME_TIMEOUT: Duration = Duration::from_secs(10);
const SHORT_HOME_TIMEOUT: Duration = Duration::from_secs(2);
/// An upper bound that no plan reaches.
const MAX_STEPS: usize = 16;

/// A user that the current roster or an earlier one lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TargetUser {
    pub(super) name: String,
    pub(super) desired: Desired,
    /// Why this user cannot be provisioned on this machine.
    pub(super) skip_reason: Option<String>,
    /// The action for the stored document if this user is offboarded.
    pub(super) offboarding: Option<Offboarding>,
}

/// The executed steps of one user and the final result.
#[derive(Debug)]
pub(super) struct UserResult {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    pub(super) result: ProvisionResult,
    /// Warnings from Vault, such as a lifetime that a limit shortened.
    pub(super) warnings: Vec<String>,
    /// The remaining items of an offboarded user.
    pub(super) remains: Vec<String>,
}

/// The state of one provisioning run.
pub(super) struct Provisioner {
    /// None with the local store.
    pub(super) server: Option<VaultServer>,
    pub(super) context: RunContext,
    pub(super) records: Records,
    pub(super) is_dry: bool,
    /// Users whose units must still be started.
    pub(super) enrolled: Vec<String>,
    pub(super) has_slow_home: bool,
    /// The users whose token agent of an earlier run still waits.
    pub(super) waiting_agents: HashSet<String>,
}

/// The state of one user during provisioning.
#[derive(Default)]
struct UserSession {
    user: String,
    agent: Option<TokenAgentClient>,
    token: Option<Token>,
    record: Option<Record>,
    warnings: Vec<String>,
    remains: Vec<String>,
}

impl Provisioner {
    /// Returns the error after which this run sends no more requests to Vault.
    pub(super) fn outage(&self) -> Option<&StoreError> {
        self.server.as_ref().and_then(VaultServer::outage)
    }

    /// Provisions one user.
    pub(super) fn provision_user(&mut self, target: &TargetUser) -> UserResult {
        let record = self.records.load(&target.name);
        let mut session = UserSession { user: target.name.clone(), record, ..UserSession::default() };
        let mut facts = self.gather(target, &mut session);
        let mut steps = Vec::new();
        for _ in 0..MAX_STEPS {
            let step = next_step(&facts, &self.context);
            if let Step::Done(result) = step {
                if target.offboarding.is_some() && self.server.is_none() && !self.is_dry {
                    session.remains = remains::list_remaining_items(&session.user, None, None);
                }
                let result = match self.save_record(&facts, &mut session, result) {
                    ProvisionResult::Skipped(why) if why.contains(OFFBOARDED) => ProvisionResult::Skipped(
                        why.replace(OFFBOARDED, &OFFBOARDED.replace("USER", &session.user)),
                    ),
                    result => result,
                };
                return UserResult {
                    name: session.user,
                    steps,
                    result,
                    warnings: session.warnings,
                    remains: session.remains,
                };
            }
            // A policy check changes nothing, so a dry run executes it. It cannot check a token or
            // a policy that was only simulated.
            let can_check = facts.minting == Attempt::NotTried && facts.policy == Attempt::NotTried;
            let is_simulated = self.is_dry && !(step == Step::CheckPolicy && can_check);
            facts = match is_simulated {
                true => facts.simulate(&step, self.context.now_ms),
                false => self.execute(&step, facts, &mut session).unwrap_or_else(|failed| *failed),
            };
            if facts.confirm(&step) {
                steps.push(step);
            }
        }
        let result = ProvisionResult::Skipped("the plan does not end; report this as a defect".into());
        UserResult { name: session.user, steps, result, warnings: session.warnings, remains: session.remains }
    }

    fn gather(&mut self, target: &TargetUser, session: &mut UserSession) -> Facts {
        let is_eligible = target.desired == Desired::Enrolled && target.skip_reason.is_none();
        let token = match (self.outage().cloned(), is_eligible && self.server.is_some()) {
            (Some(failure), true) => TokenState::Unknown(failure),
            (None, true) => self.read_token_state(session),
            (_, false) => TokenState::NotRequired,
        };
        let record = session.record.clone().filter(|_| self.server.is_some()).unwrap_or_default();
        Facts {
            desired: target.desired.clone(),
            skip_reason: target.skip_reason.clone(),
            is_enrolled: match target.desired {
                Desired::Enrolled => {
                    let pending = session.record.as_ref().is_some_and(|record| record.units_pending);
                    !pending && enroll::is_enrolled(&target.name)
                }
                _ => enroll::has_enrollment_artifacts(&target.name),
            },
            enrollment_failed: None,
            policy_check: self.context.cached_policy_check(&token, &record),
            token,
            renewal: Attempt::NotTried,
            minting: Attempt::NotTried,
            policy: Attempt::NotTried,
            former: self.context.revocable_tokens(&record),
            revocation: Attempt::NotTried,
            offboarding: target.offboarding.filter(|_| self.server.is_some()),
            document: Attempt::NotTried,
        }
    }

    fn read_token_state(&mut self, session: &mut UserSession) -> TokenState {
        if self.waiting_agents.contains(&session.user) {
            return TokenState::HomeUnusable("a process of an earlier run still waits for the home".into());
        }
        let timeout = if self.has_slow_home { SHORT_HOME_TIMEOUT } else { HOME_TIMEOUT };
        let mut agent = match TokenAgentClient::spawn(&session.user, timeout) {
            Ok(agent) => agent,
            Err(error) => {
                return TokenState::HomeUnusable(format!("cannot start a process as the user: {error}"));
            }
        };
        let message = agent.read();
        self.has_slow_home |= agent.has_timed_out();
        session.agent = Some(agent);
        match message {
            AgentMessage::Token(token) => self.lookup_token(token, session),
            AgentMessage::Absent => TokenState::Absent("there is no token".into()),
            AgentMessage::Replaceable(why) => TokenState::Absent(why),
            other => TokenState::HomeUnusable(other.to_string()),
        }
    }

    fn lookup_token(&mut self, token: Token, session: &mut UserSession) -> TokenState {
        let Some(server) = &mut self.server else { return TokenState::NotRequired };
        let info = server.lookup_token(&token, &session.user);
        session.token = Some(token);
        match info {
            Ok(Some(info)) => TokenState::Present(info),
            Ok(None) => TokenState::Absent("the token is expired, revoked, or cannot look itself up".into()),
            Err(failure) => TokenState::Unknown(failure),
        }
    }

    /// Executes a step. Returns the updated facts, as the error value if the plan must stop here.
    fn execute(&mut self, step: &Step, facts: Facts, session: &mut UserSession) -> Result<Facts, Box<Facts>> {
        match step {
            Step::Renew => Ok(self.renew(facts, session)),
            Step::Mint(_) => self.mint(facts, session),
            Step::CheckPolicy => Ok(self.check_policy(facts, session)),
            Step::RewritePolicy => {
                // The attempt invalidates the earlier policy check, whether it succeeds or not.
                if let Some(record) = session.record.as_mut().filter(|record| record.policy_checked_at_ms > 0)
                {
                    record.policy_checked_at_ms = 0;
                    if let Err(error) = self.records.save(&session.user, record) {
                        return Err(Box::new(Facts {
                            token: TokenState::HomeUnusable(format!("{error:#}")),
                            ..facts
                        }));
                    }
                }
                let written = self.call_server(|server| server.rewrite_policy(&session.user));
                let token = match session.token.take() {
                    Some(token) => self.lookup_token(token, session),
                    None => facts.token,
                };
                Ok(Facts { policy: to_attempt(&written), token, policy_check: PolicyCheck::Pending, ..facts })
            }
            Step::Enroll => Ok(self.enroll_user(facts, &session.user)),
            Step::Unenroll => Ok(match unenroll::unenroll_one(&session.user) {
                Ok(_) => Facts { is_enrolled: false, ..facts },
                Err(error) => Facts { enrollment_failed: Some(format!("{error:#}")), ..facts },
            }),
            Step::Offboard(offboarding) => Ok(self.offboard(facts, session, *offboarding)),
            Step::Revoke => Ok(self.revoke(facts, session)),
            Step::Done(_) => Ok(facts),
        }
    }

    fn renew(&mut self, facts: Facts, session: &mut UserSession) -> Facts {
        let Some(token) = session.token.take() else { return facts };
        let renewal = to_attempt(&self.call_server(|server| server.renew(&token, &session.user)));
        Facts { token: self.lookup_token(token, session), renewal, ..facts }
    }

    fn check_policy(&mut self, facts: Facts, session: &UserSession) -> Facts {
        let Some(token) = &session.token else {
            return Facts { policy_check: PolicyCheck::TooNarrow, ..facts };
        };
        match self.call_server(|server| server.check_policy(token, &session.user)) {
            Ok(policy_check) => Facts { policy_check, ..facts },
            // An unanswered check decides nothing.
            Err(failure) => Facts { token: TokenState::Unknown(failure), ..facts },
        }
    }

    /// Reserves space in the home before Vault mints the token. Records all accessors before the
    /// token file is written, so that an interruption loses none of them. A later run revokes the
    /// accessors that the token file does not contain.
    fn mint(&mut self, facts: Facts, session: &mut UserSession) -> Result<Facts, Box<Facts>> {
        let home_unusable =
            |facts: Facts, why: String| Box::new(Facts { token: TokenState::HomeUnusable(why), ..facts });
        if let Err(why) =
            session.agent.as_mut().map_or(Err("there is no home".into()), TokenAgentClient::reserve)
        {
            return Err(home_unusable(facts, why));
        }
        let host = self.context.host.clone();
        let minted: Minted = match self.call_server(|server| server.mint(&session.user, &host)) {
            Ok(minted) => minted,
            Err(failure) => return Err(Box::new(Facts { minting: Attempt::Failed(failure), ..facts })),
        };
        session.warnings.extend(minted.warnings);
        // Check before the token is written: the stored document can belong to another user of the
        // same name.
        let refusal = match self.call_server(|server| server.is_offboarded(&minted.token, &session.user)) {
            Ok(false) => None,
            Ok(true) => Some(OFFBOARDED.to_owned()),
            Err(failure) => Some(failure.to_string()),
        };
        if let Some(why) = refusal {
            return Err(match self.call_server(|server| server.revoke(&minted.accessor)) {
                Ok(()) => home_unusable(facts, why),
                Err(failure) => {
                    home_unusable(facts, format!("{why}; the new token is not revoked: {failure}"))
                }
            });
        }
        let former = self.context.revocable_tokens_after_mint(&facts, &minted.accessor);
        let record = Record { former: former.clone(), ..session.record.clone().unwrap_or_default() };
        let facts = Facts { former, ..facts };
        if let Err(error) = self.records.save(&session.user, &record) {
            return Err(home_unusable(facts, format!("{error:#}")));
        }
        session.record = Some(record);
        let Some(agent) = &mut session.agent else {
            return Err(home_unusable(facts, "there is no home".into()));
        };
        if let Err(why) = agent.write(&minted.token) {
            // A token agent that timed out can have written the token, so do not revoke it here.
            if !agent.has_timed_out() && self.call_server(|server| server.revoke(&minted.accessor)).is_ok() {
                let record = session.record.iter_mut();
                record.for_each(|record| record.former.retain(|former| *former != minted.accessor));
            }
            return Err(home_unusable(facts, why));
        }
        let token = self.lookup_token(minted.token, session);
        Ok(Facts { token, policy_check: PolicyCheck::Pending, minting: Attempt::Done, ..facts })
    }

    fn enroll_user(&mut self, facts: Facts, user: &str) -> Facts {
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

    fn offboard(&mut self, mut facts: Facts, session: &mut UserSession, offboarding: Offboarding) -> Facts {
        let (user, host, now) = (session.user.clone(), self.context.host.clone(), self.context.now_ms);
        let document = self.call_server(|server| match offboarding {
            Offboarding::Mark => {
                server.mark_document(&user, &host, Some(Timestamp::from_millis(now))).map(Some)
            }
            Offboarding::Delete => server.delete_document(&user).map(|()| None),
        });
        facts.document = to_attempt(&document);
        if let Ok(document) = document {
            let layout = self.server.as_ref().map(VaultServer::layout);
            session.remains = remains::list_remaining_items(&user, layout, document.as_ref());
        }
        facts
    }

    /// Removes each revoked accessor from the facts immediately.
    fn revoke(&mut self, mut facts: Facts, session: &mut UserSession) -> Facts {
        facts.revocation = Attempt::Done;
        for accessor in facts.tokens_to_revoke() {
            match self.call_server(|server| server.revoke(&accessor)) {
                Ok(()) => facts.former.retain(|former| *former != accessor),
                Err(failure) => facts.revocation = Attempt::Failed(failure),
            }
        }
        if let Some(record) = &mut session.record {
            record.former.clone_from(&facts.former);
        }
        facts
    }

    /// Writes the record of a provisioned user, or deletes the record of a removed user.
    fn save_record(
        &self,
        facts: &Facts,
        session: &mut UserSession,
        result: ProvisionResult,
    ) -> ProvisionResult {
        if self.is_dry {
            return result;
        }
        let before = self.records.load(&session.user);
        let mut after = self.context.final_record(facts, session.record.take(), &result);
        if let Some(record) = &mut after {
            record.units_pending |= self.enrolled.contains(&session.user);
        }
        let written = match after {
            None if before.is_some() => self.records.delete(&session.user),
            Some(record) if before.as_ref() != Some(&record) => self.records.save(&session.user, &record),
            _ => Ok(()),
        };
        match written {
            Ok(()) => result,
            Err(error) => ProvisionResult::Skipped(format!("{error:#}")),
        }
    }

    fn call_server<T>(
        &mut self,
        request: impl FnOnce(&mut VaultServer) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &mut self.server {
            Some(server) => request(server),
            None => Err(StoreError::Unreachable { reason: "there is no server".into() }),
        }
    }
}

fn to_attempt<T>(result: &Result<T, StoreError>) -> Attempt {
    match result {
        Ok(_) => Attempt::Done,
        Err(failure) => Attempt::Failed(failure.clone()),
    }
}

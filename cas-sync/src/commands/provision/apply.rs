//! Does for one person what the plan says, one step at a time, and notes how it went.

use std::time::Duration;

use anyhow::Result;
use cas_core::store::Failure;
use cas_core::system::account::Account;
use cas_core::time::timestamp::Timestamp;
use cas_vault::{Minted, Token};

use super::context::Means;
use super::plan::{Ending, Facts, OFFBOARDED, Offboarding, Proof, Step, TokenState, Try, Wanted, next};
use super::records::{Record, Records};
use super::remains;
use super::server::Talk;
use super::token_agent::Line;
use super::token_agent_client::Custody;
use crate::commands::enroll;
use crate::commands::unenroll;
use crate::systemd;

/// How long a home may take, and how long once another was too slow: they may be on one server.
const PATIENCE: Duration = Duration::from_secs(10);
const IMPATIENCE: Duration = Duration::from_secs(2);
/// More than any plan has.
const MOST_STEPS: usize = 16;

/// Somebody the roster, or an earlier one, names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) wanted: Wanted,
    /// Why this person cannot be served here at all.
    pub(super) unservable: Option<String>,
    /// What becomes of the document, if this person is offboarded.
    pub(super) offboarding: Option<Offboarding>,
}

/// What was done for one person, and how it ended.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    pub(super) ending: Ending,
    /// What the server remarked, such as a lifetime cut short by a limit.
    pub(super) warnings: Vec<String>,
    /// What is left of a user who was offboarded.
    pub(super) remains: Vec<String>,
}

/// What a run works with.
pub(super) struct Work {
    /// None where the store is on this machine.
    pub(super) server: Option<Talk>,
    pub(super) means: Means,
    pub(super) records: Records,
    pub(super) is_dry: bool,
    /// Those whose units are yet to be started.
    pub(super) enrolled: Vec<String>,
    pub(super) a_home_was_slow: bool,
}

/// What is at hand for one person while it is being served.
#[derive(Default)]
struct Hands {
    user: String,
    custody: Option<Custody>,
    token: Option<Token>,
    record: Option<Record>,
    warnings: Vec<String>,
    remains: Vec<String>,
}

impl Work {
    /// Why the server is not asked any more, if it is not.
    pub(super) fn outage(&self) -> Option<&Failure> {
        self.server.as_ref().and_then(Talk::outage)
    }

    /// Serves one person.
    pub(super) fn serve(&mut self, person: &Person) -> Served {
        let record = self.records.of(&person.name);
        let mut hands = Hands { user: person.name.clone(), record, ..Hands::default() };
        let mut facts = self.gather(person, &mut hands);
        let mut steps = Vec::new();
        for _ in 0..MOST_STEPS {
            let step = next(&facts, &self.means);
            if let Step::Done(ending) = step {
                let ending = self.remember(&facts, &mut hands, ending);
                return Served {
                    name: hands.user,
                    steps,
                    ending,
                    warnings: hands.warnings,
                    remains: hands.remains,
                };
            }
            // A proof changes nothing; what was only imagined cannot be proved.
            let is_real = facts.minting == Try::NotYet && facts.policy == Try::NotYet;
            let is_imagined = self.is_dry && !(step == Step::Prove && is_real);
            facts = match is_imagined {
                true => facts.imagined(&step, self.means.now_ms),
                false => self.done(&step, facts, &mut hands).unwrap_or_else(|failed| *failed),
            };
            if facts.show(&step) {
                steps.push(step);
            }
        }
        let ending = Ending::Skipped("this takes no end; report it".into());
        Served { name: hands.user, steps, ending, warnings: hands.warnings, remains: hands.remains }
    }

    fn gather(&mut self, person: &Person, hands: &mut Hands) -> Facts {
        let is_servable = person.wanted == Wanted::Yes && person.unservable.is_none();
        let token = match (self.outage().cloned(), is_servable && self.server.is_some()) {
            (Some(failure), true) => TokenState::Unknown(failure),
            (None, true) => self.token_of(hands),
            (_, false) => TokenState::NotNeeded,
        };
        let record = hands.record.clone().filter(|_| self.server.is_some()).unwrap_or_default();
        Facts {
            wanted: person.wanted.clone(),
            unservable: person.unservable.clone(),
            is_enrolled: match person.wanted {
                Wanted::Yes => {
                    let are_due = hands.record.as_ref().is_some_and(|record| record.units_are_due);
                    !are_due && enroll::is_enrolled(&person.name)
                }
                _ => enroll::has_traces(&person.name),
            },
            enrolment_failed: None,
            proof: self.means.remembered_proof(&token, &record),
            token,
            renewal: Try::NotYet,
            minting: Try::NotYet,
            policy: Try::NotYet,
            former: self.means.former(&record),
            revocation: Try::NotYet,
            offboarding: person.offboarding.filter(|_| self.server.is_some()),
            document: Try::NotYet,
        }
    }

    fn token_of(&mut self, hands: &mut Hands) -> TokenState {
        let patience = if self.a_home_was_slow { IMPATIENCE } else { PATIENCE };
        let mut custody = match Custody::of(&hands.user, patience) {
            Ok(custody) => custody,
            Err(error) => return TokenState::Unfit(format!("no process of theirs can be started: {error}")),
        };
        let line = custody.look();
        self.a_home_was_slow |= custody.was_slow();
        hands.custody = Some(custody);
        match line {
            Line::Token(token) => self.standing_of(token, hands),
            Line::Absent => TokenState::Absent("they have no token".into()),
            Line::Replaceable(why) => TokenState::Absent(why),
            other => TokenState::Unfit(other.to_string()),
        }
    }

    fn standing_of(&mut self, token: Token, hands: &mut Hands) -> TokenState {
        let Some(server) = &mut self.server else { return TokenState::NotNeeded };
        let standing = server.standing(&token, &hands.user);
        hands.token = Some(token);
        match standing {
            Ok(Some(standing)) => TokenState::Held(standing),
            Ok(None) => {
                TokenState::Absent("their token is expired, revoked, or may not look itself up".into())
            }
            Err(failure) => TokenState::Unknown(failure),
        }
    }

    /// The facts after a step; those of one that came to nothing are the error.
    fn done(&mut self, step: &Step, facts: Facts, hands: &mut Hands) -> Result<Facts, Box<Facts>> {
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
                            token: TokenState::Unfit(format!("{error:#}")),
                            ..facts
                        }));
                    }
                }
                let written = self.asked(|server| server.rewrite_policy(&hands.user));
                let token = match hands.token.take() {
                    Some(token) => self.standing_of(token, hands),
                    None => facts.token,
                };
                Ok(Facts { policy: tried(&written), token, proof: Proof::Due, ..facts })
            }
            Step::Enroll => Ok(self.enrolled(facts, &hands.user)),
            Step::Disenroll => Ok(match unenroll::cease_one(&hands.user) {
                Ok(_) => Facts { is_enrolled: false, ..facts },
                Err(error) => Facts { enrolment_failed: Some(format!("{error:#}")), ..facts },
            }),
            Step::Offboard(offboarding) => Ok(self.offboarded(facts, hands, *offboarding)),
            Step::Revoke => Ok(self.revoked(facts, hands)),
            Step::Done(_) => Ok(facts),
        }
    }

    fn renewed(&mut self, facts: Facts, hands: &mut Hands) -> Facts {
        let Some(token) = hands.token.take() else { return facts };
        let renewal = tried(&self.asked(|server| server.renew(&token, &hands.user)));
        Facts { token: self.standing_of(token, hands), renewal, ..facts }
    }

    fn proved(&mut self, facts: Facts, hands: &Hands) -> Facts {
        let Some(token) = &hands.token else { return Facts { proof: Proof::Useless, ..facts } };
        match self.asked(|server| server.prove(token, &hands.user)) {
            Ok(proof) => Facts { proof, ..facts },
            // A question that was not answered decides nothing.
            Err(failure) => Facts { token: TokenState::Unknown(failure), ..facts },
        }
    }

    /// Nothing is made before there is room for it. Which tokens there were is written down before the file is touched, so
    /// that none is forgotten wherever this ends; whichever of them does not lie there in the end is revoked later.
    fn minted(&mut self, facts: Facts, hands: &mut Hands) -> Result<Facts, Box<Facts>> {
        let unfit = |facts: Facts, why: String| Box::new(Facts { token: TokenState::Unfit(why), ..facts });
        if let Err(why) = hands.custody.as_mut().map_or(Err("there is no home".into()), Custody::prepare) {
            return Err(unfit(facts, why));
        }
        let host = self.means.host.clone();
        let minted: Minted = match self.asked(|server| server.mint(&hands.user, &host)) {
            Ok(minted) => minted,
            Err(failure) => return Err(Box::new(Facts { minting: Try::Failed(failure), ..facts })),
        };
        hands.warnings.extend(minted.warnings);
        // Before the token lies in a home: what the store keeps may be another user's.
        let withheld = match self.asked(|server| server.is_offboarded(&minted.token, &hands.user)) {
            Ok(false) => None,
            Ok(true) => Some(OFFBOARDED.to_owned()),
            Err(failure) => Some(failure.to_string()),
        };
        if let Some(why) = withheld {
            return Err(match self.asked(|server| server.revoke(&minted.accessor)) {
                Ok(()) => unfit(facts, why),
                Err(failure) => {
                    unfit(facts, format!("{why}; the token made for them is not revoked: {failure}"))
                }
            });
        }
        let former = self.means.former_beside(&facts, &minted.accessor);
        let record = Record { former: former.clone(), ..hands.record.clone().unwrap_or_default() };
        let facts = Facts { former, ..facts };
        if let Err(error) = self.records.keep(&hands.user, &record) {
            return Err(unfit(facts, format!("{error:#}")));
        }
        hands.record = Some(record);
        let Some(custody) = &mut hands.custody else { return Err(unfit(facts, "there is no home".into())) };
        if let Err(why) = custody.keep(&minted.token) {
            // Whoever is too slow to say so may have kept it.
            if !custody.was_slow() && self.asked(|server| server.revoke(&minted.accessor)).is_ok() {
                let record = hands.record.iter_mut();
                record.for_each(|record| record.former.retain(|former| *former != minted.accessor));
            }
            return Err(unfit(facts, why));
        }
        let token = self.standing_of(minted.token, hands);
        Ok(Facts { token, proof: Proof::Due, minting: Try::Done, ..facts })
    }

    fn enrolled(&mut self, facts: Facts, user: &str) -> Facts {
        if let Some(why) = systemd::stand_in_for(user) {
            return Facts { enrolment_failed: Some(why), ..facts };
        }
        let prepared = Account::named(user).map_err(Into::into).and_then(|account| enroll::prepare(&account));
        match prepared {
            Ok(_) => {
                self.enrolled.push(user.to_owned());
                Facts { is_enrolled: true, ..facts }
            }
            Err(error) => Facts { enrolment_failed: Some(format!("{error:#}")), ..facts },
        }
    }

    fn offboarded(&mut self, mut facts: Facts, hands: &mut Hands, offboarding: Offboarding) -> Facts {
        let (user, host, now) = (hands.user.clone(), self.means.host.clone(), self.means.now_ms);
        let document = self.asked(|server| match offboarding {
            Offboarding::Mark => {
                server.mark_document(&user, &host, Some(Timestamp::from_millis(now))).map(Some)
            }
            Offboarding::Delete => server.delete_document(&user).map(|()| None),
        });
        facts.document = tried(&document);
        if let Ok(document) = document {
            let layout = self.server.as_ref().map(Talk::layout);
            hands.remains = remains::after_offboarding(&user, layout, document.as_ref());
        }
        facts
    }

    /// Each that is revoked is forgotten at once.
    fn revoked(&mut self, mut facts: Facts, hands: &mut Hands) -> Facts {
        facts.revocation = Try::Done;
        for accessor in facts.to_revoke() {
            match self.asked(|server| server.revoke(&accessor)) {
                Ok(()) => facts.former.retain(|former| *former != accessor),
                Err(failure) => facts.revocation = Try::Failed(failure),
            }
        }
        if let Some(record) = &mut hands.record {
            record.former.clone_from(&facts.former);
        }
        facts
    }

    /// Writes down who was brought by the roster, and with which token; forgets who has gone.
    fn remember(&self, facts: &Facts, hands: &mut Hands, ending: Ending) -> Ending {
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
            Err(error) => Ending::Skipped(format!("{error:#}")),
        }
    }

    fn asked<T>(&mut self, question: impl FnOnce(&mut Talk) -> Result<T, Failure>) -> Result<T, Failure> {
        match &mut self.server {
            Some(server) => question(server),
            None => Err(Failure::Unreachable { reason: "there is no server".into() }),
        }
    }
}

fn tried<T>(result: &Result<T, Failure>) -> Try {
    match result {
        Ok(_) => Try::Done,
        Err(failure) => Try::Failed(failure.clone()),
    }
}

//! Executes the verifications and refreshes of the planner, and records the results.

use super::Engine;
use crate::credential::fingerprint::{Fingerprint, RefreshTokenId};
use crate::credential::login::LoginSummary;
use crate::credential::login_file;
use crate::credential::verification::Verification;
use crate::planner::{self, Facts, VerificationTarget};
use crate::store::user_document::{SetupTokenField, UserDocument};
use cas_protocol::secret::Secret;
use cas_protocol::setup_token::SetupToken;

impl Engine {
    pub(super) fn probe(&mut self, subject: VerificationTarget, facts: &mut Facts) {
        let token = self.token_for(subject);
        let mut verdict = match (&token, &mut self.verifier) {
            (Some(token), Some(verifier)) => verifier.probe(token),
            _ => Verification::Inconclusive("it changed before it was verified".into()),
        };
        let is_login = !matches!(subject, VerificationTarget::SetupToken(_));
        if is_login && verdict.is_rejected() && self.was_replaced(subject, token.as_ref()) {
            verdict = Verification::Inconclusive("it was replaced during the verification".into());
        }
        let verdict = self.record_disabled_organization(verdict);
        if let VerificationTarget::Login(generation) = subject {
            self.record_verification(generation, &verdict);
        }
        if let VerificationTarget::SetupToken(token) | VerificationTarget::UnrefreshedToken(token) = subject {
            drop(self.state.update_ledger(&self.deadline, |ledger| {
                ledger.setup_tokens.record(token, self.now);
                ledger.setup_tokens.record_verification(token, &verdict);
            }));
        }
        facts.done.probes += 1;
        facts.done.verdicts.push((subject, verdict));
        self.refresh_facts(facts);
    }

    /// Returns true if a refresh or a sign-in of another session replaced the access token during
    /// its verification.
    fn was_replaced(&mut self, subject: VerificationTarget, probed: Option<&Secret<String>>) -> bool {
        self.wait_for_refresh();
        self.snapshot = self.credentials.read(self.now);
        let current = self.token_for(subject);
        let is_same = current.as_ref().map(Secret::expose) == probed.map(Secret::expose);
        !is_same || self.credentials.is_refresh_in_progress(self.now)
    }

    pub(super) fn refresh_run(&mut self, facts: &mut Facts) {
        let before = self.snapshot.login.login().map(|login| login.summary.clone());
        // The server consumes the refresh token before the client writes its successor.
        let result = match (self.credentials.replace_obstacle(), &mut self.verifier) {
            (Some(obstacle), _) => Err(obstacle),
            (None, Some(verifier)) => verifier.refresh_in_place(),
            (None, None) => Ok(Verification::ClientUnusable("this run cannot verify".into())),
        };
        let verdict = match result {
            Ok(verdict) => verdict,
            Err(obstacle) => {
                facts.done.obstacle = Some(obstacle);
                return;
            }
        };
        self.refresh_facts(facts);
        let (verdict, login) = planner::attribute_refresh(verdict, before, &facts.login);
        if let Some(LoginSummary { generation, .. }) = login {
            self.record_verification(generation, &verdict);
            facts.done.verdicts.push((VerificationTarget::Login(generation), verdict.clone()));
            self.refresh_facts(facts);
        }
        facts.done.refresh_run = Some(verdict);
    }

    /// Returns the result as it is reported. If the count cannot be saved, the result of this run
    /// is the one of a first run.
    fn record_disabled_organization(&self, verdict: Verification) -> Verification {
        let mut reported = verdict.clone();
        drop(self.state.update_ledger(&self.deadline, |ledger| {
            reported = ledger.disabled_organization.record(verdict, self.now);
        }));
        reported
    }

    /// Records the result. If that fails, the next run verifies again.
    fn record_verification(&self, generation: RefreshTokenId, verdict: &Verification) {
        drop(self.state.update_ledger(&self.deadline, |ledger| {
            ledger.record_verification(generation, verdict, self.now)
        }));
    }

    fn token_for(&self, subject: VerificationTarget) -> Option<Secret<String>> {
        match subject {
            VerificationTarget::Login(generation) => {
                let login = self.snapshot.login.login();
                login.filter(|login| login.summary.generation == generation)?.access_token()
            }
            VerificationTarget::UnrefreshedToken(fingerprint) => {
                let found = self.snapshot.login.unrefreshed_token();
                found.filter(|token| token.fingerprint == fingerprint)?;
                login_file::access_token(self.snapshot.bytes())
            }
            VerificationTarget::SetupToken(fingerprint) => {
                let is_wanted = |token: &&SetupToken| Fingerprint::from_bytes(token.expose()) == fingerprint;
                let active = self.setup_token();
                let stored = self.document.as_ref().and_then(UserDocument::token);
                let local = self.local_document().and_then(|document| match document.setup_token {
                    SetupTokenField::Token(token) => Some(token),
                    _ => None,
                });
                let found = active.as_ref().filter(is_wanted).or(stored.filter(is_wanted));
                let token = found.or(local.as_ref().filter(is_wanted))?;
                Some(Secret::new(token.expose().to_owned()))
            }
        }
    }
}

//! Putting credentials to the test: each probe and refresh run of the planner, and a note of what it showed.

use super::Run;
use crate::credential::fingerprint::{Fingerprint, Generation};
use crate::credential::login::LoginSummary;
use crate::credential::verification::Verdict;
use crate::planner::{self, Facts, Subject};
use cas_protocol::secret::Secret;

impl Run {
    pub(super) fn probe(&mut self, subject: Subject, facts: &mut Facts) {
        let token = self.token_of(subject);
        let mut verdict = match (&token, &mut self.verifier) {
            (Some(token), Some(verifier)) => verifier.probe(token),
            _ => Verdict::Unknown("it changed while it was to be probed".into()),
        };
        if let Subject::Login(generation) = subject {
            if verdict.is_rejected() && self.is_replaced_meanwhile(subject, token.as_ref()) {
                verdict = Verdict::Unknown("it was replaced while it was probed".into());
            }
            self.note_verdict(generation, &verdict);
        }
        facts.done.probes += 1;
        facts.done.verdicts.push((subject, verdict));
        self.look_again(facts);
    }

    /// A refresh, or a sign-in, by some session takes the access token away that was being probed.
    fn is_replaced_meanwhile(&mut self, subject: Subject, probed: Option<&Secret<String>>) -> bool {
        self.wait_for_refresh();
        self.snapshot = self.credentials.read(self.now);
        let lies_there = self.token_of(subject);
        let is_same = lies_there.as_ref().map(Secret::expose) == probed.map(Secret::expose);
        !is_same || self.credentials.is_being_refreshed(self.now)
    }

    pub(super) fn refresh_run(&mut self, facts: &mut Facts) {
        let before = self.snapshot.login.login().map(|login| login.summary.clone());
        let shown = self.verifier.as_mut().map(|verifier| verifier.refresh_run());
        let verdict = shown.unwrap_or_else(|| Verdict::Unusable("this run cannot verify".into()));
        self.look_again(facts);
        let (verdict, about) = planner::shown_by_refresh_run(verdict, before, &facts.login);
        if let Some(LoginSummary { generation, .. }) = about {
            self.note_verdict(generation, &verdict);
            facts.done.verdicts.push((Subject::Login(generation), verdict.clone()));
            self.look_again(facts);
        }
        facts.done.refresh_run = Some(verdict);
    }

    /// If it cannot be noted, the next run asks again.
    fn note_verdict(&self, generation: Generation, verdict: &Verdict) {
        drop(self.state.change_ledger(&self.deadline, |ledger| ledger.observe_verdict(generation, verdict)));
    }

    fn token_of(&self, subject: Subject) -> Option<Secret<String>> {
        match subject {
            Subject::Login(generation) => {
                let login = self.snapshot.login.login();
                login.filter(|login| login.summary.generation == generation)?.access_token()
            }
            Subject::SetupToken(fingerprint) => {
                let token = self.setup_token()?;
                (Fingerprint::of(token.expose()) == fingerprint)
                    .then(|| Secret::new(token.expose().to_owned()))
            }
        }
    }
}

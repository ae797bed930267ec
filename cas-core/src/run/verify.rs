//! Putting credentials to the test: each probe and refresh run of the planner, and a note of what it showed.

use super::Run;
use crate::fingerprint::{Fingerprint, Generation};
use crate::local_login::LocalLogin;
use crate::planner::{Facts, Subject};
use crate::secret::Secret;
use crate::verdict::Verdict;

impl Run {
    pub(super) fn probe(&mut self, subject: Subject, facts: &mut Facts) {
        let token = self.token_of(subject);
        let verdict = match (token, &mut self.verifier) {
            (Some(token), Some(verifier)) => verifier.probe(&token),
            _ => Verdict::Unknown("it changed while it was to be probed".into()),
        };
        if let Subject::Login(generation) = subject {
            self.note_verdict(generation, &verdict);
        }
        facts.done.probes += 1;
        facts.done.verdicts.push((subject, verdict));
        self.look_again(facts);
    }

    pub(super) fn refresh_run(&mut self, facts: &mut Facts) {
        let before = self.generation();
        let shown = self.verifier.as_mut().map(|verifier| verifier.refresh_run());
        let mut verdict = shown.unwrap_or_else(|| Verdict::Unusable("this run cannot verify".into()));
        self.look_again(facts);
        let after = self.generation();
        if facts.login == LocalLogin::Tombstone {
            // Even if the server took the old access token once more: its refresh was refused for good.
            verdict = Verdict::Rejected { account_level: false };
        }
        let subject = if facts.login == LocalLogin::Tombstone { before } else { after };
        // Of a login that came while this ran, only a good answer says something.
        if let Some(subject) = subject.filter(|subject| Some(*subject) == before || verdict.is_alive()) {
            self.note_verdict(subject, &verdict);
            facts.done.verdicts.push((Subject::Login(subject), verdict.clone()));
            self.look_again(facts);
        }
        facts.done.refresh_run = Some(verdict);
    }

    fn generation(&self) -> Option<Generation> {
        self.snapshot.login.login().map(|login| login.summary.generation)
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

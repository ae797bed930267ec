//! Every combination of what the store, the env file, the login and a verification say about the
//! setup token, with the rules for each.

use super::tests::{facts, login, token};
use super::*;
use crate::credential::expiry::SetupTokenDates;
use crate::outcome::{BackupLocation, Detail, Outcome, Status};
use crate::planner::{DocumentFact, EnvFileChange, Settings, next};

/// What verifies the setup token.
#[derive(Clone, Debug)]
enum Client {
    Answers(Verification),
    /// `verify = false`
    Disabled,
}

/// The store that held the active token before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Never,
    ByThisStore,
    ByThisAndAnother,
    ByAnother,
}

#[derive(Clone, Debug)]
struct Case {
    stored: TokenFact,
    env_file: EnvFileFact,
    local_token: bool,
    held: Held,
    has_login: bool,
    client: Client,
}

fn cases() -> Vec<Case> {
    let stored = [
        TokenFact::NotSpecified,
        TokenFact::Absent,
        TokenFact::Withdrawn,
        TokenFact::Token(token("new")),
        TokenFact::Token(token("old")),
        TokenFact::Malformed("a space".into()),
    ];
    let env_files = [
        EnvFileFact::Absent,
        EnvFileFact::Token(token("old")),
        EnvFileFact::Malformed("two lines".into()),
        EnvFileFact::Unreadable("a FIFO".into()),
    ];
    let clients = [
        Client::Answers(Verification::Ok),
        Client::Answers(Verification::RateLimited),
        Client::Answers(Verification::Inconclusive("529".into())),
        Client::Answers(Verification::Rejected { account_level: false }),
        Client::Answers(Verification::Rejected { account_level: true }),
        Client::Answers(Verification::ClientUnusable("missing".into())),
        Client::Disabled,
    ];
    let held = [Held::Never, Held::ByThisStore, Held::ByThisAndAnother, Held::ByAnother];
    let mut cases = Vec::new();
    for stored in &stored {
        for env_file in &env_files {
            for client in &clients {
                for held in held {
                    for (has_login, local_token) in
                        [(false, false), (false, true), (true, false), (true, true)]
                    {
                        let (stored, env_file, client) = (stored.clone(), env_file.clone(), client.clone());
                        cases.push(Case { stored, env_file, local_token, held, has_login, client });
                    }
                }
            }
        }
    }
    cases
}

impl Case {
    fn facts(&self) -> Facts {
        let mut facts = facts(Mode::Sync, self.stored.clone());
        facts.env_file = self.env_file.clone();
        facts.local_token = self.local_token.then(|| token("old"));
        if self.has_login {
            facts.login = login();
        }
        let can_verify = matches!(self.client, Client::Answers(_));
        facts.settings = Settings { can_verify, verifies_in_sync: can_verify, ..facts.settings };
        let stores: &[&str] = match self.held {
            Held::Never => &[],
            Held::ByThisStore => &["this store"],
            Held::ByThisAndAnother => &["this store", "another"],
            Held::ByAnother => &["another"],
        };
        let seen = &mut facts.ledger.setup_tokens;
        seen.record(token("old"), facts.now);
        for store in stores {
            seen.record_from_store(token("old"), SetupTokenDates::default(), token(store), facts.now);
        }
        facts
    }

    /// Executes the planner's steps until it reports.
    fn run(&self, mut facts: Facts) -> (Facts, Outcome) {
        for _ in 0..20 {
            match next(&facts) {
                Step::Report(outcome) => return (facts, *outcome),
                step => self.carry_out(step, &mut facts),
            }
        }
        panic!("{self:?}: no report");
    }

    fn carry_out(&self, step: Step, facts: &mut Facts) {
        match step {
            Step::Probe(target) => {
                let Client::Answers(verdict) = &self.client else { panic!("{self:?}") };
                let is_in_question = matches!(target, VerificationTarget::SetupToken(token)
                    if self.stored == TokenFact::Token(token) || self.is_copy_candidate(facts));
                // The credential that was active before works.
                let verdict = if is_in_question { verdict } else { &Verification::Ok };
                if let VerificationTarget::SetupToken(token) = target {
                    facts.ledger.setup_tokens.record(token, facts.now);
                    facts.ledger.setup_tokens.record_verification(token, verdict);
                }
                facts.done.probes += 1;
                facts.done.verdicts.push((target, verdict.clone()));
            }
            Step::WriteEnvFile => {
                let Some(TokenFact::Token(token)) = facts.document().map(|found| found.setup_token.clone())
                else {
                    panic!("{self:?}");
                };
                facts.env_file = EnvFileFact::Token(token);
                facts.done.env_file = Some(Ok(EnvFileChange::Written));
            }
            Step::RemoveEnvFile => {
                facts.env_file = EnvFileFact::Absent;
                facts.done.env_file = Some(Ok(EnvFileChange::Removed));
            }
            Step::CopyToken(token) => {
                let DocumentFact::Read(document) = &mut facts.document else { panic!("{self:?}") };
                document.setup_token = TokenFact::Token(token);
                facts.done.copied_token = Some(Ok(()));
            }
            Step::RemoveLocalToken => {
                (facts.local_token, facts.done.removed_local_token) = (None, true);
            }
            Step::Backup(_, BackupLocation::LocalHistory) => facts.done.history_backup = Some(Ok(())),
            Step::Backup(_, BackupLocation::Store) => facts.done.store_backup = Some(Ok(())),
            other => panic!("{self:?}: {other:?}"),
        }
    }

    fn is_copy_candidate(&self, facts: &Facts) -> bool {
        facts.local_token.is_some() && matches!(self.stored, TokenFact::Absent | TokenFact::NotSpecified)
    }

    fn is_new(&self) -> bool {
        let TokenFact::Token(stored) = self.stored else { return false };
        self.env_file != EnvFileFact::Token(stored) && !matches!(self.env_file, EnvFileFact::Unreadable(_))
    }

    fn has_working_credential(&self) -> bool {
        self.has_login || matches!(self.env_file, EnvFileFact::Token(_))
    }

    fn is_copied(&self) -> bool {
        let is_active = matches!(self.env_file, EnvFileFact::Absent | EnvFileFact::Token(_));
        let is_held = matches!(self.held, Held::ByThisStore | Held::ByThisAndAnother);
        let is_refused = matches!(&self.client, Client::Answers(Verification::Rejected { .. }));
        let is_free = matches!(self.stored, TokenFact::Absent | TokenFact::NotSpecified);
        self.local_token && is_active && is_free && !is_held && !is_refused
    }
}

#[test]
fn new_token_is_activated_only_by_its_verification() {
    for case in cases().into_iter().filter(Case::is_new) {
        let (after, outcome) = case.run(case.facts());
        let stored = match case.stored {
            TokenFact::Token(stored) => EnvFileFact::Token(stored),
            _ => panic!("{case:?}"),
        };
        let text = outcome.to_string();
        match &case.client {
            Client::Answers(Verification::Ok | Verification::RateLimited) => {
                assert_eq!(after.env_file, stored, "{case:?}: {text}");
            }
            Client::Disabled | Client::Answers(Verification::ClientUnusable(_)) => {
                assert_eq!(after.env_file, stored, "{case:?}: {text}");
                assert!(text.contains("not verified"), "{case:?}: {text}");
            }
            Client::Answers(Verification::Inconclusive(_)) if case.has_working_credential() => {
                assert_eq!(after.env_file, case.env_file, "{case:?}: {text}");
                assert_eq!((outcome.status, outcome.exit_code()), (Status::Warn, 75), "{case:?}: {text}");
                assert!(text.contains("is not activated") && text.contains("later"), "{case:?}: {text}");
            }
            Client::Answers(Verification::Inconclusive(_)) => {
                assert_eq!(after.env_file, stored, "{case:?}: {text}");
                assert!(text.contains("not verified: 529"), "{case:?}: {text}");
            }
            Client::Answers(Verification::Rejected { account_level: false }) => {
                assert_eq!(after.env_file, case.env_file, "{case:?}: {text}");
                assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 79), "{case:?}: {text}");
                assert!(text.contains("cas-sync token set"), "{case:?}: {text}");
            }
            Client::Answers(Verification::Rejected { account_level: true }) => {
                assert_eq!(after.env_file, case.env_file, "{case:?}: {text}");
                assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 1), "{case:?}: {text}");
                assert!(text.contains("ask its administrator"), "{case:?}: {text}");
                assert!(!text.contains("claude setup-token"), "{case:?}: {text}");
            }
        }
    }
}

/// A login verifies nothing and knows only what the syncs have recorded.
#[test]
fn login_activates_no_token_that_a_sync_refused() {
    for case in cases().into_iter().filter(Case::is_new) {
        if let Client::Answers(Verification::Rejected { .. }) = case.client {
            let (mut after, _) = case.run(case.facts());
            after.done = Default::default();
            (after.settings.mode, after.settings.can_verify) = (Mode::Login, false);
            let (later, _) = case.run(after);
            assert_eq!(later.env_file, case.env_file, "{case:?}");
        }
    }
}

/// An earlier verification says nothing about a token that was replaced and comes back.
#[test]
fn token_that_comes_back_is_verified_again() {
    for case in cases().into_iter().filter(Case::is_new) {
        let mut facts = case.facts();
        let TokenFact::Token(stored) = case.stored else { panic!("{case:?}") };
        facts.ledger.setup_tokens.record(stored, facts.now);
        facts.ledger.setup_tokens.record_verification(stored, &Verification::Ok);
        let (after, _) = case.run(facts.clone());
        if let Client::Answers(Verification::Rejected { .. }) = case.client {
            assert_eq!(after.env_file, case.env_file, "{case:?}");
        }
        (facts.settings.mode, facts.settings.can_verify) = (Mode::Login, false);
        let (at_login, _) = case.run(facts);
        let is_verified_later = case.has_working_credential() && !matches!(case.client, Client::Disabled);
        assert!(!is_verified_later || at_login.env_file == case.env_file, "{case:?}");
    }
}

#[test]
fn env_file_is_removed_only_by_the_store_that_held_it() {
    for case in cases().into_iter().filter(|case| !matches!(case.stored, TokenFact::Token(_))) {
        let (after, outcome) = case.run(case.facts());
        let lacks = matches!(case.stored, TokenFact::Absent | TokenFact::Withdrawn);
        let is_held = matches!(case.held, Held::ByThisStore | Held::ByThisAndAnother);
        let has_token = matches!(case.env_file, EnvFileFact::Token(_));
        let is_removed = after.done.env_file == Some(Ok(EnvFileChange::Removed));
        assert_eq!(is_removed, lacks && is_held && has_token, "{case:?}: {outcome}");
        let rejected = VerificationTarget::SetupToken(token("old"));
        let is_rejected = after.verdict(rejected) == Some(&Verification::Rejected { account_level: false });
        if lacks && has_token && !is_held && !case.is_copied() && !is_rejected {
            assert!(outcome.to_string().contains("`cas-sync token import`"), "{case:?}: {outcome}");
        }
    }
}

/// Switching from the local store to Vault.
#[test]
fn local_token_is_copied_only_where_vault_decided_nothing() {
    for case in cases() {
        let (after, outcome) = case.run(case.facts());
        let is_copied = outcome.notes.contains(&Detail::SetupTokenCopied);
        assert_eq!(is_copied, case.is_copied(), "{case:?}: {outcome}");
        if is_copied {
            let is_postponed = case.env_file == EnvFileFact::Absent
                && case.has_login
                && matches!(case.client, Client::Answers(Verification::Inconclusive(_)));
            let expected = if is_postponed { EnvFileFact::Absent } else { EnvFileFact::Token(token("old")) };
            assert_eq!(after.env_file, expected, "{case:?}: {outcome}");
            assert_eq!(after.local_token.is_some(), is_postponed, "{case:?}: {outcome}");
        }
        let mut renamed = case.facts();
        renamed.settings.can_copy_setup_token = false;
        let (_, outcome) = case.run(renamed);
        assert!(!outcome.notes.contains(&Detail::SetupTokenCopied), "{case:?}: {outcome}");
    }
}

/// The local store was the store again for a while, and got a newer token.
#[test]
fn newer_local_token_is_not_replaced_by_an_earlier_one_of_vault() {
    for case in cases().into_iter().filter(|case| case.local_token && case.is_new()) {
        let mut facts = case.facts();
        let TokenFact::Token(stored) = case.stored else { panic!("{case:?}") };
        let earlier = crate::time::timestamp::Timestamp::from_millis(facts.now.millis() - 1000);
        facts.ledger.setup_tokens.record(stored, earlier);
        let (after, outcome) = case.run(facts);
        if matches!(case.env_file, EnvFileFact::Token(_)) {
            assert_eq!(after.env_file, case.env_file, "{case:?}: {outcome}");
            assert!(outcome.to_string().contains("`cas-sync token import`"), "{case:?}: {outcome}");
            assert_eq!(after.local_token, Some(token("old")), "{case:?}: {outcome}");
        }
    }
}

#[test]
fn rejected_local_token_yields_to_the_one_of_vault() {
    let mut facts = facts(Mode::Sync, TokenFact::Token(token("vault")));
    facts.env_file = EnvFileFact::Token(token("local"));
    facts.local_token = Some(token("local"));
    let earlier = crate::time::timestamp::Timestamp::from_millis(facts.now.millis() - 1000);
    let seen = &mut facts.ledger.setup_tokens;
    seen.record(token("vault"), earlier);
    seen.record(token("local"), facts.now);
    for (refusal, expected) in [(None, None), (Some(false), Some("vault")), (Some(true), Some("vault"))] {
        if let Some(account_level) = refusal {
            let verdict = Verification::Rejected { account_level };
            facts.ledger.setup_tokens.record_verification(token("local"), &verdict);
        }
        assert_eq!(super::new_token(&facts), expected.map(token), "{refusal:?}");
    }
}

/// A login name was given to another account, and the former user still reads the document.
#[test]
fn token_is_not_copied_into_a_document_with_a_foreign_login() {
    use crate::credential::fingerprint::RefreshTokenId;
    use crate::credential::login::{LoginSummary, Owner};
    use crate::credential::login_file::LoginPlace;
    use crate::ledger::Origin;
    let login = |name: &str, account: Option<&str>| LoginSummary {
        generation: RefreshTokenId::from_bytes(name),
        expires_at: crate::time::timestamp::Timestamp::from_millis(1_790_000_000_000 + 8 * 3_600_000),
        login_expires_at: None,
        owner: Owner { account: account.map(str::to_owned), organization: None },
    };
    let of = |name: &'static str| login(name, Some(name));
    for (in_file, in_document, seen_from, expected) in [
        (Some(of("alice")), Some(of("mallory")), None, false),
        (None, Some(of("mallory")), None, false),
        (None, Some(of("mallory")), Some(Origin::Store), false),
        (None, Some(login("unnamed", None)), Some(Origin::Store), false),
        (Some(of("alice")), Some(login("unnamed", None)), None, false),
        (None, None, None, true),
        (Some(of("alice")), Some(login("another generation", Some("alice"))), None, true),
        (None, Some(of("alice")), Some(Origin::File), true),
        (None, Some(login("unnamed", None)), Some(Origin::File), true),
    ] {
        let mut facts = facts(Mode::Sync, TokenFact::Absent);
        facts.local_token = Some(token("alice"));
        facts.env_file = EnvFileFact::Token(token("alice"));
        facts.login = in_file.clone().map_or(LoginFileState::Missing, LoginFileState::Valid);
        if let (Some(login), Some(origin)) = (&in_document, seen_from) {
            match origin {
                Origin::File => facts.ledger.record_login(login, LoginPlace::File, facts.now),
                Origin::Store => facts.ledger.begin_restore(login, None, facts.now),
            }
        }
        let DocumentFact::Read(document) = &mut facts.document else { panic!("it was read") };
        document.backup = in_document.clone();
        let copied = super::copied_token(&facts);
        assert_eq!(copied.is_some(), expected, "{in_file:?} {in_document:?} {seen_from:?}");
    }
}

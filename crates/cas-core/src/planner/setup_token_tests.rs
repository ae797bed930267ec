use std::time::Duration;

use super::*;
use crate::config::StoreKind;
use crate::credential::expiry::SetupTokenDates;
use crate::credential::fingerprint::RefreshTokenId;
use crate::credential::login::{LoginSummary, Owner};
use crate::credential::login_file::LoginPlace;
use crate::ledger::Ledger;
use crate::outcome::{Detail, Status};
use crate::planner::{
    DocumentFact, DocumentSummary, EnvFileChange, Mode, Progress, Settings, StoreContact, next,
};
use crate::time::timestamp::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

pub(super) fn token(name: &str) -> Fingerprint {
    Fingerprint::from_bytes(name)
}

pub(super) fn login() -> LoginFileState<LoginSummary> {
    LoginFileState::Valid(LoginSummary {
        generation: RefreshTokenId::from_bytes("login"),
        expires_at: Timestamp::from_millis(NOW.millis() + 8 * 3_600_000),
        login_expires_at: None,
        owner: Owner::default(),
    })
}

/// The facts of a run whose store answers with this token.
pub(super) fn facts(mode: Mode, stored: TokenFact) -> Facts {
    Facts {
        now: NOW,
        login: LoginFileState::Missing,
        sign_out: None,
        client_state: None,
        remnant: None,
        refreshing: false,
        ledger: Ledger::default(),
        history: Vec::new(),
        local_token: None,
        document: DocumentFact::Read(DocumentSummary {
            backup: None,
            from_another_machine: false,
            setup_token: stored,
            is_offboarded: false,
        }),
        env_file: EnvFileFact::Absent,
        contact: StoreContact::default(),
        place: LoginPlace::File,
        asked_lately: false,
        settings: Settings {
            mode,
            store: StoreKind::Vault,
            store_id: token("this store"),
            login_refresh_after: Duration::from_secs(900),
            can_verify: mode == Mode::Sync,
            verifies_in_sync: true,
            expected_organization: None,
            restore_from_other_machines: false,
            oauth_backup: true,
            can_copy_setup_token: true,
        },
        done: Progress::default(),
    }
}

#[test]
fn new_token_is_verified_before_it_replaces_a_working_credential() {
    let new = || TokenFact::Token(token("new"));
    let probe = Step::Probe(VerificationTarget::SetupToken(token("new")));
    for (env_file, file) in [
        (EnvFileFact::Absent, login()),
        (EnvFileFact::Token(token("old")), LoginFileState::Missing),
        (EnvFileFact::Token(token("old")), login()),
    ] {
        let mut found = facts(Mode::Sync, new());
        (found.env_file, found.login) = (env_file.clone(), file);
        assert_eq!(next(&found), probe, "{env_file:?}");

        let verdicts = [
            (Verification::Ok, Some(Step::WriteEnvFile)),
            (Verification::RateLimited, Some(Step::WriteEnvFile)),
            (Verification::ClientUnusable("missing".into()), Some(Step::WriteEnvFile)),
            (Verification::Inconclusive("529".into()), None),
            (Verification::Rejected { account_level: false }, None),
            (Verification::Rejected { account_level: true }, None),
        ];
        for (verdict, expected) in verdicts {
            let mut after = found.clone();
            after.done.verdicts.push((VerificationTarget::SetupToken(token("new")), verdict.clone()));
            assert_eq!(sync_env_file(&after), expected, "{verdict:?}");
        }

        let mut at_login = found.clone();
        (at_login.settings.mode, at_login.settings.can_verify) = (Mode::Login, false);
        assert_eq!(sync_env_file(&at_login), None, "a login cannot verify");
        let Step::Report(outcome) = next(&at_login) else { panic!("{:?}", next(&at_login)) };
        assert!(outcome.wants_sync, "the sync verifies it");
        // The watcher's push, and `cas-sync run --no-verify`.
        let mut push = found.clone();
        push.settings.can_verify = false;
        assert_eq!(sync_env_file(&push), None, "a sync that does not verify");
        at_login.settings.verifies_in_sync = false;
        assert_eq!(sync_env_file(&at_login), Some(Step::WriteEnvFile));
    }
}

#[test]
fn new_token_of_a_user_without_a_credential_is_activated_at_login() {
    for file in [LoginFileState::Missing, LoginFileState::ClearedByClient] {
        let mut found = facts(Mode::Login, TokenFact::Token(token("new")));
        found.login = file;
        assert_eq!(next(&found), Step::WriteEnvFile);
    }
}

#[test]
fn rejected_token_is_never_activated() {
    for mode in [Mode::Login, Mode::Sync] {
        for file in [LoginFileState::Missing, login()] {
            let mut found = facts(mode, TokenFact::Token(token("new")));
            found.login = file;
            let seen = &mut found.ledger.setup_tokens;
            seen.record(token("new"), NOW);
            seen.record_verification(token("new"), &Verification::Rejected { account_level: false });
            assert_eq!(sync_env_file(&found), None);
            if mode == Mode::Sync {
                found.settings.can_verify = false;
                let Step::Report(outcome) = next(&found) else { continue };
                assert!(outcome.notes.contains(&Detail::SetupTokenRejected), "{outcome}");
                assert_eq!((outcome.status, outcome.exit_code()), (Status::Fail, 79), "{outcome}");
            }
        }
    }
}

/// Another tool created the document, or the store is another one than before.
#[test]
fn token_is_removed_only_if_this_store_held_it() {
    for (store, expected) in
        [(None, None), (Some("another"), None), (Some("this store"), Some(Step::RemoveEnvFile))]
    {
        let mut found = facts(Mode::Sync, TokenFact::Withdrawn);
        found.env_file = EnvFileFact::Token(token("old"));
        let seen = &mut found.ledger.setup_tokens;
        seen.record(token("old"), NOW);
        if let Some(store) = store {
            seen.record_from_store(token("old"), SetupTokenDates::default(), token(store), NOW);
        }
        assert_eq!(sync_env_file(&found), expected, "{store:?}");
        found.settings.can_verify = false;
        if let Step::Report(outcome) = next(&found) {
            assert!(outcome.notes.contains(&Detail::SetupTokenNotInStore), "{outcome}");
            assert_eq!(outcome.status, Status::Warn, "{outcome}");
        }
        found.done.env_file = Some(Ok(EnvFileChange::Removed));
        assert_eq!(sync_env_file(&found), None);
    }
}

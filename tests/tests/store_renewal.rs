//! How a token is renewed, and what is reported when it cannot be.

use cas_core::store::Renewal;
use cas_core::store::{Store, StoreError};
use cas_tests::now_ms;
use cas_tests::openbao::{Bao, Policy};
use cas_tests::store_run::{next_run, refusal, soon};
use cas_vault::{VaultConfig, VaultStore};
use serde_json::{Value, json};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

#[test]
fn token_is_renewed_after_a_week_for_another_period() {
    let bao = Bao::dev();
    let alice = bao.create_user("alice", Policy::Update);
    let mut store = alice.store();
    assert_eq!(store.renew_if_due(&soon()), Ok(Renewal::NotDue));
    assert_eq!(store.requests(), 1);

    let now_ms = now_ms() + 8 * DAY_MS;
    let mut run = next_run(&store, VaultConfig { now_ms, ..alice.config() });
    let Ok(Renewal::Renewed { expires_at_ms, warnings }) = run.renew_if_due(&soon()) else { panic!() };
    assert_eq!((expires_at_ms, warnings), (now_ms + 32 * DAY_MS, Vec::<String>::new()));
    assert_eq!(run.requests(), 1);
    assert_eq!(
        (run.token_cache().last_renewed_ms, run.token_cache().expires_at_ms),
        (now_ms, Some(expires_at_ms))
    );
    assert_eq!(run.renew_if_due(&soon()), Ok(Renewal::NotDue));
    let lookup = alice.user_client().send_ok("GET", "auth/token/lookup-self", &Value::Null);
    assert!(lookup["data"]["last_renewal_time"].is_u64(), "the server knows of it: {lookup}");
}

#[test]
fn server_warning_at_a_renewal_is_reported() {
    let bao = Bao::dev();
    let alice = bao.create_user("alice", Policy::Update);
    let limits = json!({ "allowed_policies_glob": ["workstation-claude-*"], "orphan": true, "renewable": true,
        "token_period": "900h", "token_no_default_policy": true });
    bao.admin().send_ok("POST", "auth/token/roles/workstation-claude", &limits);
    alice.use_token(&alice.mint(&json!({ "user": "alice" })));
    let mut store = VaultStore::new(VaultConfig { now_ms: now_ms() + 8 * DAY_MS, ..alice.config() });
    let Ok(Renewal::Renewed { warnings, .. }) = store.renew_if_due(&soon()) else { panic!() };
    assert!(warnings.iter().any(|warning| warning.contains("period")), "{warnings:?}");
}

#[test]
fn token_that_cannot_be_renewed_is_refused() {
    let bao = Bao::dev();
    let alice = bao.create_user("alice", Policy::Update);
    let mut store = alice.store();
    store.read(&soon()).unwrap();
    let later = VaultConfig { now_ms: now_ms() + 8 * DAY_MS, ..alice.config() };
    bao.admin().send_ok("DELETE", "auth/token/roles/workstation-claude", &Value::Null);
    let text = refusal(next_run(&store, later.clone()).renew_if_due(&soon()));
    assert!(text.contains("could not be found") && text.contains("must create a new token"), "{text}");

    alice.set_policy_text(r#"path "auth/token/lookup-self" { capabilities = ["read"] }"#);
    let text = refusal(next_run(&store, later.clone()).renew_if_due(&soon()));
    assert!(text.contains("does not permit update on auth/token/renew-self"), "{text}");

    alice.set_policy(Policy::Update);
    let fixed = json!({ "policies": ["workstation-claude-alice"], "ttl": "48h", "renewable": false });
    let answer = bao.admin().send_ok("POST", "auth/token/create-orphan", &fixed);
    alice.use_token(answer["auth"]["client_token"].as_str().unwrap());
    let mut store = alice.store();
    store.read(&soon()).unwrap();
    let mut run = next_run(&store, VaultConfig { now_ms: now_ms() + DAY_MS, ..alice.config() });
    let Ok(Renewal::NotRenewable { expires_at_ms: Some(moment) }) = run.renew_if_due(&soon()) else {
        panic!()
    };
    assert!(moment.abs_diff(now_ms() + 2 * DAY_MS) < 60_000);
}

#[test]
fn renewal_with_an_unreachable_server_is_retried_next_run() {
    let bao = Bao::tls();
    let alice = bao.create_user("alice", Policy::Update);
    let mut store = alice.store();
    store.read(&soon()).unwrap();
    bao.seal();
    let mut run = next_run(&store, VaultConfig { now_ms: now_ms() + 8 * DAY_MS, ..alice.config() });
    assert!(matches!(run.renew_if_due(&soon()), Err(StoreError::Busy { .. })));
    assert_eq!(run.token_cache(), store.token_cache());
}

//! The owner of a token, and the number of requests to find it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cas_core::store::{Renewal, Store};
use cas_tests::now_ms;
use cas_tests::openbao::{Bao, Policy};
use cas_tests::store_run::{fields, next_run, refusal, soon};
use cas_tests::vault_fake::VaultFake;
use cas_vault::{TokenCache, VaultConfig, VaultStore, WriteMethod};
use serde_json::{Value, json};

#[test]
fn token_of_another_user_accesses_no_document() {
    let bao = Bao::dev();
    let alice = bao.create_user("alice", Policy::Update);
    let bob = bao.create_user("bob", Policy::Update);
    bob.put_document(&json!({ "setup_token": "bob's" }));
    alice.put_document(&json!({ "setup_token": "alice's" }));
    let bobs_token = bob.token();
    alice.use_token(&bobs_token);
    // Even if the policy would allow it: bob's token may read and write alice's document now.
    bob.set_policy_text(&format!("{}\n{}", Policy::Update.text("bob"), Policy::Update.text("alice")));
    for config in [alice.config(), VaultConfig { path: bob.config().path, ..alice.config() }] {
        let mut store = VaultStore::new(config);
        let text = refusal(store.read(&soon()));
        assert!(text.contains("does not belong to alice: its meta.user is \"bob\""), "{text}");
        assert!(text.contains("write a token of alice to it") && !text.contains(&bobs_token), "{text}");
        refusal(store.merge(&fields(&json!({ "setup_token": "x" })), 1, &soon()));
        refusal(store.renew_if_due(&soon()));
        assert_eq!(store.requests(), 3, "one lookup each and nothing else");
        assert_eq!(store.token_cache(), &TokenCache::default());
    }
    assert_eq!(alice.document().body["data"]["data"], json!({ "setup_token": "alice's" }));
    assert_eq!(bob.document().body["data"]["data"], json!({ "setup_token": "bob's" }));
}

#[test]
fn root_token_is_refused() {
    let bao = Bao::dev();
    let alice = bao.create_user("alice", Policy::Patch);
    alice.use_token("root");
    let text = refusal(alice.store().read(&soon()));
    assert!(text.contains("it is a root token"), "{text}");
}

#[test]
fn token_without_meta_user_is_identified_by_its_policy() {
    let bao = Bao::dev();
    for user in ["alice", "J.Doe_x-", "müller"] {
        let vault_user = bao.create_user(user, Policy::Patch);
        vault_user.use_token(&vault_user.mint(&Value::Null));
        let mut store = vault_user.store();
        let version = store.merge(&fields(&json!({ "ours": user })), 0, &soon()).unwrap();
        assert_eq!(vault_user.store().read(&soon()).unwrap().version, version, "{user}");
    }
}

#[test]
fn expired_token_is_distinguished_from_a_denied_one() {
    let bao = Bao::dev();
    let alice = bao.create_user("alice", Policy::Patch);
    let mut store = alice.store();
    store.read(&soon()).unwrap();

    alice.set_policy_text(
        r#"path "auth/token/lookup-self" { capabilities = ["read"] }
           path "auth/token/renew-self" { capabilities = ["update"] }"#,
    );
    let mut run = next_run(&store, alice.config());
    let text = refusal(run.read(&soon()));
    assert!(
        text.contains(
            "policy of alice's token does not permit read on secret/workstation/claude-users/alice"
        )
    );
    assert!(text.ends_with("permit it in the policy workstation-claude-alice"), "{text}");
    assert_eq!(run.requests(), 2, "the read and the lookup");
    assert_eq!(run.token_cache(), store.token_cache(), "the token itself is well");
    let text = refusal(run.merge(&fields(&json!({ "ours": "x" })), 0, &soon()));
    assert!(text.contains("does not permit"), "{text}");

    alice.set_policy(Policy::Patch);
    bao.admin().send_ok("POST", "auth/token/revoke", &json!({ "token": alice.token() }));
    let mut run = next_run(&store, alice.config());
    let text = refusal(run.read(&soon()));
    assert!(text.contains("expired, revoked, or cannot look itself up"), "{text}");
    assert_eq!(run.token_cache(), &TokenCache::default(), "nothing is remembered of a token that is no more");
}

#[test]
fn expired_token_is_reported_as_expired() {
    let bao = Bao::dev();
    let alice = bao.create_user("alice", Policy::Patch);
    let short = json!({ "policies": ["workstation-claude-alice"], "ttl": "1s", "no_default_policy": true });
    let answer = bao.admin().send_ok("POST", "auth/token/create-orphan", &short);
    alice.use_token(answer["auth"]["client_token"].as_str().unwrap());
    let mut store = alice.store();
    store.read(&soon()).unwrap();
    assert!(store.token_cache().expires_at_ms.unwrap() <= now_ms() + 1000);
    std::thread::sleep(Duration::from_millis(1500));
    let text = refusal(next_run(&store, alice.config()).read(&soon()));
    assert!(text.contains("expired") && text.ends_with("create a new one"), "{text}");
}

#[test]
fn token_file_that_is_not_private_sends_no_request() {
    let fake = VaultFake::start("alice");
    let folder = tempfile::tempdir().unwrap();
    let config = fake.config("alice", folder.path());
    fs::set_permissions(&config.token_file, Permissions::from_mode(0o644)).unwrap();
    let text = refusal(VaultStore::new(config.clone()).read(&soon()));
    assert!(text.contains("has mode 0644") && !text.contains("canary"), "{text}");
    fs::remove_file(&config.token_file).unwrap();
    let text = refusal(VaultStore::new(config).read(&soon()));
    assert!(text.contains("there is no Vault token file"), "{text}");
    assert_eq!(fake.connections(), 0);
}

#[test]
fn token_is_looked_up_once_and_a_run_uses_one_connection() {
    let fake = VaultFake::start("alice");
    let folder = tempfile::tempdir().unwrap();
    let config = fake.config("alice", folder.path());
    let mut first = VaultStore::new(config.clone());
    assert_eq!(first.merge(&fields(&json!({ "ours": "x" })), 0, &soon()), Ok(1));
    let document = "secret/data/workstation/claude-users/alice";
    let expected =
        ["GET auth/token/lookup-self".to_owned(), format!("GET {document}"), format!("PUT {document}")];
    assert_eq!(fake.lines(), expected);

    // Nothing changed: one request.
    let mut unchanged = next_run(&first, config.clone());
    let version = unchanged.read(&soon()).unwrap().version;
    assert_eq!(unchanged.merge(&fields(&json!({ "ours": "x" })), version, &soon()), Ok(version));
    assert_eq!(unchanged.renew_if_due(&soon()), Ok(Renewal::NotDue));
    assert_eq!((unchanged.requests(), fake.connections()), (1, 2));

    // Changed: one more.
    let mut changed = next_run(&unchanged, config.clone());
    let version = changed.read(&soon()).unwrap().version;
    changed.merge(&fields(&json!({ "ours": "y" })), version, &soon()).unwrap();
    assert_eq!((changed.requests(), fake.connections()), (2, 3));

    // As above, where the complete document must be replaced: the permissions are read once, then
    // it takes one request more than merging.
    fake.set_policy(false, true);
    let mut found_out = next_run(&changed, config.clone());
    let version = found_out.read(&soon()).unwrap().version;
    found_out.merge(&fields(&json!({ "ours": "z" })), version, &soon()).unwrap();
    assert_eq!((found_out.requests(), found_out.token_cache().write_method), (4, WriteMethod::Put));
    let mut known = next_run(&found_out, config.clone());
    let version = known.read(&soon()).unwrap().version;
    known.merge(&fields(&json!({ "ours": "a" })), version, &soon()).unwrap();
    assert_eq!((known.requests(), fake.connections()), (3, 5));

    // Another token, or another user with this one: looked up again.
    cas_tests::write_private(&config.token_file, "hvs.another");
    let mut other_token = next_run(&known, config.clone());
    other_token.read(&soon()).unwrap();
    assert_eq!(other_token.requests(), 2);
    let bob = VaultConfig { user: "bob".into(), ..config };
    refusal(next_run(&other_token, bob).read(&soon()));
}

#[test]
fn token_cache_does_not_contain_the_token() {
    let fake = VaultFake::start("alice");
    let folder = tempfile::tempdir().unwrap();
    let mut store = VaultStore::new(fake.config("alice", folder.path()));
    store.read(&soon()).unwrap();
    let text = serde_json::to_string(store.token_cache()).unwrap();
    assert!(!text.contains("canary") && store.token_cache().fingerprint.len() == 32, "{text}");
    assert_eq!(&serde_json::from_str::<TokenCache>(&text).unwrap(), store.token_cache());
    assert_eq!(serde_json::from_str::<TokenCache>("{}").unwrap(), TokenCache::default());
}

#[test]
fn requests_have_the_vault_request_header() {
    let fake = VaultFake::start("alice");
    let folder = tempfile::tempdir().unwrap();
    let mut store = VaultStore::new(fake.config("alice", folder.path()));
    store.merge(&fields(&json!({ "ours": "x" })), 0, &soon()).unwrap();
    for request in fake.requests() {
        assert_eq!(request.header("x-vault-request"), Some("true"));
        assert_eq!(request.header("x-vault-token"), Some("hvs.canary"));
        assert_eq!(request.header("x-vault-namespace"), None);
    }
}

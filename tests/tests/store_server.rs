//! States of a real server, and mistakes in the settings, that a run must explain.

use cas_core::store::{Store, StoreError};
use cas_tests::openbao::{Bao, Policy};
use cas_tests::store_run::{fields, soon};
use cas_vault::{VaultConfig, VaultPath, VaultStore};
use serde_json::{Value, json};

#[test]
fn sealed_server_is_busy_and_works_once_unsealed() {
    let bao = Bao::tls();
    let alice = bao.create_user("alice", Policy::Patch);
    alice.put_document(&json!({ "theirs": "x" }));
    let mut store = alice.store();
    let version = store.read(&soon()).unwrap().version;
    bao.seal();
    for failure in [
        store.read(&soon()).unwrap_err(),
        store.merge(&fields(&json!({ "ours": "y" })), version, &soon()).unwrap_err(),
        alice.store().read(&soon()).unwrap_err(),
    ] {
        assert!(matches!(failure, StoreError::Busy { .. }), "{failure}");
        assert!(failure.to_string().contains("sealed"), "{failure}");
    }
    bao.unseal();
    let read = alice.user_client().eventually("GET", &alice.path("data"), &Value::Null);
    assert_eq!(read["data"]["data"], json!({ "theirs": "x" }));
    assert_eq!(store.read(&soon()).unwrap().version, version);
}

#[test]
fn oversized_document_is_not_changed() {
    let bao = Bao::dev();
    let alice = bao.create_user("alice", Policy::Update);
    let large = json!({ "theirs": "x".repeat(1_000_000), "more": "y".repeat(500_000) });
    alice.put_document(&large);
    for failure in [
        alice.store().read(&soon()).unwrap_err(),
        alice.store().merge(&fields(&json!({ "ours": "y" })), 1, &soon()).unwrap_err(),
    ] {
        assert!(failure.to_string().contains("longer than 1 MiB"), "{failure}");
    }
    assert_eq!(alice.document().body["data"]["data"], large);
}

#[test]
fn wrong_mount_path_or_namespace_is_refused_with_a_remedy() {
    let bao = Bao::dev();
    bao.admin().send_ok("POST", "sys/mounts/plain", &json!({ "type": "kv", "options": { "version": "1" } }));
    let alice = bao.create_user("alice", Policy::Patch);
    let bob = bao.create_user("bob", Policy::Patch);
    bob.put_document(&json!({ "setup_token": "bob's" }));
    let path = |text: &str| VaultPath::parse(text).unwrap();
    let refused = |change: &dyn Fn(&mut VaultConfig), words: &str| {
        let mut config = alice.config();
        change(&mut config);
        let failure = VaultStore::new(config).read(&soon()).unwrap_err();
        assert!(matches!(failure, StoreError::Refused { .. }), "{failure}");
        assert!(failure.to_string().contains(words), "{failure}");
    };
    refused(&|config| config.namespace = Some(path("nowhere")), "namespace");
    refused(&|config| config.path = path("workstation/claude-users/bob"), "policy workstation-claude-alice");
    let more = r#"path "plain/*" { capabilities = ["read", "create"] } path "nowhere/*" { capabilities = ["read"] }"#;
    alice.set_policy_text(&format!("{}\n{more}", Policy::Patch.text("alice")));
    refused(&|config| config.mount = path("nowhere"), "configured mount");
    alice.admin().send_ok("PUT", "plain/data/workstation/claude-users/alice", &json!({ "data": { "a": 1 } }));
    refused(&|config| config.mount = path("plain"), "KV version 2");
}

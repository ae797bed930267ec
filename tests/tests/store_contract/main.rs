//! The contract of every store, case by case, over every store: the fake and real servers must
//! behave as `cas_core::store` promises, so that the fake cannot drift from them.

mod cases;
mod stores;

use cas_tests::openbao::{Bao, Policy};

use stores::{BaoStores, FakeStores, LocalStores, StoreFactory};

/// Runs every case with its own document and names all that failed.
fn check_contract(factory: &dyn StoreFactory) {
    let mut broken = Vec::new();
    for (name, case) in cases::ALL {
        let user_store = factory.empty(&name.replace('_', "-"));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(user_store.as_ref())));
        if outcome.is_err() {
            broken.push(name);
        }
    }
    assert!(broken.is_empty(), "broken: {broken:#?}");
}

#[test]
fn local_store_meets_the_contract() {
    check_contract(&LocalStores);
}

#[test]
fn fake_vault_meets_the_contract_with_the_patch_policy() {
    check_contract(&FakeStores { may_patch: true, may_update: false });
}

#[test]
fn fake_vault_meets_the_contract_with_the_update_policy() {
    check_contract(&FakeStores { may_patch: false, may_update: true });
}

#[test]
fn development_server_meets_the_contract() {
    check_contract(&BaoStores { bao: Bao::dev(), policy: Policy::Update });
}

#[test]
fn tls_store_meets_the_contract_with_the_update_policy() {
    check_contract(&BaoStores { bao: Bao::tls(), policy: Policy::Update });
}

#[test]
fn tls_store_meets_the_contract_with_the_patch_policy() {
    check_contract(&BaoStores { bao: Bao::tls(), policy: Policy::Patch });
}

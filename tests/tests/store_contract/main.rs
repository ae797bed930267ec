//! What every store owes its callers, case by case, over every store there is: what is promised in `cas_core::store`
//! is promised by the fake and by real servers alike, so that the fake cannot drift from them.

mod cases;
mod stores;

use cas_tests::openbao::{Bao, Policy};

use stores::{BaoStores, FakeStores, LocalStores, StoreFactory};

/// Runs every case at a place of its own and names all that failed.
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

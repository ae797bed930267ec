//! A machine in the state of the legacy script, the migration to this product and the way back, and
//! the switch from the local store to Vault
//! (`docs/admin/migration.md`).

mod local_store;
mod machine;
mod provisioned;
mod rolled_back;
mod taken_over;

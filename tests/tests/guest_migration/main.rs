//! A machine in the state of the legacy script, the migration to this product, and the way back
//! (`docs/admin/migration.md`).

mod machine;
mod provisioned;
mod rolled_back;
mod taken_over;

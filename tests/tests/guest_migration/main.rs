//! A machine as the former script leaves it, and the way to this product and back (`docs/admin/migration.md`).

mod machine;
mod provisioned;
mod rolled_back;
mod taken_over;

//! Accounts, the machine's identity, limits, privileges and syslog.

pub mod account;
pub mod file_size_limit;
pub mod identity;
pub mod machine_id;
pub mod privileges;
pub mod syslog;
pub mod user_path;

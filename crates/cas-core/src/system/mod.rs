//! Accounts, the machine's identity, privileges and syslog.

pub mod account;
pub mod identity;
pub mod machine_id;
pub mod privileges;
pub mod syslog;

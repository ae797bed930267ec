//! Beds of real components for the suites.

pub mod anthropic;
pub mod claude_client;
pub mod claude_login;
pub mod guest;
pub mod namespaces;
pub mod pam;
pub mod tls_authority;

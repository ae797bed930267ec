//! Beds of real components for the suites.

pub mod anthropic;
pub mod claude_client;
pub mod namespaces;
pub mod tls_authority;

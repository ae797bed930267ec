//! Beds of real components for the suites.

pub mod anthropic;
pub mod tls_authority;

//! Beds of real components for the suites.

pub mod claude_login;
pub mod guest;

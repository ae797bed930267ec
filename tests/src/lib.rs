//! Beds of real components for the suites.

pub mod pam;

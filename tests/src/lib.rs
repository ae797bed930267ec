//! Beds of real components for the suites.

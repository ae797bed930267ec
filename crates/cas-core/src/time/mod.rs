//! Timestamps, durations and how they are written.

pub mod duration;
pub mod format;
pub mod timestamp;

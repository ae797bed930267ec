//! Files: regular ones, ones of a known owner, and ones that are replaced whole.

pub mod atomic_file;
pub mod file_id;
pub mod owned_file;
pub mod regular_file;

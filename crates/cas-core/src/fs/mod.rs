//! Regular files, files of a known owner, and atomic writes.

pub mod atomic_file;
pub mod directories;
pub mod directory_owner;
pub mod file_id;
pub mod obstacle;
pub mod owned_file;
pub mod regular_file;

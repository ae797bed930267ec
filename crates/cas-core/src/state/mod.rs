//! The files of this project in a user's home and below `/run`.

pub mod directory;
pub mod env_file;
pub mod local_store;
pub mod notice_file;
pub mod publication;
pub mod restore_lock;
pub mod sync_requests;

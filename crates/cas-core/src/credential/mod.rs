//! Logins and setup tokens: what they contain, whose they are, when they expire.

pub mod expiry;
pub mod expiry_warning;
pub mod fingerprint;
mod javascript;
pub mod json_edit;
pub mod login;
pub mod login_file;
pub mod remnant;
pub mod sign_out;
pub mod verification;

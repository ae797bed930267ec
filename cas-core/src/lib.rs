//! What claude-auth-sync knows, decides and does to files and stores; the programs around it only gather facts and
//! carry out steps. Without the feature `full` nothing but the types shared with the PAM module remains.
#![forbid(unsafe_code)]

pub mod deadline;
pub mod reply;
pub mod secret;
pub mod setup_token;
#[cfg(feature = "full")]
pub mod store;

//! What claude-auth-sync knows, decides and does to files and stores; the programs around it only gather facts and
//! carry out steps. Without the feature `full` nothing but the types shared with the PAM module remains.
#![forbid(unsafe_code)]

pub mod deadline;
pub mod enrolment;
pub mod reply;
pub mod secret;
pub mod setup_token;

#[cfg(feature = "full")]
pub mod account;
#[cfg(feature = "full")]
pub mod claude_locks;
#[cfg(feature = "full")]
pub mod config;
#[cfg(feature = "full")]
mod config_text;
#[cfg(feature = "full")]
pub mod credentials_file;
#[cfg(feature = "full")]
pub mod duration;
#[cfg(feature = "full")]
pub mod env_file;
#[cfg(feature = "full")]
pub mod fingerprint;
#[cfg(feature = "full")]
pub mod journal;
#[cfg(feature = "full")]
pub mod lapse;
#[cfg(feature = "full")]
pub mod ledger;
#[cfg(feature = "full")]
pub mod local_login;
#[cfg(feature = "full")]
pub mod machine;
#[cfg(feature = "full")]
pub mod notice_file;
#[cfg(feature = "full")]
pub mod oauth_login;
#[cfg(feature = "full")]
pub mod outcome;
#[cfg(feature = "full")]
pub mod owned_file;
#[cfg(feature = "full")]
pub mod planner;
#[cfg(feature = "full")]
pub mod privileges;
#[cfg(feature = "full")]
pub mod regular_file;
#[cfg(feature = "full")]
pub mod requests;
#[cfg(feature = "full")]
pub mod run;
#[cfg(feature = "full")]
pub mod seen_tokens;
#[cfg(feature = "full")]
pub mod state_directory;
#[cfg(feature = "full")]
pub mod store;
#[cfg(feature = "full")]
pub mod timestamp;
#[cfg(feature = "full")]
pub mod user_document;
#[cfg(feature = "full")]
pub mod verdict;
#[cfg(feature = "full")]
pub mod whole_file;

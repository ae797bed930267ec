//! Credentials, the planner, and the files on this machine. This crate uses no network.
//!
//! The folders import each other in one direction, from the bottom of this list to its top:
//!
//! | folder | contents |
//! |---|---|
//! | `text`, `time`, `fs` | sanitized text, timestamps, files that are written atomically |
//! | `credential` | logins, setup tokens, their generations and expiry |
//! | `claude_files`, `store`, `config` | Claude Code's files, store interface, configuration |
//! | `ledger` | the record of each generation |
//! | `outcome` | what a run reports |
//! | `planner` | the policy: one pure function from facts to the next step |
//! | `state`, `system` | this project's files in a home, accounts, syslog |
//! | `engine` | observe, plan, execute, until the planner reports |
#![forbid(unsafe_code)]

pub mod claude_files;
pub mod config;
pub mod credential;
pub mod engine;
pub mod fs;
pub mod ledger;
pub mod outcome;
pub mod planner;
pub mod state;
pub mod store;
pub mod system;
pub mod text;
pub mod time;

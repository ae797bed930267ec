//! Adapters to Claude Code's own files, which are read and written as Claude Code does it.

pub mod background_sessions;
pub mod credentials_file;
pub mod email;
pub mod json_settings;
pub mod locks;
pub mod state_file;
pub mod state_problem;

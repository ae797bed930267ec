//! What the PAM module and the login helper share: the deadline, the setup token, the reply line
//! and the enrollment marker. The module runs inside sshd and login, so this crate depends on
//! `zeroize` alone.
#![forbid(unsafe_code)]

pub mod deadline;
pub mod paths;
pub mod reply;
pub mod secret;
pub mod setup_token;

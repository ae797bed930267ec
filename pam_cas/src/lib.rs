//! The PAM session module.

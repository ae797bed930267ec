//! Selects whether a run verifies credentials.

/// The verification mode of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VerifyMode {
    /// Verify, if the configuration allows it.
    Verify,
    /// Do not verify: Claude Code has just written the login that is backed up. Requests for a
    /// verification stay open for another run.
    Skip,
}

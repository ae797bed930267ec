//! Selects whether a run verifies credentials.

/// Whether a run verifies credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VerifyMode {
    /// Verify, if the configuration allows it.
    Verify,
    /// Do not verify: Claude Code has just written what is to be backed up. Requests for a
    /// verification stay open for another run.
    Skip,
}

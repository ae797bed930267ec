//! Whether a run verifies credentials.

/// Whether a run puts credentials to the test of real inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VerifyMode {
    /// Where the configuration allows it.
    Verify,
    /// Not at all: Claude Code has just written what is to be backed up. Requests ask for more than that, and wait for
    /// another run.
    Skip,
}

//! How much of a suite runs.

/// Whether everything runs at its full size, which `CAS_FULL_SIZE=1` asks for. docs/design/testing.md says what is smaller
/// without it.
#[expect(clippy::disallowed_methods, reason = "the suites are mains: the caller says how large they are")]
pub fn full_size() -> bool {
    std::env::var_os("CAS_FULL_SIZE").is_some_and(|value| value == "1")
}

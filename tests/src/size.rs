//! The part of a suite that runs: the size of a merge, or the full size of `make test-all`.

/// Returns true if `CAS_FULL_SIZE=1` requests the full size. docs/design/testing.md lists what is
/// smaller without it.
#[expect(clippy::disallowed_methods, reason = "the environment of the suites selects their size")]
pub fn full_size() -> bool {
    std::env::var_os("CAS_FULL_SIZE").is_some_and(|value| value == "1")
}

/// Returns `full` at full size, else `merge`.
pub fn sized(full: usize, merge: usize) -> usize {
    if full_size() { full } else { merge }
}

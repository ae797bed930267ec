//! How much a run of the suites repeats.

/// True if everything runs at full size (`CAS_FULL_SIZE=1`, as `make test-all` sets it).
pub fn full_size() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the caller of the suites decides")]
    std::env::var_os("CAS_FULL_SIZE").is_some_and(|value| value == "1")
}

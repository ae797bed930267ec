//! Removes what was created for a user; one failure does not stop the other steps.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Returns true if one of these steps changed something.
///
/// # Errors
/// The errors of all failed steps.
pub(crate) fn combine_results(results: impl IntoIterator<Item = Result<bool>>) -> Result<bool> {
    let (mut any, mut failures) = (false, Vec::new());
    for result in results {
        match result {
            Ok(changed) => any |= changed,
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    if failures.is_empty() { Ok(any) } else { bail!(failures.join("; ")) }
}

/// Removes a file; returns false if it does not exist.
///
/// # Errors
/// If it exists and cannot be removed.
pub(crate) fn remove_if_exists(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot remove {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn combined_result_has_all_errors_and_changes() {
        assert!(!combine_results([Ok(false), Ok(false)]).expect("no failure"));
        assert!(combine_results([Ok(false), Ok(true), Ok(false)]).expect("no failure"));
        let error =
            combine_results([Err(anyhow!("one")), Ok(true), Err(anyhow!("two"))]).expect_err("two failures");
        assert_eq!(error.to_string(), "one; two");
    }
}

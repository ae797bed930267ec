//! Checks that the picture of the dashboard was drawn from its current file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ring::digest::{SHA256, digest};

use super::tree::Problem;

const PICTURE: &str = "docs/admin/dashboard.png";
const DASHBOARD: &str = "packaging/grafana/claude-auth.json";

/// The PNG text chunk with the SHA-256 of the dashboard: the keyword, then a NUL.
const KEYWORD: &[u8] = b"tEXtdashboard-sha256\0";

/// # Errors
/// If one of the two files cannot be read.
pub(super) fn check(root: &Path) -> Result<Vec<Problem>> {
    let read = |name: &str| fs::read(root.join(name)).with_context(|| format!("cannot read {name}"));
    Ok(compare(&read(PICTURE)?, &read(DASHBOARD)?))
}

fn compare(picture: &[u8], dashboard: &[u8]) -> Vec<Problem> {
    let digest = digest(&SHA256, dashboard);
    let expected: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let at = picture.windows(KEYWORD.len()).position(|bytes| bytes == KEYWORD);
    let drawn_from = at.and_then(|at| picture.get(at + KEYWORD.len()..)?.get(..expected.len()));
    match drawn_from {
        Some(found) if found == expected.as_bytes() => Vec::new(),
        _ => vec![Problem::new(PICTURE, 0, format!("run `make picture`: {DASHBOARD} has changed"))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outdated_dashboard_picture_is_reported() {
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let picture = [b"PNG..", KEYWORD, of_nothing.as_bytes(), b".."].concat();
        assert_eq!(compare(&picture, b""), []);
        assert_eq!(compare(&picture, b"{}").len(), 1);
        assert_eq!(compare(b"PNG", b"").len(), 1);
    }
}

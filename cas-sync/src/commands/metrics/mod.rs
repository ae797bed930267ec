//! `cas-sync metrics`: the state of all users for the textfile collector of Prometheus' node
//! exporter. It reads the published reports of the syncs, like `cas-sync status`.

mod collect;
mod text;

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use cas_core::outcome::ExitStatus;
use nix::unistd::Uid;

use crate::cli::Metrics as Request;
use crate::published_state::rows;
use crate::term::stderr::exit_with_error;

/// Writes the metrics.
pub(crate) fn run(request: &Request) -> ExitCode {
    match collect(request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_with_error(&error, ExitStatus::Failure),
    }
}

fn collect(request: &Request) -> Result<()> {
    ensure!(
        Uid::effective().is_root(),
        "cannot collect the metrics of all users: only root can; run it with sudo"
    );
    let started = Instant::now();
    let (rows, now) = rows::read_all()?;
    let text = collect::text(&rows, now, started.elapsed());
    match &request.output {
        None => io::stdout().lock().write_all(text.as_bytes()).context("cannot write to the standard output"),
        Some(path) => replace(path, &text).with_context(|| format!("cannot write {}", path.display())),
    }
}

/// Replaces the file atomically and readable by all users. The exporter ignores the name of the
/// temporary file.
fn replace(path: &Path, text: &str) -> Result<()> {
    let directory =
        path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".claude-auth.")
        .suffix(".new")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(directory)
        .context("cannot create a temporary file; name a file in an existing directory")?;
    file.write_all(text.as_bytes())?;
    // Independent of the caller's umask.
    file.as_file().set_permissions(Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn file_is_replaced_atomically_and_symlinks_are_not_followed() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (target, path) = (scratch.path().join("target"), scratch.path().join("claude-auth.prom"));
        fs::write(&target, "other").expect("a file");
        symlink(&target, &path).expect("a link");
        for text in ["one\n", "two\n"] {
            replace(&path, text).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
        }
        assert_eq!(fs::read_to_string(&target).expect("there"), "other");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o7777, 0o644);
        assert_eq!(
            fs::read_dir(scratch.path()).expect("a directory").count(),
            2,
            "nothing is left beside it"
        );
        let error = replace(Path::new("/nonexistent/x.prom"), "").expect_err("no directory");
        assert!(format!("{error:#}").contains("an existing directory"), "{error:#}");
    }
}

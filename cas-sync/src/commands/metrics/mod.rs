//! `cas-sync metrics`: how everybody is, for Prometheus' node exporter, which reads it from a file. From what the syncs have
//! published, as `cas-sync status` is.

mod collect;
mod text;

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;

use crate::cli::Metrics as Request;
use crate::published_state::rows;
use crate::term::stderr::exit_with_error;

/// Writes the figures.
pub(crate) fn run(request: &Request) -> ExitCode {
    match collect(request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_with_error(&error, 1),
    }
}

fn collect(request: &Request) -> Result<()> {
    ensure!(Uid::effective().is_root(), "only root can see how everybody is; run it with sudo");
    let began = Instant::now();
    let (rows, now) = rows::read_all()?;
    let text = collect::text(&rows, now, began.elapsed());
    match &request.output {
        None => io::stdout().lock().write_all(text.as_bytes()).context("cannot write to the standard output"),
        Some(path) => replace(path, &text).with_context(|| format!("cannot write {}", path.display())),
    }
}

/// The old figures or the new ones, and for everybody to read. The name of the file in between is none that the exporter
/// looks at.
fn replace(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".claude-auth.")
        .suffix(".new")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .context("name a file in a folder that is there")?;
    file.write_all(text.as_bytes())?;
    // Whatever the umask of the caller.
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
    fn the_file_is_replaced_as_a_whole_for_everybody_to_read_and_a_link_is_not_followed() {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let (target, path) = (scratch.path().join("target"), scratch.path().join("claude-auth.prom"));
        fs::write(&target, "theirs").expect("a file");
        symlink(&target, &path).expect("a link");
        for text in ["one\n", "two\n"] {
            replace(&path, text).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("there"), text);
        }
        assert_eq!(fs::read_to_string(&target).expect("there"), "theirs");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o7777, 0o644);
        assert_eq!(fs::read_dir(scratch.path()).expect("a folder").count(), 2, "nothing is left beside it");
        let error = replace(Path::new("/nonexistent/x.prom"), "").expect_err("no folder");
        assert!(format!("{error:#}").contains("a folder that is there"), "{error:#}");
    }
}

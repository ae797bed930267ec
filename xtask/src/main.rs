//! What goes into the package beside the programs, and the lint of the documents.
//!
//! `cargo run -p xtask -- lint` compares the documents with the sources ([`lint`]).
//!
//! `cargo run -p xtask -- DIRECTORY [TARGET]` writes into DIRECTORY:
//!
//! * `man/`: the manual pages of `cas-sync` and its commands
//! * `completions/`: what bash, zsh and fish complete after `cas-sync`, under each of its names
//! * `THIRD-PARTY`: the licences of the crates that are linked into what is installed on TARGET (else: this machine)
//!
//! The same sources make the same bytes, on any machine, at any time and without a network; a file that would not change
//! is not written, and one that is made no more is removed.
#![forbid(unsafe_code)]

#[path = "../../cas-sync/src/cli/mod.rs"]
#[allow(dead_code, unused_imports, reason = "they are not parsed here")]
mod arguments;
mod completions;
mod crates;
mod files;
mod lint;
mod manual;
mod third_party;
mod troff;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result};

/// A file that is made: where, below the folder, and what is in it.
struct Made {
    path: PathBuf,
    bytes: Vec<u8>,
}

fn main() -> Result<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().context("usage: xtask lint | DIRECTORY [TARGET]")?);
    if folder == Path::new("lint") {
        let problems = lint::run(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?;
        return Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let target = arguments.next().map(|target| target.to_string_lossy().into_owned());

    let linked = crates::linked(target.as_deref())?;
    let mut all = manual::pages()?;
    all.extend(completions::all()?);
    all.push(Made { path: "THIRD-PARTY".into(), bytes: third_party::text(&linked)?.into_bytes() });
    all.iter().try_for_each(|made| write_if_different(&folder, made))?;
    remove_what_is_made_no_more(&folder, &all)?;
    Ok(ExitCode::SUCCESS)
}

fn write_if_different(folder: &Path, made: &Made) -> Result<()> {
    let path = folder.join(&made.path);
    let context = || format!("cannot write {}", path.display());
    if fs::read(&path).is_ok_and(|found| found == made.bytes) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().unwrap_or(folder)).with_context(context)?;
    fs::write(&path, &made.bytes).with_context(context)
}

/// A page of a command that has gone, or has another section now, would be packed as well.
fn remove_what_is_made_no_more(folder: &Path, all: &[Made]) -> Result<()> {
    let made: BTreeSet<PathBuf> = all.iter().map(|made| folder.join(&made.path)).collect();
    let folders: BTreeSet<&Path> = made.iter().filter_map(|path| path.parent()).collect();
    for inner in folders.into_iter().filter(|inner| *inner != folder) {
        for entry in fs::read_dir(inner).with_context(|| format!("cannot list {}", inner.display()))? {
            let path = entry?.path();
            if path.is_file() && !made.contains(&path) {
                fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_made_no_more_goes_and_nothing_else_does() {
        let folder = env::temp_dir().join(format!("xtask-{}", std::process::id()));
        let path = |name: &str| folder.join(name);
        fs::create_dir_all(path("man")).expect("a folder");
        for name in ["man/a.1", "man/a.8", "stamp"] {
            fs::write(path(name), "").expect("a file");
        }
        let made = |name: &str| Made { path: name.into(), bytes: Vec::new() };
        remove_what_is_made_no_more(&folder, &[made("man/a.1"), made("THIRD-PARTY")]).expect("removed");
        let left = [path("man/a.1").exists(), path("man/a.8").exists(), path("stamp").exists()];
        fs::remove_dir_all(&folder).expect("removed");
        assert_eq!(left, [true, false, true]);
    }
}

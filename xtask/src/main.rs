//! Generates files of the package, and checks the documents.
//!
//! `cargo run -p xtask -- lint` compares the documents with the sources ([`lint`]).
//!
//! `cargo run -p xtask -- DIRECTORY [TARGET]` writes into DIRECTORY:
//!
//! * `man/`: the man pages of `cas-sync` and its commands
//! * `completions/`: the completions of bash, zsh and fish for `cas-sync`, under each of its names
//! * `THIRD-PARTY`: the licenses of the crates that are linked into the installed programs on
//!   TARGET (default: this machine)
//!
//! The same sources result in the same bytes on any machine, without a network. An unchanged file
//! is not written, and an obsolete one is removed.
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

/// A generated file: its path below the directory, and its content.
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
    remove_obsolete(&folder, &all)?;
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

/// Removes obsolete pages, for example of a removed command, because the package would include
/// them.
fn remove_obsolete(folder: &Path, all: &[Made]) -> Result<()> {
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
    fn obsolete_page_is_removed() {
        let folder = env::temp_dir().join(format!("xtask-{}", std::process::id()));
        let path = |name: &str| folder.join(name);
        fs::create_dir_all(path("man")).expect("a folder");
        for name in ["man/a.1", "man/a.8", "stamp"] {
            fs::write(path(name), "").expect("a file");
        }
        let made = |name: &str| Made { path: name.into(), bytes: Vec::new() };
        remove_obsolete(&folder, &[made("man/a.1"), made("THIRD-PARTY")]).expect("removed");
        let left = [path("man/a.1").exists(), path("man/a.8").exists(), path("stamp").exists()];
        fs::remove_dir_all(&folder).expect("removed");
        assert_eq!(left, [true, false, true]);
    }
}

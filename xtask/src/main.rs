//! `cargo run --package xtask -- FOLDER [TARGET]`: makes what goes into the package beside the programs.
//!
//! * `man/`: the manual pages of `cas-sync` and its commands
//! * `completions/`: what bash, zsh and fish complete after `cas-sync`, under each of its names
//! * `THIRD-PARTY`: the licences of the crates that are linked into what is installed on TARGET (else: this machine)
//!
//! The same sources make the same bytes, on any machine, at any time and without a network; a file that would not change
//! is not written.
#![forbid(unsafe_code)]

#[path = "../../cas-sync/src/arguments/mod.rs"]
#[allow(dead_code, unused_imports, reason = "nobody parses them here")]
mod arguments;
mod completions;
mod crates;
mod files;
mod manual;
mod third_party;
mod troff;

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};

/// A file that is made: where, below the folder, and what is in it.
struct Made {
    path: PathBuf,
    bytes: Vec<u8>,
}

fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().context("usage: xtask FOLDER [TARGET]")?);
    let target = arguments.next().map(|target| target.to_string_lossy().into_owned());

    let linked = crates::linked(target.as_deref())?;
    let mut all = manual::pages()?;
    all.extend(completions::all()?);
    all.push(Made { path: "THIRD-PARTY".into(), bytes: third_party::text(&linked)?.into_bytes() });
    all.iter().try_for_each(|made| write_if_different(&folder, made))
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

//! Which crates of other people are linked into what is installed, and where their sources lie: cargo's own answers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// What `packaging/build.sh` builds.
const INSTALLED: [&str; 3] = ["pam_cas", "cas-session", "cas-sync"];

/// A crate of another project.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Crate {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The terms it is under, in SPDX's words.
    pub(crate) license: Option<String>,
    /// The address of its sources.
    pub(crate) repository: Option<String>,
    /// Those it names as its authors.
    pub(crate) authors: Vec<String>,
    /// Its `Cargo.toml`; the files beside it are the crate.
    pub(crate) manifest_path: PathBuf,
    /// Where cargo has it from; none for our own.
    pub(crate) source: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Crate>,
}

/// All of them, by name and version.
///
/// # Errors
/// When cargo cannot answer; its own words say why.
pub(crate) fn linked(target: Option<&str>) -> Result<Vec<Crate>> {
    let metadata = cargo(&["metadata", "--format-version=1"])?;
    let known: Metadata =
        serde_json::from_slice(&metadata).context("cargo metadata speaks of something else")?;
    let known: BTreeMap<(String, String), Crate> = known
        .packages
        .into_iter()
        .map(|found| ((found.name.clone(), found.version.clone()), found))
        .collect();

    let mut tree = vec!["tree", "--edges=normal,no-proc-macro", "--prefix=none", "--format={p}"];
    tree.extend(INSTALLED.iter().flat_map(|name| ["--package", name]));
    tree.extend(target.iter().flat_map(|target| ["--target", target]));
    let tree = String::from_utf8(cargo(&tree)?).context("cargo tree speaks UTF-8")?;
    // Each line is `NAME vVERSION`, and sometimes more.
    let mut named: Vec<(String, String)> = tree
        .lines()
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| (name.to_owned(), rest.split(' ').next().unwrap_or_default().to_owned()))
        .collect();
    named.sort();
    named.dedup();

    let mut linked = Vec::new();
    for crate_named in named {
        let (name, version) = &crate_named;
        let found =
            known.get(&crate_named).with_context(|| format!("cargo metadata knows no {name} {version}"))?;
        // Our own have no source but this one.
        if found.source.is_some() {
            linked.push(found.clone());
        }
    }
    ensure!(!linked.is_empty(), "cargo tree names no crate");
    Ok(linked)
}

fn cargo(arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new("cargo")
        .args(arguments)
        .args([
            "--locked",
            "--offline",
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"),
        ])
        .output()
        .context("cargo cannot be run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`cargo {}` says: {said}", arguments.join(" "));
    Ok(output.stdout)
}

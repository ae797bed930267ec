//! Finds the third-party crates that are linked into the installed programs, with cargo.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The packages that `packaging/build.sh` builds.
const INSTALLED: [&str; 3] = ["pam_cas", "cas-session", "cas-sync"];

/// A third-party crate.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Crate {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Its license, as an SPDX expression.
    pub(crate) license: Option<String>,
    /// The URL of its sources.
    pub(crate) repository: Option<String>,
    /// Its authors.
    pub(crate) authors: Vec<String>,
    /// Its `Cargo.toml`. The license files are beside it.
    pub(crate) manifest_path: PathBuf,
    /// Its registry. `None` for a crate of this workspace.
    pub(crate) source: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Crate>,
}

/// Returns the linked crates, by name and version.
///
/// # Errors
/// If cargo fails; the error contains its message.
pub(crate) fn linked(target: Option<&str>) -> Result<Vec<Crate>> {
    let metadata = cargo(&["metadata", "--format-version=1"])?;
    let known: Metadata =
        serde_json::from_slice(&metadata).context("cannot parse the output of cargo metadata")?;
    let known: BTreeMap<(String, String), Crate> = known
        .packages
        .into_iter()
        .map(|found| ((found.name.clone(), found.version.clone()), found))
        .collect();

    let mut tree = vec!["tree", "--edges=normal,no-proc-macro", "--prefix=none", "--format={p}"];
    tree.extend(INSTALLED.iter().flat_map(|name| ["--package", name]));
    tree.extend(target.iter().flat_map(|target| ["--target", target]));
    let tree = String::from_utf8(cargo(&tree)?).context("the output of cargo tree is not UTF-8")?;
    // Each line is `NAME vVERSION`, sometimes with a suffix.
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
        let found = known
            .get(&crate_named)
            .with_context(|| format!("cargo metadata does not list {name} {version}"))?;
        // Crates of this workspace have no source.
        if found.source.is_some() {
            linked.push(found.clone());
        }
    }
    ensure!(!linked.is_empty(), "cargo tree lists no crate");
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
        .context("cannot run cargo")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`cargo {}` failed: {errors}", arguments.join(" "));
    Ok(output.stdout)
}

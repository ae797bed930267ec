//! The tracked files as text, and the problems that the checks report.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A problem in one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    path: String,
    line: usize,
    text: String,
}

impl Problem {
    /// Creates a problem in a line, counted from 1, or 0 for the whole file.
    pub(super) fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(out, "{}: {}", self.path, self.text),
            line => write!(out, "{}:{line}: {}", self.path, self.text),
        }
    }
}

/// The tracked files, by path from the root. The text of a file that is not UTF-8 is empty.
#[derive(Default)]
pub(super) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the files that git lists below `root`, including new ones.
    ///
    /// # Errors
    /// If git cannot list them, or one cannot be read.
    pub(super) fn load(root: &Path) -> Result<Self> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("cannot run git")?;
        ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
        let names = String::from_utf8(listed.stdout).context("cannot list files: a name is not UTF-8")?;
        let mut files = BTreeMap::new();
        for name in names.split_terminator('\0') {
            let path = root.join(name);
            // git lists a deleted file until the deletion is staged.
            if path.is_file() && !path.is_symlink() {
                let bytes = fs::read(&path).with_context(|| format!("cannot read {name}"))?;
                files.insert(name.to_owned(), String::from_utf8(bytes).unwrap_or_default());
            }
        }
        Ok(Self { files })
    }

    /// Creates a tree of the given files.
    #[cfg(test)]
    pub(super) fn from_files(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        Self { files }
    }

    /// Returns the text of a file, or an empty text if it does not exist.
    pub(super) fn text(&self, path: &str) -> &str {
        self.files.get(path).map_or("", String::as_str)
    }

    /// Returns true if this is a tracked file, or a directory with one.
    pub(super) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let below = format!("{path}/");
        self.files.contains_key(path)
            || self.files.range(below.clone()..).next().is_some_and(|(found, _)| found.starts_with(&below))
    }

    /// Returns all files with their text.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Returns the files below one of these directories, or with one of these paths.
    pub(super) fn below<'tree>(
        &'tree self,
        places: &'tree [&str],
    ) -> impl Iterator<Item = (&'tree str, &'tree str)> {
        let is_below = |path: &str, place: &str| {
            path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.files().filter(move |(path, _)| places.iter().any(|place| is_below(path, place)))
    }
}

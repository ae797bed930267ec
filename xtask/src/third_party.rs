//! Generates the file with the licenses of third-party crates.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result, ensure};

use crate::crates::Crate;

/// The prefixes of the names of license files.
const BEGINNINGS: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// The longest license text. A longer file is not a license.
const MAX_LEN: u64 = 256 * 1024;

/// Returns the list of crates with their licenses and authors, then every license text once, with
/// the crates that contain it.
///
/// # Errors
/// If a crate does not state its license, or cannot be read.
pub(crate) fn text(crates: &[Crate]) -> Result<String> {
    let mut carried: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut listed = String::new();
    for each in crates {
        let name = format!("{} {}", each.name, each.version);
        let license =
            each.license.as_deref().with_context(|| format!("{name} does not state its license"))?;
        writeln!(listed, "{name}\n    license: {license}")?;
        if !each.authors.is_empty() {
            writeln!(listed, "    authors: {}", each.authors.join(", "))?;
        }
        if let Some(repository) = &each.repository {
            writeln!(listed, "    source:  {repository}")?;
        }
        let files = license_files(each)?;
        if files.is_empty() {
            writeln!(listed, "    (the crate contains no license text)")?;
        }
        for (file, text) in files {
            carried.entry(text).or_default().push(format!("{name} ({file})"));
        }
    }

    let mut texts: Vec<(String, Vec<String>)> = carried.into_iter().collect();
    texts.sort_by(|left, right| left.1.cmp(&right.1));
    let mut all = format!(
        "The programs and the module of claude-auth-sync contain these {} third-party crates.\n\n{listed}",
        crates.len()
    );
    for (text, from) in texts {
        write!(all, "\n{}\nFrom {}:\n\n{}\n", "-".repeat(78), from.join(", "), text.trim_end())?;
    }
    Ok(all)
}

/// Returns the names and texts of a crate's license files, by name.
fn license_files(each: &Crate) -> Result<Vec<(String, String)>> {
    let folder = each.manifest_path.parent().context("a manifest is in a directory")?;
    let context = || format!("cannot read {}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let upper = name.to_uppercase();
        let metadata = entry.metadata().with_context(context)?;
        if metadata.is_file() && BEGINNINGS.iter().any(|beginning| upper.starts_with(beginning)) {
            ensure!(metadata.len() <= MAX_LEN, "{} is too long for a license", entry.path().display());
            let text =
                String::from_utf8_lossy(&fs::read(entry.path()).with_context(context)?).replace('\r', "");
            found.push((name, text));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn some(folder: &Path, name: &str, license: Option<&str>, files: &[(&str, &str)]) -> Crate {
        let folder = folder.join(name);
        fs::create_dir(&folder).expect("a folder");
        for (file, text) in files {
            fs::write(folder.join(file), text).expect("a file");
        }
        Crate {
            name: name.to_owned(),
            version: "1.2.3".to_owned(),
            license: license.map(str::to_owned),
            repository: None,
            authors: vec!["Ada".to_owned()],
            manifest_path: folder.join("Cargo.toml"),
            source: None,
        }
    }

    #[test]
    fn crates_are_listed_and_license_texts_deduplicated() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let crates = [
            some(folder.path(), "one", Some("MIT"), &[("LICENSE-MIT", "same words\r\n"), ("src.rs", "code")]),
            some(folder.path(), "two", Some("MIT"), &[("license", "same words\n"), ("NOTICE", "by Bob")]),
            some(folder.path(), "three", Some("ISC"), &[]),
        ];
        let text = text(&crates).expect("all is there");
        assert!(text.contains("these 3 third-party crates"), "{text}");
        assert!(text.contains("one 1.2.3\n    license: MIT\n    authors: Ada\n"), "{text}");
        assert!(
            text.contains("From one 1.2.3 (LICENSE-MIT), two 1.2.3 (license):\n\nsame words\n"),
            "{text}"
        );
        assert!(text.contains("From two 1.2.3 (NOTICE):\n\nby Bob\n"), "{text}");
        assert!(
            text.contains("three 1.2.3\n    license: ISC\n    authors: Ada\n    (the crate contains no"),
            "{text}"
        );
        assert_eq!((text.matches("same words").count(), text.matches("code").count()), (1, 0), "{text}");
    }

    #[test]
    fn crate_without_a_license_is_an_error() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let error = text(&[some(folder.path(), "one", None, &[])]).expect_err("no license");
        assert_eq!(error.to_string(), "one 1.2.3 does not state its license");
    }
}

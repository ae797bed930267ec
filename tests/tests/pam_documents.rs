//! What these documents claim has a test of that name.

use std::fs;
use std::path::{Path, PathBuf};

/// Those that name tests, and how many at least.
const DOCUMENTS: [(&str, usize); 6] = [
    ("pam-checklist.md", 30),
    ("pam-cve.md", 30),
    ("security.md", 80),
    ("behaviour.md", 30),
    ("policy.md", 10),
    ("runbook.md", 10),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).expect("the document is there")
}

/// All Rust files that hold tests the documents may name.
fn sources() -> Vec<PathBuf> {
    let mut left: Vec<PathBuf> = ["tests/tests", "pam_cas/src", "crates", "cas-session/src", "cas-sync/src"]
        .map(|part| root().join(part))
        .into();
    let mut files = Vec::new();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(
                fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry").path()),
            );
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The names `FILE::TEST` in backticks.
fn named_tests(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|name| name.split_once("::"))
        .filter(|(file, test)| is_plain(file) && is_plain(test))
        .collect()
}

/// Whether any of the sources is this file and holds this test.
fn exists(sources: &[PathBuf], file: &str, test: &str) -> bool {
    sources
        .iter()
        .filter(|path| path.file_stem().is_some_and(|stem| stem == file))
        .any(|path| has_test(&fs::read_to_string(path).expect("a source"), test))
}

/// Whether the file holds a function of that name right below `#[test]`.
fn has_test(source: &str, test: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    lines.windows(2).any(|pair| pair[0] == "#[test]" && pair[1].starts_with(&format!("fn {test}(")))
}

#[test]
fn every_test_the_documents_name_exists() {
    let sources = sources();
    for (name, at_least) in DOCUMENTS {
        let document = document(name);
        let named = named_tests(&document);
        assert!(named.len() >= at_least, "{name}: the names are found: {named:?}");
        for (file, test) in named {
            assert!(exists(&sources, file, test), "{name}: {file}::{test}");
        }
    }
}

#[test]
fn a_test_is_named_in_backticks_and_in_full_or_not_at_all() {
    for (name, _) in DOCUMENTS {
        let document = document(name);
        assert_eq!(document.matches('`').count() % 2, 0, "{name}: backticks come in pairs");
        let in_full = named_tests(&document).len() + document.matches("`FILE::TEST`").count();
        assert_eq!(document.matches("::").count(), in_full, "{name}: `FILE::TEST` is the one form of a name");
    }
}

#[test]
fn every_file_the_documents_name_exists() {
    let others = ["pam-module.md", "architecture.md", "../README.md"];
    for name in DOCUMENTS.map(|(name, _)| name).into_iter().chain(others) {
        let document = document(name);
        let is_ours = |quoted: &&str| {
            let file = [".rs", ".md", ".sh"].iter().any(|ending| quoted.ends_with(ending));
            file && quoted.contains('/') && !quoted.starts_with('/') && !quoted.contains(char::is_whitespace)
        };
        for path in document.split('`').skip(1).step_by(2).filter(is_ours) {
            assert!(root().join(path).exists(), "{name} names {path}");
        }
    }
}

#[test]
fn every_point_of_the_checklist_is_answered_by_a_test_or_in_words() {
    let document = document("pam-checklist.md");
    let points: Vec<&str> = document.split("\n## ").take(8).collect();
    let points = points.join("\n");
    for number in 1..=44 {
        let start = format!("\n{number}. **");
        assert_eq!(points.matches(&start).count(), 1, "point {number} stands once");
        let (_, rest) = points.split_once(&start).expect("the point");
        let point =
            rest.split("\n## ").next().and_then(|rest| rest.split(&format!("\n{}. **", number + 1)).next());
        let point = point.expect("the point has an end");
        let in_words = [42];
        let answered = !named_tests(point).is_empty() || in_words.contains(&number);
        assert!(answered, "point {number}: {point}");
    }
}

#[test]
fn every_mistake_of_others_has_a_test() {
    let document = document("pam-cve.md");
    let rows: Vec<&str> =
        document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| mistake")).collect();
    assert!(rows.len() >= 18, "the rows are found");
    for row in rows {
        assert!(!named_tests(row).is_empty(), "{row}");
    }
}

//! What `docs/pam-checklist.md` and `docs/pam-cve.md` claim has a test of that name.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).expect("the document is there")
}

/// All Rust files that hold tests the documents may name.
fn sources() -> Vec<PathBuf> {
    let mut left: Vec<PathBuf> =
        ["tests/tests", "pam_cas/src", "cas-core/src"].map(|part| root().join(part)).into();
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

/// The names `FILE::TEST` in backticks.
fn named_tests(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let plain = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    quoted
        .filter_map(|name| name.split_once("::"))
        .filter(|(file, test)| plain(file) && plain(test))
        .collect()
}

/// Whether the file holds a function of that name right below `#[test]`.
fn has_test(source: &str, test: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    lines.windows(2).any(|pair| pair[0] == "#[test]" && pair[1].starts_with(&format!("fn {test}(")))
}

#[test]
fn every_test_the_documents_name_exists() {
    let sources = sources();
    for document in ["pam-checklist.md", "pam-cve.md"].map(document) {
        let named = named_tests(&document);
        assert!(named.len() >= 30, "the names are found: {named:?}");
        for (file, test) in named {
            let candidates = sources.iter().filter(|path| path.file_stem().is_some_and(|stem| stem == file));
            let found = candidates
                .into_iter()
                .any(|path| has_test(&fs::read_to_string(path).expect("a source"), test));
            assert!(found, "{file}::{test} is named but is not there");
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
        let answered =
            !named_tests(point).is_empty() || point.contains("lanned") || in_words.contains(&number);
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

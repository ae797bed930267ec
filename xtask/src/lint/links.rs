//! Checks links between pages, and paths in texts.

use std::path::{Component, Path};

use super::pages;
use super::tree::{Problem, Tree};

/// Checks that every link leads to an existing file and heading.
pub(super) fn check_links(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in pages::all(tree) {
        for (index, line) in text.lines().enumerate() {
            let links = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            for link in links.filter(|link| !link.contains("://")) {
                if !leads_somewhere(tree, path, link) {
                    problems.push(Problem::new(path, index + 1, format!("the link {link} leads nowhere")));
                }
            }
        }
    }
    problems
}

fn leads_somewhere(tree: &Tree, page: &str, link: &str) -> bool {
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { page.to_owned() } else { resolve(page, file) };
    let is_heading = |line: &str| line.starts_with('#') && anchor(line.trim_start_matches('#')) == heading;
    tree.has(&target) && (heading.is_empty() || tree.text(&target).lines().any(is_heading))
}

/// Resolves a path relative to a page.
fn resolve(page: &str, file: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in Path::new(file).components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(name) => parts.push(name.to_str().unwrap_or_default()),
            _ => {}
        }
    }
    parts.join("/")
}

/// Returns the anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

/// Checks that every named page (`docs/…md`) and every file quoted in a page exists.
pub(super) fn check_paths(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in tree.files().filter(|(path, _)| is_written_by_us(path)) {
        for (index, line) in text.lines().enumerate() {
            let mut named = pages_in(line);
            if path.ends_with(".md") {
                named.extend(quoted_files(line));
            }
            for name in named.into_iter().filter(|name| !tree.has(name)) {
                problems.push(Problem::new(path, index + 1, format!("{name} does not exist")));
            }
        }
    }
    problems
}

/// Excludes recordings of other programs, and the lint, whose tests name missing pages.
fn is_written_by_us(path: &str) -> bool {
    let others = ["tests/recordings/", "cas-sync/src/claude/recorded/", "xtask/src/lint/"];
    path != "Cargo.lock" && !others.iter().any(|other| path.starts_with(other))
}

fn pages_in(line: &str) -> Vec<&str> {
    let words =
        line.split(|character: char| !(character.is_ascii_alphanumeric() || "/-_.".contains(character)));
    let words = words.map(|word| word.trim_end_matches('.').trim_start_matches("../"));
    words
        .filter(|word| word.starts_with("docs/") && [".md", ".png"].iter().any(|end| word.ends_with(end)))
        .collect()
}

/// Returns source files in backticks, such as `packaging/build.sh`.
fn quoted_files(line: &str) -> Vec<&str> {
    let is_file = |quoted: &&str| {
        let is_known = [".rs", ".md", ".sh", ".hcl", ".yaml"].iter().any(|end| quoted.ends_with(end));
        is_known
            && quoted.contains('/')
            && !quoted.starts_with(['/', '~', '.'])
            && !quoted.contains(|character: char| character.is_whitespace() || "*<>@".contains(character))
    };
    line.split('`').skip(1).step_by(2).filter(is_file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_to_a_missing_page_or_heading_is_reported() {
        let page =
            "[a](b.md) [c](../README.md#the-end) [d](b.md#none)\n[e](https://example.org/x) [f](e.md)\n";
        let tree =
            Tree::from_files(&[("docs/a.md", page), ("docs/b.md", "# B\n"), ("README.md", "## The end!\n")]);
        let wrong =
            |line, link: &str| Problem::new("docs/a.md", line, format!("the link {link} leads nowhere"));
        assert_eq!(check_links(&tree), [wrong(1, "b.md#none"), wrong(2, "e.md")]);
    }

    #[test]
    fn missing_page_or_file_is_reported() {
        let tree = Tree::from_files(&[
            ("a.rs", "// docs/a.md, docs/b.md.\n"),
            ("docs/a.md", "`tests/x.rs` and `tests/y.rs`\n"),
            ("tests/x.rs", ""),
        ]);
        let wrong = |path, name: &str| Problem::new(path, 1, format!("{name} does not exist"));
        assert_eq!(check_paths(&tree), [wrong("a.rs", "docs/b.md"), wrong("docs/a.md", "tests/y.rs")]);
    }
}

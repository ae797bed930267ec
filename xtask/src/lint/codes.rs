//! Checks that the programs print every JSON member and code that the pages describe.

use std::collections::BTreeSet;

use super::tree::{Problem, Tree};

/// The pages that describe JSON in tables.
const PAGES: [&str; 3] = ["docs/user/by-hand.md", "docs/user/status.md", "docs/user/doctor.md"];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let known = Known::find(tree);
    let mut problems = Vec::new();
    for page in PAGES {
        let rows = tree.text(page).lines().enumerate().filter(|(_, line)| line.starts_with('|'));
        for (index, code) in rows.flat_map(|(index, line)| codes_in(line).map(move |code| (index, code))) {
            if !known.has(code) {
                problems.push(Problem::new(page, index + 1, format!("no program prints {code}")));
            }
        }
    }
    problems
}

/// Returns the words in backticks with a dash or an underscore, such as `not-enrolled` and `at_ms`.
fn codes_in(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2).filter(|word| {
        let is_code = |byte: u8| byte.is_ascii_lowercase() || byte == b'-' || byte == b'_';
        word.bytes().all(is_code) && word.contains(['-', '_']) && !word.starts_with('-')
    })
}

/// The words that the programs can print.
struct Known<'tree> {
    sources: Vec<&'tree str>,
    identifiers: BTreeSet<&'tree str>,
}

impl<'tree> Known<'tree> {
    fn find(tree: &'tree Tree) -> Self {
        let is_part = |character: char| character.is_alphanumeric() || character == '_';
        let files = tree.files().filter(|(path, _)| {
            path.ends_with(".rs") && ["crates/", "cas-sync/src/"].iter().any(|place| path.starts_with(place))
        });
        let sources: Vec<&str> = files.map(|(_, text)| text).collect();
        let identifiers =
            sources.iter().flat_map(|text| text.split(|character| !is_part(character))).collect();
        Self { sources, identifiers }
    }

    /// Returns true for a literal, the name of a field, or the kebab-case form of a variant.
    fn has(&self, code: &str) -> bool {
        let literal = format!("\"{code}\"");
        self.identifiers.contains(code)
            || self.identifiers.contains(variant(code).as_str())
            || self.sources.iter().any(|text| text.contains(&literal))
    }
}

/// Returns `NotEnrolled` for `not-enrolled`.
fn variant(code: &str) -> String {
    let capitalized = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    code.split('-').map(capitalized).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_no_program_prints_is_reported() {
        let page = "| `at_ms`, `by-name`, `by-variant` |\n| `by-none`, `cas-sync run`, `one` |\n";
        let source = "struct A { at_ms: u64 }\nenum B { ByVariant }\nconst C: &str = \"by-name\";\n";
        let tree = Tree::from_files(&[(PAGES[0], page), ("cas-sync/src/main.rs", source)]);
        assert_eq!(check(&tree), [Problem::new(PAGES[0], 2, "no program prints by-none")]);
    }
}

//! Counts the words that the style rules exclude (CONTRIBUTING.md). The ceiling only goes down.

use super::tree::{Problem, Tree};

/// The searched paths: the installed files and the documents.
const PLACES: [&str; 12] = [
    "cas-session",
    "cas-sync",
    "crates",
    "pam_cas",
    "xtask",
    "packaging",
    "docs",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "Makefile",
];

const WORDS: [&str; 14] = [
    "whoever",
    "somebody",
    "nobody",
    "everybody",
    "whom",
    "lapse",
    "lapses",
    "mend",
    "mends",
    "mended",
    "is none",
    "in force",
    "put back",
    "looked after",
];

/// The maximum number. Lower it when the lint reports a lower one.
const CEILING: usize = 10;

const THIS_FILE: &str = "xtask/src/lint/words.rs";

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    check_against(tree, CEILING)
}

/// Returns a note if the ceiling can be lowered.
pub(super) fn note(tree: &Tree) -> Option<String> {
    let total: usize = places(tree).map(|(_, text)| count(text)).sum();
    (total < CEILING).then(|| format!("{THIS_FILE}: note: lower CEILING from {CEILING} to {total}"))
}

fn check_against(tree: &Tree, ceiling: usize) -> Vec<Problem> {
    let mut counted: Vec<(usize, &str)> =
        places(tree).map(|(path, text)| (count(text), path)).filter(|(number, _)| *number > 0).collect();
    let total: usize = counted.iter().map(|(number, _)| number).sum();
    if total <= ceiling {
        return Vec::new();
    }
    counted.sort_by(|left, right| right.cmp(left));
    let most: Vec<String> =
        counted.iter().take(12).map(|(number, path)| format!("{path} {number}")).collect();
    let text = format!("{total} excluded words, {ceiling} allowed; most of them in {}", most.join(", "));
    vec![Problem::new(THIS_FILE, 0, text)]
}

/// Excludes this list and recordings of other programs.
fn places(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    let files = tree.below(&PLACES);
    files.filter(|(path, _)| *path != THIS_FILE && !path.contains("/recorded/"))
}

/// Counts whole words in any case. A phrase may continue on the next line.
fn count(text: &str) -> usize {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let words: Vec<String> = text.split(|character| !is_part(character)).map(str::to_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    let occurrences = |phrase: &str| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words.windows(phrase.len()).filter(|window| *window == phrase).count()
    };
    WORDS.iter().map(|phrase| occurrences(phrase)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_phrases_are_counted_without_names() {
        assert_eq!(count("Whoever put\n/// back, mends; somebody_logs_in amended"), 3);
    }

    #[test]
    fn excess_of_words_is_reported_with_the_files() {
        let tree = Tree::from_files(&[("docs/a.md", "nobody nobody"), ("tests/b.rs", "nobody")]);
        let more = "2 excluded words, 1 allowed; most of them in docs/a.md 2";
        assert_eq!(check_against(&tree, 1), [Problem::new(THIS_FILE, 0, more)]);
        assert_eq!(check_against(&tree, 2), []);
    }
}

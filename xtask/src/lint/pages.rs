//! The Markdown pages: which there are, and their form.

use super::tree::{Problem, Tree};

/// The columns of prose.
const WIDTH: usize = 100;

/// The pages at the root and below `docs/`.
pub(super) fn all(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.files()
        .filter(|(path, _)| path.ends_with(".md") && (!path.contains('/') || path.starts_with("docs/")))
}

/// The lines of prose, with their numbers: neither code nor tables nor headings.
pub(super) fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().map(|(index, line)| (index + 1, line)).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code && !line.starts_with(['|', '#', '!', '<']) && !line.starts_with("    ")
    })
}

/// The part of a page below a heading, up to the next heading of the same level.
pub(super) fn section<'page>(page: &'page str, heading: &str) -> &'page str {
    let level = heading.split(' ').next().unwrap_or_default();
    let Some((_, rest)) = page.split_once(&format!("\n{heading}\n")) else { return "" };
    rest.split(&format!("\n{level} ")).next().unwrap_or(rest)
}

/// Prose is wrapped, unless a line is a single word such as a URL.
pub(super) fn check_wrapping(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in all(tree) {
        for (number, line) in prose(text) {
            let is_one_word = !line.trim().trim_start_matches(['-', '*']).trim().contains(' ');
            let is_link = line.trim_start().starts_with(['[', '`']);
            if line.chars().count() > WIDTH && !is_one_word && !is_link {
                problems.push(Problem::new(path, number, format!("wrap this line at {WIDTH} columns")));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_prose_is_reported_and_code_and_tables_are_not() {
        let long = "word ".repeat(30);
        let page = format!("# Title\n\n{long}\n\n| {long} |\n\n```\n{long}\n```\n");
        let tree = Tree::of_files(&[("docs/a.md", &page)]);
        assert_eq!(check_wrapping(&tree), [Problem::new("docs/a.md", 3, "wrap this line at 100 columns")]);
    }

    #[test]
    fn a_section_ends_at_the_next_heading_of_its_level() {
        let page = "# A\n\n## B\n\n### C\nc\n## D\nd\n";
        assert_eq!(section(page, "## B"), "\n### C\nc");
        assert_eq!(section(page, "## E"), "");
    }
}

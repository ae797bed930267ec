//! Finds the Markdown pages, and checks their format and that of comments.

use super::tree::{Problem, Tree};

/// The maximum width of prose, in columns.
const WIDTH: usize = 100;

/// The maximum length of a table cell: two lines.
const MAX_CELL: usize = 2 * WIDTH;

/// Returns the pages in the root directory and below `docs/`.
pub(super) fn all(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.files()
        .filter(|(path, _)| path.ends_with(".md") && (!path.contains('/') || path.starts_with("docs/")))
}

/// Returns the lines of prose with their numbers, without code, tables and headings.
pub(super) fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().map(|(index, line)| (index + 1, line)).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code && !line.starts_with(['|', '#', '!', '<']) && !line.starts_with("    ")
    })
}

/// Returns the part of a page below a heading, up to the next heading of the same level.
pub(super) fn section<'page>(page: &'page str, heading: &str) -> &'page str {
    let level = heading.split(' ').next().unwrap_or_default();
    let Some((_, rest)) = page.split_once(&format!("\n{heading}\n")) else { return "" };
    rest.split(&format!("\n{level} ")).next().unwrap_or(rest)
}

/// Checks that prose is wrapped, except lines with a single word such as a URL.
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

/// Checks that comments of sources and units are wrapped, except lines with a single word.
pub(super) fn check_comments(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let is_unit = |path: &str| path.starts_with("packaging/systemd/");
    for (path, text) in tree.files().filter(|(path, _)| path.ends_with(".rs") || is_unit(path)) {
        let mark = if is_unit(path) { "#" } else { "//" };
        for (index, line) in text.lines().enumerate() {
            let Some(comment) = line.trim_start().strip_prefix(mark) else { continue };
            let is_one_word = !comment.trim_start_matches(['/', '!', ' ', '*', '-']).contains(' ');
            if line.chars().count() > WIDTH && !is_one_word {
                let problem = format!("wrap this comment at {WIDTH} columns");
                problems.push(Problem::new(path, index + 1, problem));
            }
        }
    }
    problems
}

/// Checks that no table cell is longer than two lines, except in lists of tests.
pub(super) fn check_tables(tree: &Tree) -> Vec<Problem> {
    let pages =
        tree.below(&["README.md", "CONTRIBUTING.md", "docs/user", "docs/admin", "docs/architecture.md"]);
    let rows = pages.flat_map(|(path, text)| {
        let rows = text.lines().enumerate().filter(|(_, line)| line.starts_with('|'));
        rows.map(move |(index, line)| (path, index + 1, line))
    });
    let is_long = |cell: &str| without_targets(cell).chars().count() > MAX_CELL;
    let long = rows.filter(|(_, _, line)| line.split(" | ").any(is_long));
    long.map(|(path, number, _)| Problem::new(path, number, format!("shorten the cell to {MAX_CELL}")))
        .collect()
}

/// Returns the cell as displayed, without the targets of links.
fn without_targets(cell: &str) -> String {
    let mut parts = cell.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| shown + part.split_once(')').map_or(part, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_table_cell_is_reported() {
        let row = |cell: &str| format!("| a | {cell} |\n");
        let page = [row(&"x".repeat(201)), row(&format!("[x]({})", "y".repeat(300))), row("z")].concat();
        let tree = Tree::from_files(&[("docs/user/a.md", &page)]);
        assert_eq!(check_tables(&tree), [Problem::new("docs/user/a.md", 1, "shorten the cell to 200")]);
    }

    #[test]
    fn long_line_of_prose_is_reported() {
        let long = "word ".repeat(30);
        let page = format!("# Title\n\n{long}\n\n| {long} |\n\n```\n{long}\n```\n");
        let tree = Tree::from_files(&[("docs/a.md", &page)]);
        assert_eq!(check_wrapping(&tree), [Problem::new("docs/a.md", 3, "wrap this line at 100 columns")]);
    }

    #[test]
    fn long_comment_is_reported() {
        let long = "word ".repeat(30);
        let code = format!("//! Short.\n    /// {long}\nlet text = \"{long}\";\n");
        let unit = format!("# {long}\nExecStart={long}\n");
        let tree = Tree::from_files(&[("cas-sync/a.rs", &code), ("packaging/systemd/a.service", &unit)]);
        let problem = |path, line| Problem::new(path, line, "wrap this comment at 100 columns");
        assert_eq!(
            check_comments(&tree),
            [problem("cas-sync/a.rs", 2), problem("packaging/systemd/a.service", 1)]
        );
    }

    #[test]
    fn section_ends_at_the_next_heading_of_its_level() {
        let page = "# A\n\n## B\n\n### C\nc\n## D\nd\n";
        assert_eq!(section(page, "## B"), "\n### C\nc");
        assert_eq!(section(page, "## E"), "");
    }
}

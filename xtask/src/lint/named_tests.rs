//! Checks the tests that the documents name: each exists and is named on the right page.

use std::collections::BTreeSet;

use super::tree::{Problem, Tree};

const TABLE: &str = "docs/design/traceability.md";
const CHECKLIST: &str = "docs/design/pam-checklist.md";
const CVE_ROWS: &str = "docs/pam-cve.md";

/// The pages that name tests, with the minimum number of tests.
const PAGES_WITH_TESTS: [(&str, usize); 4] =
    [(TABLE, 250), (CHECKLIST, 60), (CVE_ROWS, 30), ("docs/design/claude-code.md", 50)];

/// The name of this lint in a table.
const LINT: &str = "xtask lint";

/// The points of the checklist that are answered without a test.
const POINTS_WITHOUT_TEST: [usize; 1] = [42];

/// Checks that every named test exists.
pub(super) fn check_names(tree: &Tree) -> Vec<Problem> {
    let tests = Tests::find(tree);
    let mut problems = Vec::new();
    for (page, at_least) in PAGES_WITH_TESTS {
        let mut found = 0;
        for (index, line) in tree.text(page).lines().enumerate() {
            for name in names_in(line) {
                found += 1;
                if !tests.has(name) {
                    let text = format!("the test {name} does not exist{}", tests.hint(name));
                    problems.push(Problem::new(page, index + 1, text));
                }
            }
        }
        if found < at_least {
            problems.push(Problem::new(page, 0, format!("names {found} tests, not {at_least} or more")));
        }
    }
    problems
}

/// Checks that pages for users and administrators name no tests.
pub(super) fn check_placement(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (page, text) in tree.below(&["README.md", "docs/user", "docs/admin"]) {
        for (index, line) in text.lines().enumerate() {
            for name in names_in(line) {
                problems.push(Problem::new(page, index + 1, format!("move {name} to {TABLE}")));
            }
        }
    }
    problems
}

/// Checks that the table has a section for each page of claims, and a test in each row.
pub(super) fn check_traceability(tree: &Tree) -> Vec<Problem> {
    let text = tree.text(TABLE);
    let tests = Tests::find(tree);
    let is_section = |page: &str| {
        let page = page.strip_prefix("docs/").unwrap_or(page);
        text.lines().any(|line| line.starts_with(&format!("## [{page}](")))
    };
    let mut problems: Vec<Problem> = tree
        .below(&["docs/user", "docs/admin"])
        .filter(|(page, _)| page.ends_with(".md") && !is_section(page))
        .map(|(page, _)| Problem::new(TABLE, 0, format!("add a section for {page}")))
        .collect();
    let mut is_below_a_page = false;
    for (index, line) in text.lines().enumerate() {
        is_below_a_page |= line.starts_with("## ");
        let is_row = line.starts_with("| ") && line != "| claim | tests |" && is_below_a_page;
        let Some(cell) = line.rsplit(" | ").next().filter(|_| is_row) else { continue };
        let quoted: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if quoted.is_empty() {
            problems.push(Problem::new(TABLE, index + 1, "name a test for this claim"));
        }
        for name in quoted.into_iter().filter(|name| !name.contains("::") && *name != LINT) {
            if !tests.suites.contains(name) {
                problems.push(Problem::new(TABLE, index + 1, format!("the suite {name} does not exist")));
            }
        }
    }
    problems
}

/// Checks that every point of the checklist occurs once, with a test or in [`POINTS_WITHOUT_TEST`].
pub(super) fn check_checklist(tree: &Tree) -> Vec<Problem> {
    let text = tree.text(CHECKLIST);
    let points = text.split("\n## Beyond the checklist").next().unwrap_or(text);
    let mut problems = Vec::new();
    for number in 1..=44 {
        let start = format!("\n{number}. **");
        let (_, rest) = points.split_once(&start).unwrap_or_default();
        let end = format!("\n{}. **", number + 1);
        let point = rest.split("\n## ").next().and_then(|rest| rest.split(&end).next()).unwrap_or_default();
        let is_answered = POINTS_WITHOUT_TEST.contains(&number) || !names_in(point).is_empty();
        if points.matches(&start).count() != 1 || !is_answered {
            problems.push(Problem::new(CHECKLIST, 0, format!("answer point {number} once, with a test")));
        }
    }
    problems
}

/// Checks that every mistake of another module has a test.
pub(super) fn check_cve_rows(tree: &Tree) -> Vec<Problem> {
    let rows = tree
        .text(CVE_ROWS)
        .lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with("| ") && !line.starts_with("| mistake"));
    let without = rows.filter(|(_, line)| names_in(line).is_empty());
    without.map(|(index, _)| Problem::new(CVE_ROWS, index + 1, "name a test for this mistake")).collect()
}

/// Returns the names `FILE::TEST` or `SUITE::MODULE` in backticks.
fn names_in(text: &str) -> Vec<&str> {
    let is_plain = |part: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        !part.is_empty() && part.bytes().all(is_allowed)
    };
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter(|name| name.split_once("::").is_some_and(|(file, test)| is_plain(file) && is_plain(test)))
        .collect()
}

/// The tests of the workspace.
struct Tests {
    /// `FILE::TEST`, with the name of the file, or of the directory of a `mod.rs`.
    functions: BTreeSet<String>,
    /// `SUITE` and `SUITE::MODULE` below `tests/tests/` with at least one test.
    suites: BTreeSet<String>,
}

impl Tests {
    fn find(tree: &Tree) -> Self {
        let (mut functions, mut suites) = (BTreeSet::new(), BTreeSet::new());
        for (path, text) in tree.files().filter(|(path, _)| path.ends_with(".rs")) {
            let tests: Vec<&str> = test_functions(text).collect();
            let parts: Vec<&str> = path.trim_end_matches(".rs").trim_end_matches("/mod").split('/').collect();
            let file = parts.last().copied().unwrap_or_default();
            functions.extend(tests.iter().map(|test| format!("{file}::{test}")));
            if let (["tests", "tests", suite, rest @ ..], false) = (parts.as_slice(), tests.is_empty()) {
                suites.insert((*suite).to_owned());
                suites.extend(rest.first().map(|module| format!("{suite}::{module}")));
            }
        }
        Self { functions, suites }
    }

    fn has(&self, name: &str) -> bool {
        self.functions.contains(name) || self.suites.contains(name)
    }

    /// Returns where a function of that name is now, if its file was moved.
    fn hint(&self, name: &str) -> String {
        let function = name.find("::").map_or(name, |at| &name[at..]);
        let moved = self.functions.iter().find(|known| known.ends_with(function));
        moved.map(|known| format!("; {known} does")).unwrap_or_default()
    }
}

/// Returns the functions after `#[test]`, with other attributes in between.
fn test_functions(source: &str) -> impl Iterator<Item = &str> {
    source.split("#[test]\n").skip(1).filter_map(|rest| {
        let line = rest.lines().map(str::trim).find(|line| !line.starts_with("#["))?;
        line.strip_prefix("fn ")?.split('(').next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITE: &str = "#[test]\n#[cfg(unix)]\nfn it_works() {}\n";

    #[test]
    fn missing_test_is_reported() {
        let page = "`s::it_works`, `m::it_works`, `s::m`\n`s::it_fails` `t::it_works`\n";
        let tree =
            Tree::from_files(&[(CVE_ROWS, page), ("tests/tests/s/m.rs", SUITE), ("a/src/s/mod.rs", SUITE)]);
        let problems = check_names(&tree);
        assert!(problems.contains(&Problem::new(CVE_ROWS, 2, "the test s::it_fails does not exist")));
        let moved = "the test t::it_works does not exist; m::it_works does";
        assert!(problems.contains(&Problem::new(CVE_ROWS, 2, moved)));
        assert!(problems.contains(&Problem::new(CVE_ROWS, 0, "names 5 tests, not 30 or more")));
        assert_eq!(problems.len(), 6, "and one for each page that names none: {problems:?}");
    }

    #[test]
    fn test_on_a_user_page_is_reported() {
        let tree =
            Tree::from_files(&[("docs/user/a.md", "x\n(`s::it_works`)\n"), ("docs/b.md", "`s::it_works`")]);
        let text = "move s::it_works to docs/design/traceability.md";
        assert_eq!(check_placement(&tree), [Problem::new("docs/user/a.md", 2, text)]);
    }

    #[test]
    fn claim_without_a_test_is_reported() {
        let table = "## [user/a.md](../user/a.md)\n\n| claim | tests |\n|---|---|\n| one | `s` |\n| two | |\n| three | `t` |\n";
        let files =
            [(TABLE, table), ("docs/user/a.md", ""), ("docs/admin/b.md", ""), ("tests/tests/s.rs", SUITE)];
        let expected = [
            Problem::new(TABLE, 0, "add a section for docs/admin/b.md"),
            Problem::new(TABLE, 6, "name a test for this claim"),
            Problem::new(TABLE, 7, "the suite t does not exist"),
        ];
        assert_eq!(check_traceability(&Tree::from_files(&files)), expected);
    }

    #[test]
    fn checklist_point_without_a_test_is_reported() {
        let points: String =
            (1..=44).map(|number| format!("\n{number}. **Point.** `s::it_works`\n")).collect();
        let points = points.replace("\n7. **Point.** `s::it_works`\n", "\n7. **Point.** No.\n");
        let rows = "| mistake | test |\n| a | `s::it_works` |\n| b | |\n";
        let tree = Tree::from_files(&[(CHECKLIST, &points), (CVE_ROWS, rows)]);
        assert_eq!(check_checklist(&tree), [Problem::new(CHECKLIST, 0, "answer point 7 once, with a test")]);
        assert_eq!(check_cve_rows(&tree), [Problem::new(CVE_ROWS, 3, "name a test for this mistake")]);
    }
}

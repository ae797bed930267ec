//! Checks the handwritten man pages, `docs/man/*.scd`.

use std::collections::BTreeSet;

use super::tree::{Problem, Tree};

const SECTIONS: [&str; 5] = ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "SEE ALSO"];
const LAUNCHER: &str = "docs/man/cas-session.1.scd";
const LAUNCHER_SOURCE: &str = "cas-session/src/arguments.rs";

/// Man pages of other packages.
const EXTERNAL_PAGES: [&str; 2] = ["pam.d.5", "pam-auth-update.8"];

/// Returns the pages with their paths and names, such as `cas-session.1`.
pub(super) fn all(tree: &Tree) -> impl Iterator<Item = (&str, &str, &str)> {
    tree.below(&["docs/man"]).filter_map(|(path, text)| {
        let name = path.strip_prefix("docs/man/")?.strip_suffix(".scd")?;
        Some((path, name, text))
    })
}

/// Checks that every page has the required sections.
pub(super) fn check_sections(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, _, text) in all(tree) {
        for section in SECTIONS {
            if !text.lines().any(|line| line == format!("# {section}")) {
                problems.push(Problem::new(path, 0, format!("add the section {section}")));
            }
        }
    }
    problems
}

/// Checks that every referenced page is installed.
pub(super) fn check_references(tree: &Tree) -> Vec<Problem> {
    let mut known: BTreeSet<String> = all(tree).map(|(_, name, _)| name.to_owned()).collect();
    known.extend(EXTERNAL_PAGES.map(str::to_owned));
    known.extend(crate::manual::names());
    let mut problems = Vec::new();
    for (path, _, text) in all(tree) {
        for (index, line) in text.lines().enumerate() {
            for reference in references(line).into_iter().filter(|reference| !known.contains(reference)) {
                problems.push(Problem::new(
                    path,
                    index + 1,
                    format!("the man page {reference} does not exist"),
                ));
            }
        }
    }
    problems
}

/// Returns the references that are written as `*NAME*(SECTION)`.
fn references(line: &str) -> Vec<String> {
    let parts: Vec<&str> = line.split('*').collect();
    let pairs = parts.windows(2).filter_map(|pair| {
        let section = pair[1].strip_prefix('(')?.split(')').next()?;
        section.parse::<u8>().ok().map(|section| format!("{}.{section}", pair[0]))
    });
    pairs.collect()
}

/// Checks that the page of `cas-session` describes exactly its commands and options.
pub(super) fn check_launcher(tree: &Tree) -> Vec<Problem> {
    let (page, source) = (tree.text(LAUNCHER), tree.text(LAUNCHER_SOURCE));
    let help = source.split("const HELP: &str = \"").nth(1).unwrap_or_default().split("\";").next();
    let help = help.unwrap_or_default();
    let (known, named) = (options(help), options(page));
    let mut problems = Vec::new();
    if known.len() < 7 {
        problems.push(Problem::new(LAUNCHER_SOURCE, 0, "cannot find the text of --help"));
    }
    let is_described = |option: &str| {
        page.lines().any(|line| line.starts_with('*') && line.contains(&format!("*{option}*")))
    };
    for option in known.iter().filter(|option| !is_described(option)) {
        problems.push(Problem::new(LAUNCHER, 0, format!("describe {option}")));
    }
    for option in named.difference(&known) {
        problems.push(Problem::new(LAUNCHER, 0, format!("cas-session has no option {option}")));
    }
    let lines = help.lines().filter_map(|line| line.strip_prefix("  cas-session ")?.split(' ').next());
    for command in lines.filter(|command| !command.starts_with('-')) {
        if !page.contains(&format!("\n*{command}*\n")) {
            problems.push(Problem::new(LAUNCHER, 0, format!("describe the command {command}")));
        }
    }
    problems
}

fn options(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| !(character.is_ascii_alphanumeric() || character == '-'));
    words.filter(|word| word.len() > 2 && word.starts_with("--")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_section_or_page_is_reported() {
        let page = "# NAME\n# SYNOPSIS\n# DESCRIPTION\n# SEE ALSO\n*cas-sync*(1), *a*(5), *b*(7)\n";
        let tree = Tree::from_files(&[("docs/man/a.5.scd", page)]);
        assert_eq!(check_sections(&tree), [Problem::new("docs/man/a.5.scd", 0, "add the section EXAMPLES")]);
        assert_eq!(
            check_references(&tree),
            [Problem::new("docs/man/a.5.scd", 5, "the man page b.7 does not exist")]
        );
    }

    #[test]
    fn undescribed_option_or_command_is_reported() {
        let help =
            "const HELP: &str = \"\\\n  cas-session go --a1 --a2 --a3\n      --a4 --a5 --a6 --a7\n\";\n";
        let page = "*go*\n*--a1*, *--a2*\n*--a3*\n*--a4*\n*--a5*\n*--a6* --a8\n";
        let tree = Tree::from_files(&[(LAUNCHER_SOURCE, help), (LAUNCHER, page)]);
        let expected = ["describe --a7", "cas-session has no option --a8", "describe the command go"];
        assert_eq!(check_launcher(&tree), expected.map(|text| Problem::new(LAUNCHER, 0, text)));
    }
}

//! Checks that every man page is rendered without a warning.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::man_pages;
use super::tree::{Problem, Tree};

/// The width of a terminal, in columns.
const WIDTH: &str = "80";

/// Checks the handwritten pages, and those that are generated from the command line of `cas-sync`.
///
/// # Errors
/// If scdoc or man cannot be run.
pub(super) fn check(tree: &Tree) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for (path, _, text) in man_pages::all(tree) {
        match run(Command::new("scdoc"), text)? {
            (page, complaint) if complaint.is_empty() => problems.extend(warnings(path, &page)?),
            (_, complaint) => problems.push(Problem::new(path, 0, complaint)),
        }
    }
    for made in crate::manual::pages()? {
        problems.extend(warnings(&made.path.to_string_lossy(), &String::from_utf8_lossy(&made.bytes))?);
    }
    Ok(problems)
}

fn warnings(path: &str, page: &str) -> Result<Vec<Problem>> {
    let mut man = Command::new("man");
    man.args(["--warnings", "--local-file", "-"]).envs([("LC_ALL", "C.UTF-8"), ("MANWIDTH", WIDTH)]);
    let (_, complaints) = run(man, page)?;
    Ok(complaints.lines().map(|complaint| Problem::new(path, 0, complaint)).collect())
}

/// Returns the output and the errors of a program with this input.
fn run(mut program: Command, input: &str) -> Result<(String, String)> {
    let name = program.get_program().to_string_lossy().into_owned();
    let context = || format!("cannot run {name}; run `make test-deps`");
    let mut file = tempfile::tempfile().with_context(context)?;
    std::io::Write::write_all(&mut file, input.as_bytes()).with_context(context)?;
    std::io::Seek::rewind(&mut file).with_context(context)?;
    let output = program.stdin(file).stderr(Stdio::piped()).output().with_context(context)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut complaint = text(&output.stderr);
    if !output.status.success() && complaint.is_empty() {
        complaint = format!("{name} failed: {}", output.status);
    }
    Ok((text(&output.stdout), complaint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_macro_in_a_man_page_is_reported() {
        let page = ".TH A 1\n.SH NAME\na \\- b\n.NOSUCH\n";
        let problems = warnings("a.1", page).expect("man runs");
        assert!(problems.iter().any(|problem| problem.to_string().contains("NOSUCH")), "{problems:?}");
    }

    #[test]
    fn page_that_scdoc_rejects_is_reported() {
        let tree = Tree::from_files(&[("docs/man/a.1.scd", "no preamble\n")]);
        let problems = check(&tree).expect("scdoc and man run");
        assert!(
            problems.iter().any(|problem| problem.to_string().starts_with("docs/man/a.1.scd")),
            "{problems:?}"
        );
    }
}

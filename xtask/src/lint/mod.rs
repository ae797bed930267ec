//! `cargo run -p xtask -- lint`: compares the documents with the sources.
//!
//! Each check is a pure function of the text of the tracked files. It returns a [`Problem`] for
//! each wrong line, and has a unit test with such a line.

mod codes;
mod commands;
mod configuration;
mod dependencies;
mod folders;
mod links;
mod man_pages;
mod named_tests;
mod pages;
mod picture;
mod render;
mod root_paths;
mod runbook;
mod tree;
mod words;

use std::path::Path;

use anyhow::Result;

use self::tree::{Problem, Tree};

/// The checks that need only the text of the files.
const CHECKS: [fn(&Tree) -> Vec<Problem>; 25] = [
    dependencies::check,
    folders::check_order,
    folders::check_cycles,
    links::check_links,
    links::check_paths,
    named_tests::check_names,
    named_tests::check_placement,
    named_tests::check_traceability,
    named_tests::check_checklist,
    named_tests::check_cve_rows,
    runbook::check_texts,
    runbook::check_alerts,
    codes::check,
    commands::check,
    configuration::check_keys,
    man_pages::check_sections,
    man_pages::check_references,
    man_pages::check_launcher,
    pages::check_tables,
    pages::check_wrapping,
    pages::check_comments,
    root_paths::check_table,
    root_paths::check_homes,
    root_paths::check_packaging,
    words::check,
];

/// Runs every check on the tracked files below `root`, and prints each problem as `PATH:LINE:
/// TEXT`. Returns the number of problems.
///
/// # Errors
/// If a file cannot be read, or a program is missing.
pub(crate) fn run(root: &Path) -> Result<usize> {
    let tree = Tree::load(root)?;
    let mut problems: Vec<Problem> = CHECKS.iter().flat_map(|check| check(&tree)).collect();
    problems.extend(configuration::check_examples(&tree)?);
    problems.extend(picture::check(root)?);
    problems.extend(render::check(&tree)?);
    for problem in &problems {
        println!("{problem}");
    }
    if let Some(note) = words::note(&tree) {
        println!("{note}");
    }
    Ok(problems.len())
}

//! Checks that the examples of the configuration are valid and every key is documented.

use std::fs;

use anyhow::{Context, Result};
use cas_core::config::{Config, KEYS, NETWORK_VARIABLES};

use super::tree::{Problem, Tree};

const TEMPLATE: &str = "packaging/config.toml";
const PAGE: &str = "docs/man/claude-auth-sync.toml.5.scd";

/// Checks that the man page describes exactly the known keys and variables, and that the template
/// shows each key.
pub(super) fn check_keys(tree: &Tree) -> Vec<Problem> {
    let page = tree.text(PAGE);
    let keys =
        page.split("# KEYS\n").nth(1).unwrap_or_default().split("# EXAMPLES").next().unwrap_or_default();
    let mut problems = Vec::new();
    for key in KEYS {
        let is_described = keys.lines().any(|line| line == format!("*{key}*"));
        if !is_described && !keys.contains(&format!("# TABLE [{key}]")) {
            problems.push(Problem::new(PAGE, 0, format!("describe the key {key}")));
        }
        let name = key.rsplit('.').next().unwrap_or(key);
        let is_shown = |line: &str| line.starts_with(&format!("#{name} =")) || line == format!("#[{key}]");
        if !tree.text(TEMPLATE).lines().any(is_shown) {
            problems.push(Problem::new(TEMPLATE, 0, format!("show the key {key}")));
        }
    }
    for (index, line) in page.lines().enumerate().filter(|(_, line)| keys.contains(*line)) {
        let is_key = line.starts_with('*') && line.ends_with('*');
        if is_key && !KEYS.contains(&line.trim_matches('*')) {
            problems.push(Problem::new(PAGE, index + 1, format!("{line} is not a key")));
        }
    }
    let missing = NETWORK_VARIABLES.iter().filter(|variable| !page.contains(**variable));
    problems.extend(missing.map(|variable| Problem::new(PAGE, 0, format!("name the variable {variable}"))));
    problems
}

/// Checks that the template, with every key set, and each TOML example in the pages are accepted
/// without a warning.
///
/// # Errors
/// If the scratch directory cannot be written.
pub(super) fn check_examples(tree: &Tree) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let template: String = tree.text(TEMPLATE).lines().filter_map(uncommented).collect();
    problems.extend(warnings(&template)?.into_iter().map(|warning| Problem::new(TEMPLATE, 0, warning)));
    for (path, text) in tree.files().filter(|(path, _)| path.ends_with(".md")) {
        for example in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            problems.extend(warnings(example)?.into_iter().map(|warning| Problem::new(path, 0, warning)));
        }
    }
    Ok(problems)
}

/// Returns a setting of the template without its `#`. Comments have a space after the `#`, settings
/// have none.
fn uncommented(line: &str) -> Option<String> {
    let setting = line.strip_prefix('#').unwrap_or(line);
    (!setting.is_empty() && !setting.starts_with([' ', '#'])).then(|| format!("{setting}\n"))
}

/// Returns the warnings and errors of the product for a configuration.
fn warnings(text: &str) -> Result<Vec<String>> {
    let directory = tempfile::tempdir().context("cannot create a scratch directory")?;
    fs::write(directory.path().join("config.toml"), text).context("cannot write the example")?;
    let warnings = match Config::load(directory.path()) {
        Ok((_, warnings)) => warnings,
        Err(error) => vec![error.to_string()],
    };
    let prefix = format!("{}/", directory.path().display());
    Ok(warnings.into_iter().map(|warning| warning.replace(&prefix, "")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_example_is_reported() {
        let page = "```toml\nstore = \"vault\"\n```\n```toml\nstroe = \"vault\"\n```\n";
        let tree = Tree::from_files(&[(TEMPLATE, "# Where.\n#store = \"local\"\n"), ("README.md", page)]);
        let text = "config.toml: unknown key stroe, which is ignored: did you mean store?";
        assert_eq!(check_examples(&tree).expect("written"), [Problem::new("README.md", 0, text)]);
    }

    #[test]
    fn missing_and_unknown_keys_are_reported() {
        let tree =
            Tree::from_files(&[(TEMPLATE, "#store = \"local\"\n"), (PAGE, "# KEYS\n\n*store*\n\n*stroe*\n")]);
        let problems = check_keys(&tree);
        assert!(problems.contains(&Problem::new(PAGE, 0, "describe the key verify")), "{problems:?}");
        assert!(problems.contains(&Problem::new(TEMPLATE, 0, "show the key verify")), "{problems:?}");
        assert!(problems.contains(&Problem::new(PAGE, 5, "*stroe* is not a key")), "{problems:?}");
        assert!(problems.contains(&Problem::new(PAGE, 0, "name the variable NO_PROXY")), "{problems:?}");
        assert!(
            !problems.iter().any(|problem| problem.to_string().ends_with("the key store")),
            "{problems:?}"
        );
    }
}

//! Checks that `docs/dependencies.md` has a row for exactly the dependencies.

use super::tree::{Problem, Tree};

const PAGE: &str = "docs/dependencies.md";
const MANIFEST: &str = "Cargo.toml";
const PACKAGES: &str = "tests/setup/dashboard-picture/package.json";

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let used: Vec<String> =
        crates(tree.text(MANIFEST)).into_iter().chain(packages(tree.text(PACKAGES))).collect();
    let explained = explained(tree.text(PAGE));
    let mut problems = Vec::new();
    if used.len() < 10 {
        problems.push(Problem::new(MANIFEST, 0, "cannot find the dependencies"));
    }
    for name in used.iter().filter(|name| !explained.iter().any(|(_, row)| row == *name)) {
        problems.push(Problem::new(PAGE, 0, format!("add a row for {name}")));
    }
    for (line, name) in explained.iter().filter(|(_, name)| !used.contains(name)) {
        problems.push(Problem::new(PAGE, *line, format!("remove {name}, which is not used")));
    }
    problems
}

/// Returns the crates of the table `workspace.dependencies`, except those of this workspace.
fn crates(manifest: &str) -> Vec<String> {
    let table = manifest.split("[workspace.dependencies]\n").nth(1).unwrap_or_default();
    let lines =
        table.lines().take_while(|line| !line.starts_with('[')).filter(|line| !line.contains("path ="));
    lines.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect()
}

/// Returns the npm packages that draw the dashboard.
fn packages(manifest: &str) -> Vec<String> {
    let manifest: serde_json::Value = serde_json::from_str(manifest).unwrap_or_default();
    manifest["dependencies"]
        .as_object()
        .map(|packages| packages.keys().cloned().collect())
        .unwrap_or_default()
}

/// Returns the names in the first column, with their lines.
fn explained(page: &str) -> Vec<(usize, String)> {
    let rows = page.lines().enumerate().filter_map(|(index, line)| {
        let cell = line.strip_prefix("| ")?.split(" |").next()?;
        Some((index + 1, cell))
    });
    let names = rows.flat_map(|(line, cell)| cell.split(", ").map(move |name| (line, name)));
    let names = names.map(|(line, name)| (line, name.split(' ').next().unwrap_or(name).to_owned()));
    names.filter(|(_, name)| name != "crate" && name != "package").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_superfluous_rows_are_reported() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let manifest: String = names.iter().map(|name| format!("{name} = \"1\"\n")).collect();
        let manifest =
            format!("[workspace.dependencies]\nours = {{ path = \"ours\" }}\n{manifest}[x]\nk = 1\n");
        let page = "| crate | why |\n|---|---|\n| a, b (=1) | x |\n| c, d, e, f, g, h, i, z | y |\n";
        let tree = Tree::from_files(&[(MANIFEST, &manifest), (PAGE, page)]);
        let expected =
            [Problem::new(PAGE, 0, "add a row for j"), Problem::new(PAGE, 4, "remove z, which is not used")];
        assert_eq!(check(&tree), expected);
    }
}

//! Checks that the runbook explains only texts that a program prints, and exactly the alerts of the
//! rules.

use std::collections::BTreeSet;

use super::pages::section;
use super::tree::{Problem, Tree};

const PAGE: &str = "docs/admin/runbook.md";

/// Checks that every quoted text occurs in the sources.
pub(super) fn check_texts(tree: &Tree) -> Vec<Problem> {
    let texts = source_text(tree);
    let quoted = quoted(section(tree.text(PAGE), "## What the journal says"));
    if quoted.len() < 40 {
        return vec![Problem::new(PAGE, 0, format!("quotes {} texts, not 40 or more", quoted.len()))];
    }
    let missing = quoted.into_iter().filter(|text| !texts.contains(text));
    missing.map(|text| Problem::new(PAGE, 0, format!("no program prints {text:?}"))).collect()
}

/// Returns the quoted texts in the first cells of the tables.
fn quoted(section: &str) -> Vec<&str> {
    let rows = section.lines().filter(|line| line.starts_with("| \""));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells.flat_map(|cell| cell.split('"').skip(1).step_by(2)).collect()
}

/// Returns the sources as one text, without the line breaks inside of literals.
fn source_text(tree: &Tree) -> String {
    let mut all = String::new();
    let sources = tree.below(&["crates", "cas-core", "cas-session", "cas-sync"]);
    for (_, text) in sources.filter(|(path, _)| path.ends_with(".rs")) {
        for line in text.lines().map(str::trim_start) {
            match line.strip_suffix('\\') {
                Some(continued) => all.push_str(continued),
                None => all.extend([line, "\n"]),
            }
        }
    }
    all
}

/// Checks that every alert has a row, and every row an alert.
pub(super) fn check_alerts(tree: &Tree) -> Vec<Problem> {
    let rules = tree.below(&["packaging/alerts"]).flat_map(|(_, text)| text.lines());
    let alerts: BTreeSet<&str> = rules.filter_map(|line| Some(line.split_once("- alert: ")?.1)).collect();
    let lines = section(tree.text(PAGE), "## Alert by alert").lines();
    let rows: BTreeSet<&str> = lines.filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let without_row = alerts.difference(&rows).map(|alert| format!("add a row for the alert {alert}"));
    let without_alert = rows.difference(&alerts).map(|alert| format!("remove {alert}, which no rule raises"));
    without_row.chain(without_alert).map(|text| Problem::new(PAGE, 0, text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_no_program_prints_is_reported() {
        let rows: String = (0..40).map(|number| format!("| \"text {number} x\" | do it |\n")).collect();
        let sources: String = (0..39).map(|number| format!("\"text {number} \\\n    x\"\n")).collect();
        let page = format!("# R\n\n## What the journal says\n\n{rows}");
        let tree = Tree::from_files(&[(PAGE, &page), ("cas-sync/src/main.rs", &sources)]);
        assert_eq!(check_texts(&tree), [Problem::new(PAGE, 0, "no program prints \"text 39 x\"")]);
        assert_eq!(check_texts(&Tree::default()), [Problem::new(PAGE, 0, "quotes 0 texts, not 40 or more")]);
    }

    #[test]
    fn alert_without_a_row_is_reported() {
        let page = "# R\n\n## Alert by alert\n\n| `A` | x |\n| `B` | y |\n\n## Next\n| `D` | z |\n";
        let rules = "  - alert: A\n  - alert: C\n";
        let tree = Tree::from_files(&[(PAGE, page), ("packaging/alerts/x.yaml", rules)]);
        let expected = ["add a row for the alert C", "remove B, which no rule raises"];
        assert_eq!(check_alerts(&tree), expected.map(|text| Problem::new(PAGE, 0, text)));
    }
}

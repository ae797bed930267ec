//! `docs/claude-code.md` names a test for every fact, and no test here shows a fact that it does not list.

use std::collections::BTreeSet;

const DOCUMENTATION: &str = include_str!("../../../docs/claude-code.md");
const MODULES: [(&str, &str); 4] = [
    ("answers", include_str!("answers.rs")),
    ("locks", include_str!("locks.rs")),
    ("login", include_str!("login.rs")),
    ("refresh", include_str!("refresh.rs")),
];

#[test]
fn the_documentation_names_exactly_the_tests_there_are() {
    let quoted = DOCUMENTATION.split('`').skip(1).step_by(2);
    let named: BTreeSet<String> = quoted.filter(|text| text.contains("::")).map(str::to_owned).collect();
    let mut there = BTreeSet::new();
    for (module, source) in MODULES {
        for test in source.split("#[test]\nfn ").skip(1) {
            let name = test.split('(').next().unwrap_or_default();
            there.insert(format!("{module}::{name}"));
        }
    }
    assert_eq!(named, there);
}

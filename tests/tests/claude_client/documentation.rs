//! `docs/design/claude-code.md` names a test for every fact, and every test of a fact is listed
//! there. (The tests of verifications and sign-ins cover more than facts about the client.)

use std::collections::BTreeSet;

const DOCUMENTATION: &str = include_str!("../../../docs/design/claude-code.md");
const VERIFICATION_AND_SIGN_IN: [(&str, &str); 11] = [
    ("client_state", include_str!("../sync_verification/client_state.rs")),
    ("valid", include_str!("../sync_verification/valid.rs")),
    ("full_disk", include_str!("../sync_verification/full_disk.rs")),
    ("pasted_setup_token", include_str!("../sync_verification/pasted_setup_token.rs")),
    ("leaks", include_str!("../sync_verification/leaks.rs")),
    ("interrupted", include_str!("../sync_verification/interrupted.rs")),
    ("refused", include_str!("../sync_login/refused.rs")),
    ("rejected", include_str!("../sync_verification/rejected.rs")),
    ("signed_in", include_str!("../sync_login/signed_in.rs")),
    ("inconclusive", include_str!("../sync_verification/inconclusive.rs")),
    ("unusable_client", include_str!("../sync_verification/unusable_client.rs")),
];
const MODULES: [(&str, &str); 8] = [
    ("answers", include_str!("answers.rs")),
    ("background", include_str!("background.rs")),
    ("locks", include_str!("locks.rs")),
    ("login", include_str!("login.rs")),
    ("refresh", include_str!("refresh.rs")),
    ("settings", include_str!("settings.rs")),
    ("sign_in", include_str!("sign_in.rs")),
    ("state_file", include_str!("state_file.rs")),
];

#[test]
fn documentation_names_exactly_the_existing_tests() {
    let quoted = DOCUMENTATION.split('`').skip(1).step_by(2);
    let named: BTreeSet<String> = quoted.filter(|text| text.contains("::")).map(str::to_owned).collect();
    let (facts, verdicts) = (test_names(&MODULES), test_names(&VERIFICATION_AND_SIGN_IN));
    assert_eq!(named.difference(&verdicts).cloned().collect::<BTreeSet<_>>(), facts);
}

fn test_names(modules: &[(&str, &str)]) -> BTreeSet<String> {
    let mut there = BTreeSet::new();
    for (module, source) in modules {
        for test in source.split("#[test]\nfn ").skip(1) {
            let name = test.split('(').next().unwrap_or_default();
            there.insert(format!("{module}::{name}"));
        }
    }
    there
}

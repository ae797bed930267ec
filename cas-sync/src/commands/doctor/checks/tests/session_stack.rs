//! The remedies for the session stack.

use super::*;

/// pam-auth-update --force would discard edits in the stack that decides who can log in.
#[test]
fn session_stack_edits_are_never_overwritten_by_a_remedy() {
    let without: Vec<String> = ["session required pam_unix.so"].map(String::from).into();
    let required: Vec<String> = ["session required pam_cas_session.so"].map(String::from).into();
    for (session, is_chosen, expected) in [
        (without.clone(), false, Some("pam-auth-update --enable claude-auth-sync")),
        (without, true, None),
        (required.clone(), true, None),
        (required, false, None),
    ] {
        let facts =
            MachineFacts { pam: Pam { has_module: true, session: Some(session), is_chosen }, ..machine() };
        let rows = diagnose(&machine_checks(), &facts);
        let findings = rows.into_iter().find_map(|row| match row.result {
            CheckResult::Problems(findings) if row.id.starts_with("pam-line") => Some(findings),
            _ => None,
        });
        let remedies: Vec<_> = findings.into_iter().flatten().map(|finding| finding.remedy).collect();
        let commands: Vec<_> = remedies
            .iter()
            .filter_map(|remedy| match remedy {
                Remedy::Text(_) => None,
                Remedy::Root(command) | Remedy::User(command) | Remedy::Vault(command) => {
                    Some(command.as_str())
                }
            })
            .collect();
        assert_eq!((remedies.len(), commands), (1, expected.into_iter().collect()), "{is_chosen}");
    }
}

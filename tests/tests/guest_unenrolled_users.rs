//! Root, system users and users who are not enrolled: nothing changes for them, and a login costs
//! one `lstat`.

use cas_tests::{
    claude_login::{cleared_login, new_login},
    guest::{Guest, Suite, VARIABLE, login_path},
};

#[test]
fn users_who_are_not_enrolled_are_not_affected() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_login("bob", &cleared_login(&new_login("lost")));
    guest.put_token("bob", "sk-ant-oat01-bob");
    let before = guest.file_identity(&login_path("bob"));

    assert_eq!(guest.variable_over_ssh("bob"), None);
    assert_eq!(guest.variable_over_ssh("root"), None);

    assert_eq!(guest.file_identity(&login_path("bob")), before);
    assert_eq!(guest.product_journal(), "");
    assert_eq!(guest.run("ls -A ~bob/.local ~root/.local ~root/.config 2>/dev/null").text(), "");
    let modules_lines = guest.run("journalctl --quiet --output=cat --grep=pam_cas_session").text();
    assert_eq!(modules_lines, "");
}

#[test]
fn login_without_enrollment_costs_one_lstat_and_no_process() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    for stranger in ["bob", "root", "daemon"] {
        let traced = traced_su(&guest, stranger);
        let looks: Vec<_> = traced.lines().filter(|line| line.contains("claude-auth-sync")).collect();
        let expected = usize::from(stranger != "root");
        assert_eq!(looks.len(), expected, "{stranger}: {looks:#?}");
        assert!(looks.iter().all(|look| look.contains("lstat") || look.contains("newfstatat")), "{looks:#?}");
        assert!(!traced.contains("cas-session"), "{stranger}: the program was started");
    }
    // The trace records both when they occur.
    let traced = traced_su(&guest, "alice");
    assert!(traced.contains("/var/lib/claude-auth-sync/enrolled/alice"), "{traced}");
    assert!(traced.contains("/usr/bin/cas-session"), "{traced}");
}

/// Returns the system calls on files and processes of `su` to this user, including those of its
/// children.
fn traced_su(guest: &Guest, user: &str) -> String {
    guest
        .run(&format!(
            "strace -f -e trace=%file,%process -o /tmp/traced su -s /bin/sh {user} -c true && cat /tmp/traced"
        ))
        .expect_success("tracing su")
        .text()
}

#[test]
fn marker_not_owned_by_root_is_ignored() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_token("bob", "sk-ant-oat01-bob");
    for forged in ["install -o bob -m 644 /dev/null $m", "ln -s alice $m", "mkdir $m", "mkfifo $m"] {
        guest
            .run(&format!("m=/var/lib/claude-auth-sync/enrolled/bob; rm -rf $m; {forged}"))
            .expect_success("forging a marker");
        assert_eq!(guest.variable_over_ssh("bob"), None, "{forged}");
    }
    let output = guest
        .run("journalctl --sync; journalctl --quiet --output=cat --grep='enrollment marker ignored'")
        .text();
    assert_eq!(output.lines().count(), 4, "one line a login: {output}");
}

#[test]
fn system_user_with_a_marker_is_not_served() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let refused = guest.run("cas-sync enroll daemon");
    assert!(!refused.succeeded(), "enrolling daemon: {}", refused.text());
    guest
        .run("install -m 644 /dev/null /var/lib/claude-auth-sync/enrolled/daemon")
        .expect_success("a marker by hand");
    let seen =
        guest.unit(&format!("su -s /bin/sh daemon -c 'echo ${{{VARIABLE}-unset}}'")).expect_success("su");
    assert_eq!(seen.text(), "\n", "su empties the variable, and nothing else happens");
}

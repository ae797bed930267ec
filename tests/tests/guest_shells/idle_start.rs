//! The cost for users without token and notice: no process.

use super::*;

/// Returns how many processes and programs a user's login shell starts. On a busy machine strace
/// writes a call that another process interrupts as two lines.
#[track_caller]
fn started(guest: &Guest, user: &str, shell: &str, environment: &str) -> usize {
    let seen = guest.run(&format!(
        "su - {user} -s /bin/sh -c 'cd; env {environment} strace -f -qq -o calls -e trace=execve,fork,vfork,clone,clone3 {shell} -l -c :' && grep -vc 'resumed>' /home/{user}/calls"
    ));
    seen.expect_success("counting").text().trim().parse().expect("a number")
}

#[test]
fn shell_without_token_or_notice_starts_no_process() {
    let guest = guest(Suite::Bookworm);
    let files = "/etc/profile.d/claude-auth-sync.sh /usr/share/claude-auth-sync/claude-auth-sync.zsh /usr/share/fish/vendor_conf.d/claude-auth-sync.fish";
    let set = format!("{VARIABLE}=sk-ant-oat01-of_the_module");
    let unset = format!("--unset={VARIABLE}");
    for (user, shell) in USERS {
        let with_token = started(&guest, user, shell, &unset);
        let with_variable = started(&guest, user, shell, &set);
        guest
            .run(&format!("rm /home/{user}/.config/claude-auth-sync/claude-oauth.env"))
            .expect_success("no token");
        let without_token = started(&guest, user, shell, &unset);
        guest.run(&format!("cas-sync unenroll {user}")).expect_success("unenrolling");
        guest.put_token(user, &token_of(user));
        let not_enrolled = started(&guest, user, shell, &unset);
        guest.run(&format!("for f in {files}; do mv $f $f.away; done")).expect_success("without the product");
        let without_us = started(&guest, user, shell, &unset);
        guest
            .run(&format!("for f in {files}; do mv $f.away $f; done"))
            .expect_success("with the product again");

        for (case, count) in [
            ("with the variable", with_variable),
            ("without a token", without_token),
            ("not enrolled", not_enrolled),
        ] {
            assert_eq!(count, without_us, "{shell}: {case}");
        }
        assert!(with_token > without_us, "{shell}: one that needs it does");
    }
}

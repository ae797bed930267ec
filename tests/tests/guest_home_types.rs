//! Homes, names and groups of every kind on a system.

use cas_tests::{
    claude_login::{cleared_login, new_login, parsed},
    guest::{Guest, Suite, VARIABLE},
};

/// Checks that a user with a cleared login has a valid one, and the setup token, in the first
/// command of the session.
#[track_caller]
fn is_managed(guest: &Guest, user: &str, home: &str) {
    let login = new_login(user);
    let owner = guest.run(&format!("id -un {user}; id -gn {user}")).text().trim_end().replace('\n', ":");
    let put = |text: &str| {
        guest
            .run_with_input(
                &format!("d='{home}/.claude'; install -d -m 700 \"$d\" && cat >\"$d/.credentials.json\" && chmod 600 \"$d/.credentials.json\" && chown -R {owner} \"$d\""),
                text.as_bytes(),
            )
            .expect_success("putting a login");
    };
    guest.enroll(user);
    put(&login);
    guest.sync(user).expect_success("the first backup");
    put(&cleared_login(&login));
    let seen = guest.ssh(user, "cat ~/.claude/.credentials.json").expect_success("ssh").text();
    assert_eq!(parsed(&seen), parsed(&login), "{user}");

    guest
        .run(&format!(
            "d='{home}/.config/claude-auth-sync'; install -d -m 700 '{home}/.config' \"$d\" && echo {VARIABLE}=sk-ant-oat01-of_{user} | tr . - >\"$d/claude-oauth.env\" && chmod 600 \"$d/claude-oauth.env\" && chown -R {owner} '{home}/.config'"
        ))
        .expect_success("putting a token");
    let token = format!("sk-ant-oat01-of_{}", user.replace('.', "-"));
    assert_eq!(guest.variable_over_ssh(user), Some(token), "{user}");
    assert_eq!(guest.accessible_to_others(user, home), "");
}

#[test]
fn unusual_names_homes_and_groups_are_synced() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest.run("install -d /srv/people/staff && groupadd staffers").expect_success("a place for homes");
    let users = [
        ("ada.lovelace", "/home/ada.lovelace", "staffers"),
        ("jean-luc", "/srv/people/staff/jean-luc", "users"),
        ("Grace", "/srv/people/Grace Hopper", "staffers"),
        ("_x9", "/home/_x9", "nogroup"),
    ];
    for (user, home, group) in users {
        guest
            .run(&format!(
                "useradd --badname --create-home --home-dir '{home}' --gid {group} --shell /bin/bash '{user}'"
            ))
            .expect_success("useradd");
        is_managed(&guest, user, home);
    }
}

#[test]
fn home_readable_only_by_a_supplementary_group_works() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    // The path to the home contains a directory that only members of a project may enter.
    guest
        .run("groupadd project && usermod -aG project bob && install -d -m 710 -g project /srv/project && usermod --move-home --home /srv/project/bob bob")
        .expect_success("a home in a project's folder");
    is_managed(&guest, "bob", "/srv/project/bob");
}

/// As on NFS with root_squash: root cannot read the home, its user can.
#[test]
fn home_readable_only_by_its_user_works() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest
        .run(
            "chmod 700 /home/alice && install -d /etc/systemd/system/ssh.service.d && \
             printf '[Service]\\nCapabilityBoundingSet=~CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH\\n' >/etc/systemd/system/ssh.service.d/squash.conf && \
             systemctl daemon-reload && systemctl restart ssh",
        )
        .expect_success("an sshd whose root has no file system privileges");
    let kept =
        guest.run("grep ^CapBnd: /proc/$(systemctl show --value --property=MainPID ssh)/status").text();
    let bounding = u64::from_str_radix(kept.trim_start_matches("CapBnd:").trim(), 16).expect("a bit mask");
    assert_eq!(bounding & 0b110, 0, "CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH are dropped: {kept}");
    is_managed(&guest, "alice", "/home/alice");
}

//! Why the units do not restrict a user to the own home by mounts: each of these cases would break.

use cas_tests::claude_login::{cleared_login, new_login, parsed};
use cas_tests::guest::{Guest, Suite};

use super::{drop_in, wait_until};

/// The directives that would hide all homes but one.
pub(crate) const BY_MOUNT: &str = "ProtectHome=tmpfs\nBindPaths=-/home/%i";

#[test]
fn home_mounted_later_is_invisible_to_a_mount_restriction() {
    for (by_mount, is_seen) in [(false, true), (true, false)] {
        let guest = host(&["claude-auth-watch@.service"], by_mount);
        guest.run("useradd --no-create-home dora").expect_success("useradd");
        guest.enroll("dora");
        guest
            .run("install -d -m 700 -o dora -g dora /home/dora /home/dora/.claude")
            .expect_success("the first session");
        let process = guest.run("systemctl show --property=MainPID --value claude-auth-watch@dora").text();
        let sees =
            guest.run(&format!("nsenter --target={} --mount -- ls -d /home/dora/.claude", process.trim()));
        assert_eq!(sees.succeeded(), is_seen);
        if is_seen {
            let state = "/home/dora/.local/state/claude-auth-sync";
            guest.put_login("dora", &new_login("seen"));
            wait_until("it watches", &guest, || guest.read(&format!("{state}/history.json")).is_some());
        }
    }
}

/// The login is on a shared file system below /home.
#[test]
fn mount_restriction_breaks_a_login_behind_a_symlink() {
    for (by_mount, is_mended) in [(false, true), (true, false)] {
        let guest = host(&["claude-auth-sync@.service"], by_mount);
        let login = new_login("kept");
        guest
            .run("install -d -o alice -g alice -m 700 /home/shared /home/shared/alice && ln -s /home/shared/alice /home/alice/.claude && chmod 755 /home/shared")
            .expect_success("a link");
        let put =
            |text: &str| guest.write("/home/shared/alice/.credentials.json", "alice", "600", text.as_bytes());
        put(&login);
        guest.run("cas-sync enroll --no-watch alice").expect_success("enrolling");
        for text in [login.clone(), cleared_login(&login)] {
            put(&text);
            guest.run("systemctl start claude-auth-sync@alice.service");
        }
        let file = String::from_utf8(guest.read("/home/shared/alice/.credentials.json").expect("there"))
            .expect("text");
        assert_eq!(parsed(&file) == parsed(&login), is_mended, "{}", guest.product_journal());
    }
}

/// Homebrew is installed in /home/linuxbrew for all users.
#[test]
fn mount_restriction_hides_a_client_in_another_home() {
    for (by_mount, is_found) in [(false, true), (true, false)] {
        let guest = host(&["claude-auth-sync@.service"], by_mount);
        let client = "/home/linuxbrew/.linuxbrew/bin/claude";
        guest
            .run(&format!("install -d /home/linuxbrew/.linuxbrew/bin && install -m 755 /bin/true {client}"))
            .expect_success("a client");
        guest.configure(&format!("[claude]\nprogram = \"{client}\"\n"));
        guest
            .run("rm /etc/claude-auth-sync/conf.d/90-no-claude.toml")
            .expect_success("enabling verification");
        guest.put_login("alice", &new_login("whole"));
        guest.run("cas-sync enroll --no-watch alice").expect_success("enrolling");
        guest.run("systemctl start claude-auth-sync@alice.service");
        let journal = guest.product_journal();
        assert_eq!(!journal.contains("is missing or not executable"), is_found, "{journal}");
    }
}

#[track_caller]
fn host(units: &[&str], by_mount: bool) -> Guest {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    if by_mount {
        units.iter().for_each(|unit| drop_in(&guest, unit, BY_MOUNT));
    }
    guest.resume();
    guest
}

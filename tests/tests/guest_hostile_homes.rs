//! Problems of a user's home: the login ends within the deadline, nothing of the user is lost, and
//! the journal names the problem once.

use std::time::Duration;

use cas_tests::{
    claude_login::{cleared_login, new_login, parsed},
    guest::{Guest, Suite, login_path},
};

/// The deadline of the module, plus the overhead of sshd on a loaded machine.
const LOGIN_LIMIT: Duration = Duration::from_millis(2000 + 1500);

/// Logs alice in, in time. Returns the number of attempts.
#[track_caller]
fn check_login(guest: &Guest, with: &str) -> usize {
    let (seen, logins) = guest.ssh_within(LOGIN_LIMIT, "alice", "echo in");
    assert_eq!(seen.text(), "in\n", "{with}");
    logins
}

/// Returns the lines of both programs about alice.
fn log_lines_about_alice(guest: &Guest) -> Vec<String> {
    let output = guest
        .run("journalctl --sync; journalctl --quiet --output=cat --no-pager --grep='user=alice '")
        .text();
    output.lines().map(str::to_owned).collect()
}

/// Logs alice in, and checks that the journal gets one line about her, a warning or a failure.
#[track_caller]
fn login_succeeds_with_one_log_line(guest: &Guest, with: &str) {
    let before = log_lines_about_alice(guest).len();
    let logins = check_login(guest, with);
    let output = log_lines_about_alice(guest).split_off(before);
    assert_eq!(output.len(), logins, "{with}: {output:#?}");
    assert!(!output.concat().contains("RECOVERED"), "{with}: {output:#?}");
}

#[test]
fn login_works_with_a_missing_home() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.run("rm -r /home/alice").expect_success("removing the home");
    login_succeeds_with_one_log_line(&guest, "no home");
    assert_eq!(guest.run("ls -A /home").text(), "bob\ncarol\n", "no program creates one");
}

#[test]
fn login_works_with_a_home_on_a_full_disk() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest
        .run("mount -t tmpfs -o size=1m,mode=700,uid=1000,gid=1000 tmpfs /home/alice")
        .expect_success("a small file system");
    let login = new_login("first");
    guest.back_up_and_clear("alice", &login);
    let broken = guest.read_login("alice");
    guest
        .run("dd if=/dev/zero of=/home/alice/full bs=4k status=none; sync; df /home/alice | grep 100%")
        .expect_success("filling it");

    login_succeeds_with_one_log_line(&guest, "a full disk");
    assert_eq!(guest.read_login("alice"), broken, "neither cleared nor truncated");
    assert_eq!(guest.run("ls -A /home/alice/.claude").text(), ".credentials.json\n");

    guest.run("rm /home/alice/full").expect_success("making room");
    check_login(&guest, "room again");
    assert_eq!(parsed(&guest.read_login("alice")), parsed(&login), "and the next login repairs it");
}

#[test]
fn login_works_with_a_read_only_home() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.back_up_and_clear("alice", &new_login("first"));
    let before = guest.file_identity(&login_path("alice"));
    guest
        .run("mount --bind /home/alice /home/alice && mount -o remount,bind,ro /home/alice")
        .expect_success("read-only");
    login_succeeds_with_one_log_line(&guest, "a read-only home");
    assert_eq!(guest.file_identity(&login_path("alice")), before);
}

#[test]
fn login_works_with_a_symlinked_home() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.run("mv /home/alice /srv/alice && ln -s /srv/alice /home/alice").expect_success("moving the home");
    let login = new_login("first");
    guest.back_up_and_clear("alice", &login);
    check_login(&guest, "a linked home");
    assert_eq!(parsed(&guest.read_login("alice")), parsed(&login));
    assert_eq!(guest.file_status("/home/alice"), "777 root:root symbolic link");
}

#[test]
fn symlinked_login_file_stays_a_symlink() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = new_login("first");
    guest.back_up_and_clear("alice", &login);
    let broken = guest.read_login("alice");
    guest
        .run("cd /home/alice && mkdir dotfiles && mv .claude/.credentials.json dotfiles/ && ln -s ../dotfiles/.credentials.json .claude/ && chown -hR alice:alice dotfiles .claude")
        .expect_success("linking the file");
    check_login(&guest, "a linked login file");
    assert_eq!(guest.file_status(&login_path("alice")), "777 alice:alice symbolic link");
    let target = parsed(&guest.read_login("alice"));
    assert!(target == parsed(&login) || target == parsed(&broken), "valid or unchanged: {target}");
}

#[test]
fn symlinks_to_foreign_files_are_not_followed() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    let bobs = cleared_login(&new_login("bobs"));
    guest.put_login("bob", &bobs);
    guest.put_token("bob", "sk-ant-oat01-bob");
    guest.back_up_and_clear("alice", &new_login("first"));
    guest
        .run(
            "cd /home/alice && chmod 755 /home/bob /home/bob/.claude /home/bob/.config /home/bob/.config/claude-auth-sync \
             && ln -sf /home/bob/.claude/.credentials.json .claude/.credentials.json \
             && mkdir -p .config/claude-auth-sync \
             && ln -sf /home/bob/.config/claude-auth-sync/claude-oauth.env .config/claude-auth-sync/ \
             && chown -hR alice:alice .claude .config && cd /home/bob \
             && chmod 644 .claude/.credentials.json .config/claude-auth-sync/claude-oauth.env",
        )
        .expect_success("links to bob's files, which bob has made readable");
    let before = guest.file_identity(&login_path("bob"));
    check_login(&guest, "links to bob's files");
    assert_eq!(guest.variable_over_ssh("alice"), None, "bob's token is bob's");
    assert_eq!(guest.file_identity(&login_path("bob")), before);
    assert_eq!(guest.read_login("bob"), bobs);
}

#[test]
fn login_works_with_special_files_in_place_of_files() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let state = "/home/alice/.local/state/claude-auth-sync";
    let paths = [
        "/home/alice/.claude/.credentials.json".to_owned(),
        "/home/alice/.config/claude-auth-sync/claude-oauth.env".to_owned(),
        format!("{state}/history.json"),
        format!("{state}/ledger.json"),
        format!("{state}/store-contact.json"),
        format!("{state}/sync.log"),
        format!("{state}/lock"),
    ];
    for obstacle in ["mkfifo $p", "mkdir $p", "truncate -s 4G $p", "ln -s /dev/zero $p", "ln -s $p $p"] {
        for path in &paths {
            guest.back_up_and_clear("alice", &new_login("first"));
            guest
                .run(&format!("p={path}; install -d -o alice -g alice $(dirname $p); rm -f $p; {obstacle}; chown -h alice:alice $p"))
                .expect_success("an obstacle");
            let with = format!("{obstacle} at {path}");
            let (before, lines) = (file_type(&guest, path), log_lines_about_alice(&guest).len());
            let logins = check_login(&guest, &with);
            assert_eq!(file_type(&guest, path), before, "{with}: the type of the file does not change");
            let output = log_lines_about_alice(&guest).split_off(lines);
            assert!((1..=logins).contains(&output.len()), "{with}: {output:#?}");
            if *path != login_path("alice") {
                parsed(&guest.read_login("alice")); // restored or unchanged, never truncated
            }
            guest.run(&format!("rm -rf '{path}' {state} /home/alice/.claude")).expect_success("clearing up");
        }
    }
}

/// Returns the owner and the type; the mode may become stricter.
fn file_type(guest: &Guest, path: &str) -> String {
    let status = guest.file_status(path);
    status.split_once(' ').map_or_else(String::new, |(_mode, rest)| rest.to_owned())
}

#[test]
fn login_works_with_directories_of_another_user() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.back_up_and_clear("alice", &new_login("first"));
    guest
        .run("chown -R root:root /home/alice/.claude && chmod 700 /home/alice/.claude")
        .expect_success("chown");
    let before = guest.file_identity(&login_path("alice"));
    login_succeeds_with_one_log_line(&guest, "a .claude of root's");
    assert_eq!(guest.file_identity(&login_path("alice")), before);
}

#[test]
fn env_file_writable_by_others_is_not_used() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_token("alice", "sk-ant-oat01-alice");
    for spoiled in ["chmod 666 $e", "chmod 600 $e; chown bob:bob $e; chmod 644 $e"] {
        guest
            .run(&format!("e=/home/alice/.config/claude-auth-sync/claude-oauth.env; {spoiled}"))
            .expect_success("spoiling the env file");
        assert_eq!(guest.variable_over_ssh("alice"), None, "{spoiled}");
    }
}

//! A local user who attempts to get another user's credential, or to disturb the machine. Every
//! obstruction is tested at a login and in a sync.

use std::time::Duration;

use cas_tests::{
    claude_login::{cleared_login, new_login},
    guest::{CommandResult, Guest, Suite, VARIABLE, env_file_path},
};

const STATE: &str = ".local/state/claude-auth-sync";
const CONFIG: &str = ".config/claude-auth-sync";

/// The overhead of sshd on a loaded machine, and of a program of the product that does not wait.
const IMMEDIATE_LIMIT: Duration = Duration::from_millis(1500);

/// The deadline of the module.
const DEADLINE: Duration = Duration::from_secs(2);

/// Logs alice in by su, with the launcher as her first command.
fn run_su_and_launcher(guest: &Guest) -> CommandResult {
    guest.run("su alice -c 'cd && cas-session exec -- true'")
}

/// Returns a guest in which the credentials of bob are in files that he has made readable.
#[track_caller]
fn guest_with_writable_directory() -> (Guest, String) {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    guest.back_up_and_clear("bob", &new_login("bobs"));
    guest.put_login("bob", &new_login("bobs"));
    guest.put_token("bob", "sk-ant-oat01-bobs");
    guest
        .run(&format!("cd /home/bob && chmod -R a+rX . && ls -l {STATE}/history.json {CONFIG}/claude-oauth.env .claude/.credentials.json"))
        .expect_success("bob is careless");
    let bobs = files_with_metadata(&guest, "/home/bob");
    (guest, bobs)
}

/// Names, owners, modes and contents below a home.
fn files_with_metadata(guest: &Guest, home: &str) -> String {
    guest
        .run(&format!("cd {home} && find . -printf '%p %M %u:%g %i %s\\n' | sort; find . -type f -exec sha256sum {{}} + | sort -k2"))
        .expect_success("looking at a home")
        .text()
}

/// Asserts that no file of alice contains a credential of bob.
#[track_caller]
fn assert_no_token_of_bob(guest: &Guest, with: &str) {
    assert_eq!(guest.variable_over_ssh("alice"), None, "{with}");
    let found = guest.run("grep -rslE 'bobs' /home/alice --exclude-dir=bait -D skip").text();
    assert_eq!(found, "", "{with}");
    let journal =
        guest.run("journalctl --sync; journalctl --quiet --output=cat -t claude-auth-sync -t sshd").text();
    assert!(!journal.contains("of-bobs") && !journal.contains("oat01-bobs"), "{with}: {journal}");
}

#[test]
fn symlinks_to_files_of_another_user_have_no_effect() {
    let (guest, bobs) = guest_with_writable_directory();
    let paths = [
        ".claude",
        ".claude/.credentials.json",
        ".config",
        CONFIG,
        &format!("{CONFIG}/claude-oauth.env"),
        ".local",
        ".local/state",
        STATE,
        &format!("{STATE}/history.json"),
        &format!("{STATE}/ledger.json"),
        &format!("{STATE}/repair.lock"),
        &format!("{STATE}/state.lock"),
        &format!("{STATE}/lock"),
        &format!("{STATE}/sync.log"),
        &format!("{STATE}/replaced-credentials.json"),
    ];
    for path in paths {
        for target in [format!("/home/bob/{path}"), "/etc/shadow".to_owned()] {
            guest.run("cd /home/alice && rm -rf .claude .config .local").expect_success("afresh");
            guest.back_up_and_clear("alice", &new_login("alices"));
            let with = format!("{path} -> {target}");
            guest
                .run(&format!("cd /home/alice && rm -rf {path} && install -d -o alice -g alice -m 700 .config .local && mkdir -p $(dirname {path}) && ln -s {target} {path} && chown -h alice:alice {path}"))
                .expect_success(&with);
            CommandResult::run_within(DEADLINE + IMMEDIATE_LIMIT, &with, || run_su_and_launcher(&guest));
            CommandResult::run_within(IMMEDIATE_LIMIT, &with, || guest.sync("alice"));
            assert_no_token_of_bob(&guest, &with);
            assert_eq!(files_with_metadata(&guest, "/home/bob"), bobs, "{with}");
        }
    }
}

#[test]
fn symlink_race_does_not_leak_a_login_of_another_user() {
    let (guest, bobs) = guest_with_writable_directory();
    guest.back_up_and_clear("alice", &new_login("alices"));
    guest
        .run(&format!("install -d -o alice -g alice -m 700 /home/alice/.config /home/alice/{CONFIG}"))
        .expect_success("a folder");
    // Two processes of alice change the file as fast as they can.
    let swap = format!(
        "cd /home/alice; while :; do
           ln -sfn /home/bob/.claude/.credentials.json bait.1; mv -fT bait.1 .claude/.credentials.json;
           echo '{{}}' >bait.2; mv -fT bait.2 .claude/.credentials.json;
           ln -sfn /home/bob/{CONFIG}/claude-oauth.env bait.3; mv -fT bait.3 {CONFIG}/claude-oauth.env; rm -f {CONFIG}/claude-oauth.env;
         done"
    );
    let swap_folders = format!(
        "cd /home/alice; while :; do
           ln -sfn /home/bob/{STATE} bait.4; mv -T {STATE} kept; mv -T bait.4 {STATE}; rm -f {STATE}; mv -T kept {STATE};
         done"
    );
    for (name, script) in [("swap", &swap), ("swap-folders", &swap_folders)] {
        guest.run_with_input(&format!("cat >/tmp/{name}.sh"), script.as_bytes()).expect_success("a script");
        guest
            .run(&format!("systemd-run --quiet --collect --unit={name} --uid=alice sh /tmp/{name}.sh"))
            .expect_success("a race");
    }
    for round in 0..25 {
        CommandResult::run_within(DEADLINE + IMMEDIATE_LIMIT, &format!("round {round}"), || {
            guest.ssh("alice", &format!("! printenv {VARIABLE}"))
        })
        .expect_success("a login without bob's token");
        CommandResult::run_within(DEADLINE + IMMEDIATE_LIMIT, &format!("round {round}"), || {
            guest.sync("alice")
        });
    }
    guest
        .run("systemctl is-active swap swap-folders && systemctl stop swap swap-folders")
        .expect_success("it raced to the end");
    guest
        .run(&format!("cd /home/alice; find . -type l -delete; rm -f bait.*; cat {STATE}/*.json kept/*.json .claude/.credentials.json 2>/dev/null | grep -c bobs | grep -qx 0"))
        .expect_success("nothing of bob's was copied");
    assert_no_token_of_bob(&guest, "after the race");
    assert_eq!(files_with_metadata(&guest, "/home/bob"), bobs);
}

#[test]
fn files_in_a_writable_directory_of_a_user_are_rejected() {
    let guest = Guest::with_product(Suite::Bookworm, &["bob"]);
    let login = new_login("bobs");
    guest.back_up_and_clear("bob", &login);
    guest.run(&format!("cd /home/bob && install -d -o bob -g bob -m 700 .config {CONFIG} && cp -r {STATE} /tmp/kept && chmod 755 /home/bob .local .local/state .config .claude && chmod 777 {STATE} {CONFIG} .claude")).expect_success("bob is careless");
    let history = guest.read(&format!("/home/bob/{STATE}/history.json")).expect("a history");
    let planted = String::from_utf8(history).expect("text").replace("of-bobs", "of-evil");
    let rows = [
        (format!("{STATE}/history.json"), planted.as_str()),
        (format!("{STATE}/ledger.json"), "{}"),
        (format!("{STATE}/store-contact.json"), "{}"),
        (format!("{STATE}/replaced-credentials.json"), "evil"),
        (format!("{CONFIG}/claude-oauth.env"), "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-evil\n"),
        (".claude/.credentials.json".to_owned(), planted.as_str()),
    ];
    for (path, text) in rows {
        guest
            .run_with_input(
                &format!("cd /home/bob && cat >/tmp/planted && chmod 644 /tmp/planted && runuser -u alice -- sh -c 'rm -f {path}; cp /tmp/planted {path}; chmod 666 {path}' && stat -c %U {path} | grep -qx alice"),
                text.as_bytes(),
            )
            .expect_success(&path);
        assert_eq!(guest.variable_over_ssh("bob"), None, "{path}");
        CommandResult::run_within(IMMEDIATE_LIMIT, &path, || guest.sync("bob"));
        let believed = guest.run("cd /home/bob; find . -user bob -type f -exec grep -l evil {} +").text();
        assert_eq!(believed, "", "{path}");
        guest.run(&format!("cd /home/bob && rm -rf {path} {STATE} && cp -r /tmp/kept {STATE} && chown -R bob:bob {STATE} && chmod 777 {STATE}")).expect_success("clearing up");
        guest.put_login("bob", &cleared_login(&login));
        guest.run("chmod 777 /home/bob/.claude").expect_success("still careless");
    }
    // Links for bob's programs to write through.
    for path in [
        "sync.log",
        "lock",
        "repair.lock",
        "state.lock",
        "ledger.json",
        "history.json",
        "replaced-credentials.json",
    ] {
        guest
            .run(&format!("cd /home/bob && echo mine >.profile2 && chown bob .profile2 && runuser -u alice -- sh -c 'cd {STATE} && rm -f {path} && ln -s /home/bob/.profile2 {path}'"))
            .expect_success(path);
        CommandResult::run_within(IMMEDIATE_LIMIT, path, || guest.sync("bob"));
        CommandResult::run_within(DEADLINE + IMMEDIATE_LIMIT, path, || guest.ssh("bob", "true"));
        assert_eq!(guest.read("/home/bob/.profile2").as_deref(), Some(&b"mine\n"[..]), "{path}");
        guest.run(&format!("rm /home/bob/{STATE}/{path}")).expect_success("clearing up");
    }
}

#[test]
fn files_of_root_below_run_and_var_are_protected() {
    let (guest, _bobs) = guest_with_writable_directory();
    guest.resume();
    guest.put_login("alice", &new_login("alices"));
    for attempt in [
        "touch /run/claude-auth-requests/eve",
        "rm /run/claude-auth-requests/$(id -u alice)",
        "mv /run/claude-auth-requests/$(id -u alice) /run/claude-auth-requests/1",
        "touch /var/lib/claude-auth-sync/enrolled/carol",
        "mkdir /var/lib/claude-auth-sync/published/alice",
        "touch /var/lib/claude-auth-sync/published/bob",
    ] {
        assert!(!guest.run(&format!("runuser -u alice -- {attempt}")).succeeded(), "{attempt}");
    }
    let writable = "find /run/claude-auth-requests /var/lib/claude-auth-sync ! -type p \\( ! -user root -o -perm /022 \\)";
    assert_eq!(guest.run(writable).text(), "");
    for user in ["alice", "bob"] {
        guest.run(&format!("cas-sync unenroll {user}")).expect_success("unenrolling");
        assert!(guest.read(&format!("/var/lib/claude-auth-sync/enrolled/{user}")).is_none());
    }
    assert!(guest.read(&env_file_path("bob")).is_some());
}

//! Programs that use ssh receive the same bytes with and without the product.

use cas_tests::{
    claude_login::{cleared_login, new_login, parsed},
    guest::{CommandResult, Guest, Suite, env_file_path},
};

/// The files of the product that login shells read.
const SHELL_FILES: &str = "/etc/profile.d/claude-auth-sync.sh /usr/share/claude-auth-sync/claude-auth-sync.zsh \
    /usr/share/fish/vendor_conf.d/claude-auth-sync.fish";

#[test]
fn remote_commands_have_identical_output_with_the_module() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let login = new_login("first");
    guest.back_up_and_clear("alice", &login);
    guest.put_token("alice", "sk-ant-oat01-alice");
    prepare(&guest);

    guest.disable_module();
    guest
        .run(&format!("for file in {SHELL_FILES}; do mv $file $file.away; done"))
        .expect_success("no shell files");
    let without = all_outputs(&guest);
    guest
        .run(&format!("for file in {SHELL_FILES}; do mv $file.away $file; done"))
        .expect_success("shell files again");
    let by_shell_files = all_outputs(&guest);
    guest.run("pam-auth-update --package --enable claude-auth-sync").expect_success("enabling again");
    assert_eq!(
        guest.variable_over_ssh("alice").as_deref(),
        Some("sk-ant-oat01-alice"),
        "the module is enabled"
    );

    let with_token = all_outputs(&guest);
    guest.run(&format!("rm {}", env_file_path("alice"))).expect_success("removing the token");
    guest.put_login("alice", &cleared_login(&login));
    let repairing = all_outputs(&guest);
    assert_eq!(parsed(&guest.read_login("alice")), parsed(&login), "it was repaired meanwhile");
    guest.run("rm -rf ~alice/.local").expect_success("nothing left to repair from");
    guest.put_login("alice", &cleared_login(&login));
    let warning = all_outputs(&guest);
    let notice = guest.read("/home/alice/.local/state/claude-auth-sync/notice").expect("a notice");
    assert!(notice.starts_with(b"Claude Code: your login is lost"), "{}", notice.escape_ascii());

    for (when, seen) in [
        ("with a token that no login brought", by_shell_files),
        ("with a token", with_token),
        ("repairing", repairing),
        ("nothing to put back, and a notice", warning),
    ] {
        for (with, without) in seen.iter().zip(&without) {
            assert_eq!(with, without, "{when}");
        }
    }
}

#[test]
fn other_shells_have_identical_output_with_the_module() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.put_token("alice", "sk-ant-oat01-alice");
    guest.put_login("alice", &cleared_login(&new_login("lost")));
    guest
        .run("echo 'source /usr/share/claude-auth-sync/claude-auth-sync.zsh' >>/etc/zsh/zprofile; echo >~alice/.zshrc")
        .expect_success("the admin's line");
    prepare(&guest);
    for shell in ["/usr/bin/zsh", "/usr/bin/fish", "/bin/dash"] {
        guest.run(&format!("usermod --shell {shell} alice")).expect_success(shell);
        guest.run("install -D -o alice -m 600 /dev/stdin ~alice/.local/state/claude-auth-sync/notice <<END\nlook\nEND")
            .expect_success("a notice");
        guest.disable_module();
        let with = all_outputs(&guest);
        guest
            .run(&format!("for file in {SHELL_FILES}; do mv $file $file.away && touch $file; done"))
            .expect_success("no shell files");
        let without = all_outputs(&guest);
        guest
            .run(&format!("for file in {SHELL_FILES}; do mv $file.away $file; done"))
            .expect_success("again");
        guest.enable_module();
        for ((with, without), with_module) in with.iter().zip(&without).zip(&all_outputs(&guest)) {
            assert_eq!(with, without, "{shell}");
            assert_eq!(with_module, without, "{shell}, with the module");
        }
    }
}

fn prepare(guest: &Guest) {
    guest
        .run(
            "cd /home/alice && head -c 300000 /dev/urandom >data && touch -d @0 data && mkdir -p tree/deep \
             && cp -p data tree/deep/ && touch -d @0 tree tree/deep && git init -q --bare repository.git \
             && chown -R alice:alice . && cd /tmp && git init -q seed && cd seed && echo one >file && git add file \
             && git -c user.name=a -c user.email=a@example.org commit -qm one \
             && git push -q alice@127.0.0.1:repository.git HEAD:main",
        )
        .expect_success("files for the copy");
}

/// Runs every program once. Returns its name, exit code, output, errors, and a digest of the
/// transferred files.
fn all_outputs(guest: &Guest) -> Vec<String> {
    guest.run("rm -rf /tmp/out && mkdir /tmp/out").expect_success("an empty folder");
    let inside = [
        "scp alice@127.0.0.1:data /tmp/out/scp",
        "scp -O alice@127.0.0.1:data /tmp/out/scp-old",
        "scp /tmp/out/scp alice@127.0.0.1:scp-back",
        "rsync --archive --itemize-changes alice@127.0.0.1:tree /tmp/out/",
        "rsync --archive --itemize-changes --delete /tmp/out/tree alice@127.0.0.1:tree-back; ssh alice@127.0.0.1 rm -r tree-back",
        "git clone --branch main alice@127.0.0.1:repository.git /tmp/out/clone && git -C /tmp/out/clone rev-parse HEAD",
        "git ls-remote alice@127.0.0.1:repository.git",
        "ssh alice@127.0.0.1 true",
        "ssh alice@127.0.0.1 'cat data; echo errors >&2; exit 7'",
        "ssh alice@127.0.0.1 'cat' </tmp/out/scp",
        "ssh alice@127.0.0.1 </dev/null",
        "ssh -n alice@127.0.0.1 bash -l -c 'echo login shell'",
        "printf 'pwd\\nls\\nget data /tmp/out/sftp\\nput /tmp/out/scp from-sftp\\nrm from-sftp\\n' | sftp -b - alice@127.0.0.1",
        "find /tmp/out -type f -not -path '*/.git/*' -exec sha256sum {} + | sort",
    ];
    inside.iter().map(|program| format!("{program}\n{}", shown(&guest.run(program)))).collect()
}

fn shown(finished: &CommandResult) -> String {
    format!(
        "exit {:?}\noutput {} bytes: {}\nerrors: {}",
        finished.code,
        finished.stdout.len(),
        finished.stdout.escape_ascii(),
        finished.stderr.escape_ascii()
    )
}

//! No secret is visible outside of its allowed places. Recognizable secrets are planted everywhere,
//! the programs run through all situations, and everything they show is searched: the arguments and
//! environments of all processes, their output, the journal, every file, and what is left at the
//! end.
//!
//! Allowed are: the credential file, the env file and the Vault token, which belong to other
//! programs; `history.json`, `replaced-credentials.json` and `damaged-credentials.json` in the
//! state directory; the one reply line of `cas-session login` on the module's pipe; and the
//! variable `CLAUDE_CODE_OAUTH_TOKEN` of the program that `cas-session exec` runs.

mod canaries;
mod damaged_files;
mod dumps;
mod observed_user;
mod real;
mod server_texts;

use cas_tests::test_user::{STATE, TestUser};

use crate::canaries::Secret;
use crate::observed_user::ObservedUser;

/// The search itself: a secret that leaks in any of the observed ways is found.
#[test]
fn leak_is_found_in_every_place() {
    for (script, where_it_is) in [
        ("/bin/echo $SECRET >/dev/null", "argv and environment"),
        ("VARIABLE=$SECRET /bin/true", "argv and environment"),
        ("echo $SECRET", "standard output"),
        ("echo $SECRET >&2", "standard error"),
        ("umask 077; echo $SECRET >~/.local/state/claude-auth-sync/sync.log", "sync.log"),
        ("umask 077; echo $SECRET >/tmp/scratch", "scratch"),
        ("echo $SECRET | base64 >~/.claude.json", ".claude.json"),
        ("umask 022; echo $SECRET >~/.local/state/claude-auth-sync/history.json", "history.json"),
        (
            "echo $SECRET | python3 -c 'import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(input().encode(), \"/dev/log\")'",
            "the journal",
        ),
    ] {
        let mut observed = ObservedUser::new(TestUser::create);
        observed.test_user.put("secret", "");
        let secret = observed.canaries.text(Secret::Login).to_owned();
        std::fs::write(observed.test_user.folder().join("etc/secret"), secret).expect("written");
        observed.shell(&format!("SECRET=$(cat /etc/secret); cd; {script}"));
        let leaks = observed.leaks();
        assert!(leaks.iter().any(|leak| leak.contains(where_it_is)), "{script}: {leaks:?}");
    }
    let mut observed = ObservedUser::new(TestUser::create);
    observed.shell(&format!("umask 077; touch ~/{STATE}/history.json; logger --version"));
    assert_eq!(observed.leaks(), Vec::<String>::new(), "and nothing else is");
}

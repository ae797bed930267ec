//! Printed commands are parsed as intended by every shell.

use cas_tests::claude_login::parsed;

use super::*;

/// Names with special meanings in some shells.
const NAMES: [&str; 24] = [
    "it's", r"a\b", r"a\'b", r"a\\'b", r"a\\", r"\n", "$HOME", "$(id)", "(id)", "`id`", "*?[x]", "{a,b}",
    "~", "!x", "#x", "%self", "^x", "=ls", "\"", "a b", " a ", "é€", "&|;<>", r"'\''",
];

#[test]
fn doctor_remedy_quotes_its_arguments_for_every_shell() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    let in_sh = |word: &str| format!("'{}'", word.replace('\'', r"'\''"));
    for name in NAMES {
        // Doctor prints a command that moves an invalid login file away.
        let folder = format!("/home/alice/odd/{name}");
        let path = in_sh(&format!("{folder}/login"));
        let as_alice = "exec runuser -u alice -- env -i HOME=/home/alice PATH=/usr/bin:/bin LANG=C.UTF-8";
        guest.run(&format!("{as_alice} mkdir -p {}", in_sh(&folder))).expect_success("a folder");
        guest.run(&format!("{as_alice} mkfifo -m 600 {path}")).expect_success("something odd");
        let output = guest.run(&format!("{as_alice} CLAUDE_CREDENTIALS_FILE={path} cas-sync doctor --json"));
        let findings = parsed(&output.text())["inspections"][0]["findings"].take();
        let found = findings.as_array().expect("findings").iter().find(|it| it["id"] == "login-unreadable");
        let command =
            found.and_then(|it| it["command"].as_str()).unwrap_or_else(|| panic!("{name}: {findings}"));
        assert!(command.starts_with("mv "), "{command}");
        guest.write("/tmp/pasted", "alice", "644", format!("{command}\n").as_bytes());
        for shell in ["dash", "bash", "zsh", "fish"] {
            let pasted = format!(
                "runuser -u alice -- {shell} /tmp/pasted && test -p {path}.aside && ! test -e {path} && mv -T {path}.aside {path}"
            );
            let done = guest.run(&pasted);
            assert!(done.succeeded(), "{shell}: {command}: {done:?}");
        }
        assert_eq!(
            guest.run("ls /home/alice/odd | wc -l").text().trim(),
            "1",
            "{name}: and nothing else is made"
        );
        guest.run("rm -rf /home/alice/odd").expect_success("the next");
    }
}

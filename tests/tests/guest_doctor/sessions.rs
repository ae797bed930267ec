//! Which processes hold an old token: a service, a shell, a program of a hostile name, while the
//! store's token changes.

use cas_tests::claude_login::parsed;
use cas_tests::guest::{Suite, VaultGuest};
use serde_json::{Value, json};

use super::row::{Who, case, diagnosis, finding, run_as};

const OLD: &str = "sk-ant-oat01-the_one_of_last_year";
const RESTART: &str = "sudo systemctl restart t3-serve.service";
const NEW: &str = "sk-ant-oat01-the_one_of_this_year";

/// A service with the env file, as the packaged example has it; two programs that inherited the
/// token; a tmux-like name.
const PROCESSES: &str = r#"
printf '[Service]\nUser=alice\nEnvironmentFile=-/home/alice/.config/claude-auth-sync/claude-oauth.env\nExecStart=/bin/sleep 1000\n' >/etc/systemd/system/t3-serve.service
systemctl daemon-reload
systemctl start t3-serve.service
cp /bin/sleep /usr/local/bin/claude
cp /bin/sleep "$(printf '/usr/local/bin/ev\033[31mil')"
token=$(cut -d= -f2 /home/alice/.config/claude-auth-sync/claude-oauth.env)
start() { setsid runuser -u alice -- env CLAUDE_CODE_OAUTH_TOKEN="$token" "$@" </dev/null >/dev/null 2>&1 & }
start /usr/local/bin/claude 1000
start "$(printf '/usr/local/bin/ev\033[31mil')" 1000
token=sk-ant-oat01-her_own start sleep 1001
setsid runuser -u alice -- env -u CLAUDE_CODE_OAUTH_TOKEN /usr/local/bin/claude 1002 </dev/null >/dev/null 2>&1 &
token=sk-ant-oat01-the_one_of_last_year
setsid runuser -u bob -- env CLAUDE_CODE_OAUTH_TOKEN="$token" sleep 1003 </dev/null >/dev/null 2>&1 &
sleep 0.5
"#;

fn sessions(host: &VaultGuest, who: Who, arguments: &str) -> (Option<i32>, Value) {
    let output = run_as(&host.guest, who, &format!("cas-sync sessions --json {arguments}"));
    let text = output.text();
    assert!(!text.contains("sk-ant"), "a token is never shown: {text}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (output.code, parsed(&text))
}

/// Returns the number of processes of alice by the token that they hold.
fn sessions_with(report: &Value, holds: &str) -> Vec<String> {
    let sessions = report["users"][0]["sessions"].as_array().expect("sessions");
    let names = sessions
        .iter()
        .filter(|found| found["holds"] == holds)
        .map(|found| found["name"].as_str().expect("a name").to_owned());
    // Their parent passes no token on, but runuser waits with the environment that it was given.
    names.filter(|name| name != "runuser").collect()
}

#[test]
fn process_with_an_old_token_is_named_with_its_restart() {
    let host = VaultGuest::start(Suite::Bookworm, "15min");
    let alice = host.enroll("alice");
    alice.put_document(&json!({ "setup_token": OLD }));
    host.guest.sync("alice").expect_success("taking the token over");
    host.guest.run(PROCESSES).expect_success("processes");
    let (code, report) = sessions(&host, Who::Alice, "");
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["schema"], 1);
    let current = sessions_with(&report, "current");
    assert!(current.contains(&"claude".to_owned()) && current.len() == 3, "{report}");
    assert_eq!(
        (sessions_with(&report, "other"), sessions_with(&report, "login")),
        (vec!["sleep".to_owned()], vec!["claude".to_owned()]),
        "{report}"
    );

    // The token is exchanged: what was started before has the old one until it is started again.
    let exchanged = || {
        alice.put_document(&json!({ "setup_token": NEW }));
        host.guest.sync("alice").expect_success("taking the new token over");
    };
    exchanged();
    let (code, report) = sessions(&host, Who::Alice, "");
    assert_eq!(code, Some(1));
    let mut replaced = sessions_with(&report, "replaced");
    replaced.sort();
    assert_eq!(replaced, ["claude", "ev?[31mil", "sleep"], "{report}");
    let users = run_as(&host.guest, Who::Alice, "cas-sync sessions").text();
    assert!(users.contains(RESTART), "{users}");
    assert!(!users.contains('\u{1b}') && !users.contains("sk-ant"), "{users}");

    // Root sees the same of alice, and no users who are not enrolled. Alice sees only her own
    // sessions.
    let (code, root_report) = sessions(&host, Who::Root, "");
    assert_eq!((code, root_report["users"].as_array().map(Vec::len)), (Some(1), Some(1)), "{root_report}");
    assert_eq!(sessions_with(&root_report, "replaced").len(), 3, "{root_report}");
    assert_eq!(run_as(&host.guest, Who::Alice, "cas-sync sessions bob").code, Some(1));

    // After the printed commands no process has the old token, and doctor agrees.
    host.guest.run("pkill -u alice -x claude; pkill -u alice ev; true").expect_success("ending them");
    let report = diagnosis(&host.guest, Who::Alice);
    let found = finding(&report, "old-session").expect("it is found");
    // No command is printed for a unit of the machine, because it may contain other users'
    // sessions.
    assert!(
        found["command"].is_null() && found["remedy"].as_str().is_some_and(|what| what.contains(RESTART))
    );
    let restarted = || host.guest.run(&RESTART.replace("sudo ", ""));
    restarted().expect_success("the printed text");
    assert!(finding(&diagnosis(&host.guest, Who::Alice), "old-session").is_none());
    let (code, report) = sessions(&host, Who::Alice, "");
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(
        sessions_with(&report, "current"),
        ["sleep"],
        "the service was started again with the new one: {report}"
    );

    // Withdrawn: a service that is restarted has none.
    let withdrawn = || {
        alice.put_document(&json!({ "setup_token": "" }));
        host.guest.sync("alice").expect_success("taking it away");
    };
    case(&host.guest, "old-session", Who::Alice, withdrawn, |_, _| Ok(restarted()))
        .unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn sessions_handles_hidden_and_thousands_of_processes() {
    let host = VaultGuest::start(Suite::Bookworm, "15min");
    host.enroll("alice");
    host.guest.run("mount -o remount,hidepid=2 /proc").expect_success("hiding processes");
    host.guest
        .run("runuser -u alice -- sh -c 'for i in $(seq 1500); do sleep 300 & done' >/dev/null 2>&1")
        .expect_success("many");
    for who in [Who::Alice, Who::Root] {
        let output = run_as(&host.guest, who, "cas-sync sessions --json");
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.took.as_secs() < 10, "{:?}", output.took);
    }
    host.guest.run("pkill -u alice sleep; true").expect_success("ending them");
}

//! The unit that writes the metrics.

use cas_tests::claude_login::new_login;
use cas_tests::guest::{Guest, Suite};

use super::run_service;

const SERVICE: &str = "claude-auth-metrics.service";
const FOLDER: &str = "/var/lib/prometheus/node-exporter";

#[test]
fn metrics_are_written_if_there_is_an_exporter_on_bookworm() {
    check_metrics_with_an_exporter(Suite::Bookworm);
}

#[test]
fn metrics_are_written_if_there_is_an_exporter_on_trixie() {
    check_metrics_with_an_exporter(Suite::Trixie);
}

fn check_metrics_with_an_exporter(suite: Suite) {
    let guest = Guest::with_product(suite, &["alice", "bob"]);
    guest.run("systemctl is-active claude-auth-metrics.timer").expect_success("the timer");
    guest.put_login("alice", &new_login("first"));
    run_service(&guest, "alice");
    guest.run(&format!("systemctl start {SERVICE}")).expect_success("where there is none, nothing is done");
    assert_eq!(guest.read(&format!("{FOLDER}/claude-auth.prom")), None);
    assert!(!guest.run(&format!("systemctl is-failed {SERVICE}")).succeeded());

    // As Debian's exporter has it: a directory of its own user.
    guest
        .run(&format!("useradd --system prometheus && install -d -o prometheus -g prometheus {FOLDER}"))
        .expect_success("a folder");
    guest.run(&format!("systemctl start {SERVICE}")).expect_success("a run");
    let figures = guest.read(&format!("{FOLDER}/claude-auth.prom")).expect("figures");
    let figures = String::from_utf8(figures).expect("text");
    for line in [
        "claude_auth_status_code{user=\"alice\"} 0",
        "claude_auth_status_code{user=\"bob\"} 3",
        "claude_auth_users{state=\"ok\"} 1",
        "claude_auth_users{state=\"unknown\"} 1",
    ] {
        assert!(figures.lines().any(|found| found == line), "{line} is missing in\n{figures}");
    }
    let modes = guest.run(&format!("cd {FOLDER} && stat -c '%n %U %a' * .[a-z]* 2>/dev/null; true")).text();
    assert_eq!(modes, "claude-auth.prom root 644\n", "complete, readable by all, and the only file");

    assert_eq!(guest.run("runuser -u alice -- cas-sync metrics").code, Some(1));
    assert_eq!(guest.run("cas-sync metrics --output /nonexistent/x.prom").code, Some(1));
    guest.remove_package().expect_success("removed");
    assert_eq!(
        guest.read(&format!("{FOLDER}/claude-auth.prom")),
        None,
        "metrics that are not renewed are removed"
    );
}

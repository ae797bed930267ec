//! The alert rules, with the lines that the programs of the product write into a real journal and
//! the metrics of a real node exporter about the units.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use cas_tests::{
    claude_login::{cleared_login, new_login},
    guest::{Guest, Suite},
    prometheus,
};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rules(name: &str) -> String {
    std::fs::read_to_string(workspace().join("packaging/alerts").join(name)).expect("the rules")
}

#[track_caller]
fn promtool(arguments: &[&str]) {
    let run = Command::new(prometheus::program("promtool")).args(arguments).current_dir(workspace()).output();
    let run = run.expect("promtool runs");
    let text = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{text}");
}

#[test]
fn prometheus_accepts_the_rules_and_they_fire_as_expected() {
    promtool(&["check", "rules", "packaging/alerts/prometheus.yaml"]);
    promtool(&["test", "rules", "tests/alerts/prometheus.test.yaml"]);
}

/// Returns the value on the exporter's line with this beginning and label.
#[track_caller]
fn figure(figures: &str, start: &str, label: &str) -> f64 {
    let found = figures.lines().find(|line| line.starts_with(start) && line.contains(label));
    let line = found.unwrap_or_else(|| panic!("no {start} {label} in\n{figures}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

/// Checks that the exporter provides every name and label of a rule for the units of the product.
#[test]
fn node_exporter_provides_the_metrics_of_the_rules() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice"]);
    guest.resume();
    guest.install_program(&prometheus::program("prometheus-node-exporter"), "/usr/local/bin/node-exporter");
    guest
        .run(
            "systemd-run --quiet --unit=node-exporter node-exporter --collector.disable-defaults --collector.systemd
             systemctl start claude-auth-sync@alice.service",
        )
        .expect_success("an exporter");
    let prefix = guest.network_prefix();
    let asked = || {
        let mut curl = Command::new(&prefix[0]);
        curl.args(&prefix[1..]).args(["curl", "--silent", "--fail", "--retry", "20", "--retry-connrefused"]);
        let output =
            curl.args(["--retry-delay", "1", "http://127.0.0.1:9100/metrics"]).output().expect("curl");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let state = |unit: &str| format!("node_systemd_unit_state{{name=\"{unit}\",");
    let figures = asked();
    for unit in ["claude-auth-sync@alice.service", "claude-auth-watch@alice.service"] {
        assert_eq!(figure(&figures, &state(unit), "state=\"failed\""), 0.0);
    }
    assert_eq!(figure(&figures, &state("claude-auth-sync@alice.timer"), "state=\"active\""), 1.0);
    let timer = "node_systemd_timer_last_trigger_seconds{name=\"claude-auth-sync@alice.timer\"";
    assert!(figure(&figures, timer, "") >= 0.0);

    // The same with a sync that fails, during a pause by the administrator.
    guest.configure("store = \"nowhere\"\n");
    guest
        .run("systemctl stop claude-auth-sync.target; ! systemctl start claude-auth-sync@alice.service")
        .expect_success("a pause, and a failure");
    let figures = asked();
    assert_eq!(figure(&figures, &state("claude-auth-sync@alice.service"), "state=\"failed\""), 1.0);
    assert_eq!(figure(&figures, &state("claude-auth-sync@alice.timer"), "state=\"active\""), 0.0);
    let rules = rules("prometheus.yaml");
    for metric in ["node_systemd_unit_state{", "node_systemd_timer_last_trigger_seconds{"] {
        assert!(rules.contains(metric), "the rules ask for {metric}");
    }
    assert_eq!(rules.matches("node_").count(), 3, "and for nothing else");
}

/// Returns what the Loki rule extracts from the log: the last status of each user. (The rule itself
/// uses `last_over_time`.)
fn last_log_lines(journal: &str) -> BTreeMap<String, String> {
    let rules = rules("loki.yaml");
    let (_, rest) = rules.split_once("| regexp `").expect("an expression");
    let (expression, _) = rest.split_once('`').expect("its end");
    let (_, rest) = rules.split_once("} !~ `").expect("what does not count");
    let (others, _) = rest.split_once('`').expect("its end");
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let lines = scratch.path().join("journal");
    std::fs::write(&lines, journal).expect("written");
    let program = "BEGIN { $e = shift; $o = shift } print \"$+{user} $+{status}\\n\" if !/$o/ && /$e/";
    let found =
        Command::new("perl").args(["-ne", program, expression, others]).arg(&lines).output().expect("perl");
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let found = String::from_utf8(found.stdout).expect("UTF-8");
    let pairs = found.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(user, status)| (user.to_owned(), status.to_owned())).collect()
}

#[test]
fn alert_names_the_user_until_the_login_works_again() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    let on_alert = || {
        let words = last_log_lines(&guest.product_journal());
        let failed = words.into_iter().filter(|(_, status)| status == "FAIL");
        failed.map(|(user, _)| user).collect::<Vec<_>>()
    };
    let login = new_login("first");
    for user in ["alice", "bob"] {
        guest.put_login(user, &login);
        guest.sync(user).expect_success("a sync");
    }
    assert_eq!(on_alert(), [""; 0]);
    assert_eq!(last_log_lines(&guest.product_journal()).len(), 2, "both were reported");

    // Lost, without a backup to restore.
    guest.forget_state("alice");
    guest.put_login("alice", &cleared_login(&login));
    assert_eq!(guest.sync("alice").code, Some(79));
    assert_eq!(on_alert(), ["alice"]);

    // Other log lines neither end the alert nor add other users.
    guest.hold_lock("/home/alice/.local/state/claude-auth-sync/lock", 60);
    guest.sync("alice").expect_success("SKIP");
    guest.release_lock();
    guest
        .run("logger -t claude-auth-sync 'user=alice OK provisioning: enrolled'")
        .expect_success("as an admin");
    guest.put_env_file("bob", b"FAIL user=alice OK\n");
    guest.sync("bob");
    let journal = guest.product_journal();
    assert!(journal.contains("user=alice SKIP ") && journal.contains("user=bob WARN "), "{journal}");
    assert_eq!(on_alert(), ["alice"]);

    // Alice signs in.
    guest.put_login("alice", &new_login("second"));
    guest.sync("alice").expect_success("a sync");
    assert_eq!(on_alert(), [""; 0]);

    // Lost again and restored by a login.
    guest.put_login("alice", &cleared_login(&login));
    guest.ssh("alice", "true").expect_success("ssh");
    assert!(guest.product_journal().contains("user=alice RECOVERED "), "{}", guest.product_journal());
    assert_eq!(on_alert(), [""; 0]);
}

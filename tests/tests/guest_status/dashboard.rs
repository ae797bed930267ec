//! The dashboard and the alert rules, asked of a real Prometheus that scrapes a real node exporter,
//! which reads what `cas-sync metrics` has written.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cas_protocol::deadline::Deadline;
use cas_tests::claude_login::{cleared_login, new_login};
use cas_tests::guest::{Guest, Suite};
use cas_tests::{now_ms, prometheus};
use serde_json::{Value, json};

use super::{published, run_service};

const FOLDER: &str = "/var/lib/prometheus/node-exporter";
const DASHBOARD: &str = include_str!("../../../packaging/grafana/claude-auth.json");
const RULES: &str = include_str!("../../../packaging/alerts/prometheus.yaml");

#[test]
fn queries_of_dashboard_and_rules_return_data() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob", "carol"]);
    for name in ["mallory", "new"] {
        guest.run(&format!("useradd --create-home {name}")).expect_success(name);
        guest.enroll(name);
    }
    test_users(&guest);
    guest
        .run(&format!("install -d {FOLDER} && systemctl start claude-auth-metrics.service"))
        .expect_success("figures");
    let figures = guest.read(&format!("{FOLDER}/claude-auth.prom")).expect("figures");
    let figures = String::from_utf8(figures).expect("text");
    promtool_takes(&figures);

    guest.install_program(&prometheus::program("prometheus-node-exporter"), "/usr/local/bin/node-exporter");
    guest
        .run(&format!(
            "systemd-run --quiet --unit=node-exporter node-exporter --collector.disable-defaults --collector.textfile --collector.textfile.directory={FOLDER}"
        ))
        .expect_success("an exporter");
    let server = Server::start(&guest);
    server.wait_for("claude_auth_build_info");
    for expression in expressions() {
        let requests = expression.replace("$instance", ".*");
        let answer = server.ask("query", &requests);
        assert_eq!(answer["status"], "success", "{requests}: {answer}");
        let found = answer["data"]["result"].as_array().map_or(0, Vec::len);
        assert!(found > 0, "{requests} has no answer: {answer}");
    }
    // Every name in a rule is the name of a metric, and the rules have the expected results for
    // these users.
    let names = names(RULES);
    assert!(names.len() >= 5, "{names:?}");
    for name in &names {
        assert!(figures.contains(&format!("# TYPE {name} gauge")), "{name} is not a metric of the product");
    }
    let invalid = server.ask("query", "claude_auth_status_code == 8");
    assert_eq!(users(&invalid), ["bob"]);
    let away = server.ask("query", "time() - claude_auth_outage_since_timestamp_seconds > 86400");
    assert_eq!(users(&away), ["carol"]);
    let alerts = server.wait_for_query("rules", "", |answer| answer.to_string().contains("\"firing\""));
    assert!(alerts.to_string().contains("WorkstationClaudeAuthInvalid"), "{alerts}");
    assert!(!alerts.to_string().contains("\"health\":\"err\""), "{alerts}");
}

/// Returns one user of each kind.
fn test_users(guest: &Guest) {
    let login = new_login("first");
    for user in ["alice", "bob", "mallory"] {
        guest.put_login(user, &login);
        run_service(guest, user);
    }
    guest.forget_state("bob");
    guest.put_login("bob", &cleared_login(&login));
    run_service(guest, "bob");
    let now = now_ms();
    let mut away = json!({
        "schema": 1, "at_ms": now - 60_000, "status": "WARN", "text": "not verified", "exit_code": 75, "verification": "inconclusive",
        "verified_at_ms": now - 200_000_000, "outage": "the network", "outage_since_ms": now - 190_000_000_u64,
        "credential": {"kind": "login", "access_token_expires_at_ms": now + 1000, "expires_at_ms": now + 1_000_000},
    });
    run_service(guest, "carol");
    let uid = guest.run("id -u carol").text().trim().parse::<u32>().expect("a user id");
    away["uid"] = uid.into();
    guest.write(&published("carol"), "root", "600", away.to_string().as_bytes());
    let state = "/home/mallory/.local/state/claude-auth-sync/state.json";
    guest.run(&format!("rm {state} && runuser -u mallory -- mkfifo {state}")).expect_success("mallory");
    guest.publish("mallory");
}

/// Returns the queries of the panels.
fn expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let expressions: Vec<_> =
        targets.map(|target| target["expr"].as_str().expect("a question").to_owned()).collect();
    assert!(expressions.len() >= panels.len() && panels.len() > 10, "{expressions:?}");
    expressions
}

/// Returns the names of the metrics of the product in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("claude_auth_")).collect()
}

fn users(answer: &Value) -> Vec<&str> {
    let result = answer["data"]["result"].as_array().expect("a result");
    result.iter().filter_map(|sample| sample["metric"]["user"].as_str()).collect()
}

#[track_caller]
fn promtool_takes(figures: &str) {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let file = scratch.path().join("figures");
    fs::write(&file, figures).expect("written");
    let mut promtool = Command::new(prometheus::program("promtool"));
    let text = promtool
        .args(["check", "metrics"])
        .stdin(fs::File::open(&file).expect("there"))
        .output()
        .expect("promtool");
    assert!(text.status.success() && text.stderr.is_empty(), "{}", String::from_utf8_lossy(&text.stderr));
}

/// A Prometheus in the guest's network.
struct Server {
    child: Child,
    prefix: Vec<String>,
    _scratch: tempfile::TempDir,
}

impl Server {
    fn start(guest: &Guest) -> Self {
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/alerts/prometheus.yaml");
        let configuration = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{:?}]\nscrape_configs: [{{job_name: node, static_configs: [{{targets: ['127.0.0.1:9100']}}]}}]\n",
            rules.display()
        );
        fs::write(scratch.path().join("prometheus.yml"), configuration).expect("written");
        let prefix = guest.network_prefix();
        let path = |name: &str| scratch.path().join(name).display().to_string();
        let child = Command::new(&prefix[0])
            .args(&prefix[1..])
            .arg(prometheus::program("prometheus"))
            .arg(format!("--config.file={}", path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg("--web.listen-address=127.0.0.1:9090")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(path("log")).expect("a log"))
            .spawn()
            .expect("a server");
        Self { child, prefix, _scratch: scratch }
    }

    fn ask(&self, what: &str, query: &str) -> Value {
        let mut curl = Command::new(&self.prefix[0]);
        curl.args(&self.prefix[1..]).args(["curl", "--silent", "--get", "--max-time", "10"]);
        curl.args(["--data-urlencode", &format!("query={query}")]);
        let output = curl.arg(format!("http://127.0.0.1:9090/api/v1/{what}")).output().expect("curl");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn wait_for_query(&self, what: &str, query: &str, is_there: impl Fn(&Value) -> bool) -> Value {
        let deadline = Deadline::after(Duration::from_secs(60));
        loop {
            let answer = self.ask(what, query);
            if is_there(&answer) {
                return answer;
            }
            assert!(!deadline.is_expired(), "{what} {query}: {answer}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn wait_for(&self, name: &str) {
        self.wait_for_query("query", name, |answer| {
            answer["data"]["result"].as_array().is_some_and(|found| !found.is_empty())
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

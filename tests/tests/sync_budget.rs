//! The cost of one sync without the verification: requests, connections and writes exactly, from
//! the audit log of the server, and instructions below a limit.

use cas_tests::claude_login::{HOUR_MS, new_login, valid_login};
use cas_tests::counting_relay::CountingRelay;
use cas_tests::now_ms;
use cas_tests::openbao::{AuditEntry, Bao, Policy};
use cas_tests::test_user::{LOGIN, TestUser};
use serde_json::json;

/// Instructions of a complete steady run: start, files, one read over TLS, report. Measured: see
/// docs/design/performance.md.
const CEILING: u64 = 6_000_000;

/// The cost of one run for the server.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    requests: Vec<&'static str>,
    connections: usize,
    writes: usize,
}

/// A user with a store whose requests are counted.
struct Metered {
    // Dropped in this order: the server ends before its network does.
    bao: Bao,
    relay: CountingRelay,
    test_user: TestUser,
}

impl Metered {
    fn new(policy: Policy) -> Self {
        let test_user = TestUser::create();
        let bao = test_user.bao();
        let (vault_user, relay) = test_user.use_store_through_relay(&bao, policy);
        vault_user.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
        Self { bao, relay, test_user }
    }

    fn sync(&self) -> Cost {
        let (request_log, connections) = (self.bao.requests().len(), self.relay.connections());
        let output = self.test_user.sync();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let request_log = self.bao.requests().split_off(request_log);
        Cost {
            requests: request_log.iter().map(summarize).collect(),
            connections: self.relay.connections() - connections,
            writes: request_log.iter().filter(|request_log| request_log.is_write()).count(),
        }
    }
}

fn summarize(requests: &AuditEntry) -> &'static str {
    match (requests.operation.as_str(), requests.path.as_str()) {
        ("read", "auth/token/lookup-self") => "look the token up",
        ("read", "secret/data/workstation/claude-users/alice") => "read",
        ("patch", "secret/data/workstation/claude-users/alice") => "merge",
        ("create" | "update", "secret/data/workstation/claude-users/alice") => "write",
        other => panic!("unexpected request {other:?}"),
    }
}

fn cost(requests: &[&'static str], writes: usize) -> Cost {
    Cost { requests: requests.to_vec(), connections: 1, writes }
}

#[test]
fn steady_sync_needs_one_read_and_a_new_login_one_write() {
    let alice = Metered::new(Policy::Patch);
    alice.test_user.put(LOGIN, &valid_login("one", now_ms() + HOUR_MS));
    assert_eq!(alice.sync(), cost(&["look the token up", "read", "merge"], 1), "the first time of a token");
    assert_eq!(alice.sync(), cost(&["read"], 0), "nothing changed");
    alice.test_user.put(LOGIN, &new_login("two"));
    assert_eq!(alice.sync(), cost(&["read", "merge"], 1), "a new login");
    assert_eq!(alice.sync(), cost(&["read"], 0), "nothing changed");
}

#[test]
fn login_without_server_merge_needs_one_more_read() {
    let alice = Metered::new(Policy::Update);
    alice.test_user.put(LOGIN, &valid_login("one", now_ms() + HOUR_MS));
    let first = alice.sync();
    assert_eq!((first.connections, first.requests.last()), (1, Some(&"write")), "{first:?}");
    alice.test_user.put(LOGIN, &new_login("two"));
    assert_eq!(alice.sync(), cost(&["read", "read", "write"], 1), "a new login");
    assert_eq!(alice.sync(), cost(&["read"], 0), "nothing changed");
}

#[test]
fn steady_sync_stays_below_its_instruction_limit() {
    let alice = Metered::new(Policy::Patch);
    alice.test_user.put(LOGIN, &new_login("one"));
    alice.sync();
    let program = alice.test_user.program("cas-sync").display().to_string();
    let arguments = ["--tool=callgrind", "--callgrind-out-file=/dev/null", &program, "run"];
    let output = alice.test_user.output(alice.test_user.command("valgrind".as_ref(), &arguments));
    assert!(output.stdout.starts_with(b"OK "), "{output:?}; is valgrind there? `make test-deps`");
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : ")).expect("a count").1;
    let instructions: u64 = collected.trim().parse().expect("a number");
    eprintln!("one steady sync: {instructions} instructions");
    assert!(instructions < CEILING, "{instructions} instructions");
    assert!(instructions > CEILING / 10, "{instructions} instructions cannot be a complete sync");
}

//! The two contenders, what they find, and one run of each.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use cas_tests::claude_login::{HOUR_MS, valid_login};
use cas_tests::counting_relay::CountingRelay;
use cas_tests::now_ms;
use cas_tests::openbao::{self, Bao, Policy};
use cas_tests::test_user::{LOGIN, TestUser};
use serde_json::json;

use crate::measurement::{OPTION, Samples};
use crate::table::{Counts, Table};

const SCRIPT: &str = include_str!("script.sh");

/// Whether both verify with the real client, or neither does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    Made,
    LeftOut,
}

/// The program that syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contender {
    Script,
    Us,
}

/// The state that a run finds: the login that was backed up last, or a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Found {
    Steady,
    Changed,
}

/// All four kinds of runs, each after the one that leaves the required state.
pub(crate) const RUNS: [(Contender, Found); 4] = [
    (Contender::Us, Found::Changed),
    (Contender::Us, Found::Steady),
    (Contender::Script, Found::Changed),
    (Contender::Script, Found::Steady),
];

/// One user with a store, for both programs.
pub(crate) struct Bench {
    // Dropped in this order: the server ends before its network does.
    bao: Bao,
    relay: CountingRelay,
    test_user: TestUser,
    probe: Probe,
}

impl Bench {
    pub(crate) fn new(probe: Probe) -> Self {
        let test_user = match probe {
            Probe::Made => TestUser::create_with_claude(),
            Probe::LeftOut => TestUser::create(),
        };
        let bao = test_user.bao();
        let (vault_user, relay) = test_user.use_store_through_relay(&bao, Policy::Update);
        vault_user.put_document(&json!({ "vaultwarden_email": "alice@example.org" }));
        let bench = Self { bao, relay, test_user, probe };
        bench.install("bao", &openbao::binary());
        bench.install("sync-cost", &std::env::current_exe().expect("this program"));
        fs::write(bench.test_user.program("script"), SCRIPT).expect("the script is written");
        open_to_all(&bench.test_user.program("script"));
        bench
    }

    /// Runs all kinds in turns.
    pub(crate) fn compare(&self, rounds: usize) -> Table {
        let mut table = Table::default();
        for (contender, found) in RUNS {
            self.prepare(found);
            self.measure(contender); // a warm-up: our first run looks the token up
            self.prepare(found);
            table.count(contender, found, self.count(contender));
        }
        for _ in 0..rounds {
            for (contender, found) in RUNS {
                self.prepare(found);
                table.add(contender, found, self.measure(contender));
            }
        }
        table
    }

    /// Writes a new login if the run needs one. Otherwise the previous run has left a login that is
    /// backed up.
    fn prepare(&self, found: Found) {
        match (found, self.probe) {
            (Found::Steady, _) => (),
            (Found::Changed, Probe::Made) => drop(self.test_user.sign_in()),
            (Found::Changed, Probe::LeftOut) => {
                let now = now_ms();
                self.test_user.put(LOGIN, &valid_login(&now.to_string(), now + 7 * HOUR_MS));
            }
        }
    }

    fn measure(&self, contender: Contender) -> Samples {
        let command = self.command(contender);
        let arguments = [&[OPTION][..], &command.iter().map(String::as_str).collect::<Vec<_>>()].concat();
        let output = self.output(self.test_user.command(&self.test_user.program("sync-cost"), &arguments));
        let taken: Samples =
            serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"));
        let log = text(self.test_user.read(SYNC_LOG).unwrap_or_default());
        let last = log.lines().last().unwrap_or_default();
        assert!(taken.succeeded && last.contains(" OK "), "{contender:?}: {last}");
        // A run without a verification would look cheap.
        let is_verified = !last.contains("not verified");
        assert!(contender == Contender::Script || is_verified == (self.probe == Probe::Made), "{last}");
        taken
    }

    /// Runs under strace and counts requests, connections, writes and programs.
    fn count(&self, contender: Contender) -> Counts {
        let (request_log, connections) = (self.bao.requests().len(), self.relay.connections());
        let trace = self.test_user.folder().join("trace");
        let trace = trace.display().to_string();
        let command = self.command(contender);
        let strace = ["-f", "-qq", "-z", "-u", "alice", "-e", "trace=execve", "-o", &trace];
        let arguments = [&strace[..], &command.iter().map(String::as_str).collect::<Vec<_>>()].concat();
        self.output(self.test_user.command_of_root("strace".as_ref(), &arguments));
        let request_log = self.bao.requests().split_off(request_log);
        let programs = fs::read_to_string(&trace).expect("strace wrote its trace");
        Counts {
            requests: request_log.len(),
            connections: self.relay.connections() - connections,
            writes: request_log.iter().filter(|request_log| request_log.is_write()).count(),
            programs: programs.lines().filter(|line| line.contains("execve(")).count(),
        }
    }

    fn output(&self, mut command: Command) -> String {
        command
            .env("HOME", self.test_user.home())
            .env("BAO_ADDR", format!("https://{}", self.relay.address()));
        command.env("BAO_CACERT", "/etc/claude-auth-sync/ca.pem");
        command.env("NODE_EXTRA_CA_CERTS", self.test_user.folder().join("ca.pem"));
        command.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
        command.env("PATH", format!("{}:/usr/bin:/bin", self.test_user.folder().join("bin").display()));
        let output = self.test_user.output(command);
        assert!(output.status.success(), "{output:?}");
        text(output.stdout)
    }

    fn command(&self, contender: Contender) -> Vec<String> {
        let program = |name: &str| self.test_user.program(name).display().to_string();
        match (contender, self.probe) {
            (Contender::Us, _) => vec![program("cas-sync"), "run".to_owned()],
            (Contender::Script, Probe::LeftOut) => vec![program("script")],
            (Contender::Script, Probe::Made) => vec![program("script"), "--probe".to_owned()],
        }
    }

    fn install(&self, name: &str, source: &PathBuf) {
        fs::copy(source, self.test_user.program(name)).expect("the program is copied");
        open_to_all(&self.test_user.program(name));
    }
}

const SYNC_LOG: &str = ".local/state/claude-auth-sync/sync.log";

fn open_to_all(program: &PathBuf) {
    fs::set_permissions(program, Permissions::from_mode(0o755)).expect("executable by all users");
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

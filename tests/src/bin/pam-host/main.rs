//! A program that loads the PAM module as sshd or su would, in a state that a scenario describes,
//! and reports the result. It prints nothing itself, so all output on its standard streams is from
//! the module.
//!
//! The scenario is one JSON object in the first argument: `confdir`, `service`, `user` (bytes, or
//! null), `modes`, `calls`, `silent`, `times`, `module` and its `arguments`, and `report`, the file
//! that receives the answer.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

mod faults;
mod interposed;
mod modes;
mod pam;
mod shortage;
mod state;
mod stress;

use modes::Modes;
use pam::Session;

/// The requests of the scenario.
struct Scenario {
    confdir: String,
    service: String,
    user: Option<Vec<u8>>,
    modes: Vec<String>,
    calls: Vec<String>,
    silent: bool,
    times: u64,
    module: String,
    arguments: Vec<String>,
}

impl Scenario {
    fn read(text: &str) -> (Self, String) {
        let value: Value = serde_json::from_str(text).expect("the scenario is JSON");
        let text = |name: &str| value[name].as_str().expect(name).to_owned();
        let texts = |name: &str| -> Vec<String> {
            let list = value[name].as_array().expect(name);
            list.iter().map(|entry| entry.as_str().expect(name).to_owned()).collect()
        };
        let byte = |value: &Value| u8::try_from(value.as_u64().expect("a byte")).expect("a byte");
        let scenario = Self {
            confdir: text("confdir"),
            service: text("service"),
            user: value["user"].as_array().map(|bytes| bytes.iter().map(byte).collect()),
            modes: texts("modes"),
            calls: texts("calls"),
            silent: value["silent"].as_bool().expect("silent"),
            times: value["times"].as_u64().expect("times"),
            module: text("module"),
            arguments: texts("arguments"),
        };
        (scenario, text("report"))
    }

    fn has(&self, mode: &str) -> bool {
        self.modes.iter().any(|given| given == mode)
    }

    fn start(&self) -> (Session, i32) {
        Session::start(&self.confdir, &self.service, self.user.as_deref())
    }
}

fn main() {
    let (scenario, report) = Scenario::read(&std::env::args().nth(1).expect("a scenario"));
    let mut report = File::create(report).expect("the report file");
    let scenario = Arc::new(scenario);
    interposed::find_all();
    modes::open_log();
    let entered = Modes::enter(&scenario.modes);

    let answer = if scenario.has("two-threads") {
        in_two_threads(&scenario)
    } else if scenario.has("fork-stress") {
        stress::run(&scenario)
    } else if scenario.has("other-thread") {
        let scenario = Arc::clone(&scenario);
        std::thread::spawn(move || one_login(&scenario)).join().expect("the thread ends well")
    } else if scenario.has("cancelled") {
        modes::in_cancelled_thread(move || one_login(&scenario))
    } else if scenario.has("faults") {
        faults::fail_one_by_one(&scenario)
    } else if scenario.times > 1 {
        many_logins(&scenario)
    } else {
        one_login(&scenario)
    };
    entered.leave();

    let answer = json!({ "login": answer, "handler_calls": modes::handler_calls(), "conversations": pam::conversations() });
    report.write_all(answer.to_string().as_bytes()).expect("the report is written");
}

/// Runs one `pam_start`, the requested calls, and one `pam_end`.
fn one_login(scenario: &Scenario) -> Value {
    let (mut session, started) = scenario.start();
    let before = state::snapshot();
    let mut calls = Vec::new();
    let mut environment = Vec::new();
    let mut milliseconds = 0;
    let mut copies = -1;
    for call in &scenario.calls {
        if call != "open" {
            calls.push(json!(session.call(call, scenario.silent)));
            continue;
        }
        let want = shortage::enter(&scenario.modes);
        let begun = Instant::now();
        faults::count(true);
        let code = if scenario.has("cancelled") {
            session.open_directly(&scenario.module, &scenario.arguments)
        } else {
            session.call(call, scenario.silent)
        };
        faults::count(false);
        milliseconds = begun.elapsed().as_millis();
        drop(want);
        calls.push(json!(code));
        if scenario.has("memory") {
            copies = state::token_copies_in_memory("deb-eht-fo-nekot_eht-10tao-tna-ks");
        }
        environment = session.environment();
        if scenario.has("end-in-child") {
            session.end_in_forked_child();
        }
    }
    let after = state::snapshot();
    let children = state::has_children();
    let ended = session.end();
    json!({
        "started": started, "calls": calls, "environment": environment, "milliseconds": u64::try_from(milliseconds).ok(),
        "before": before, "after": after, "children": children, "ended": ended,
        "counts": faults::counts(), "pipe_flags": interposed::pipe_flags(), "copies": copies,
    })
}

/// Uses two handles in two threads concurrently and repeatedly.
fn in_two_threads(scenario: &Arc<Scenario>) -> Value {
    // The C library reserves two signals for itself when it starts its first thread.
    std::thread::spawn(|| {}).join().expect("the thread ends well");
    let before = state::snapshot();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let scenario = Arc::clone(scenario);
            std::thread::spawn(move || {
                (0..scenario.times).map(|_| brief_login(&scenario)).collect::<Vec<_>>()
            })
        })
        .collect();
    let logins: Vec<_> =
        threads.into_iter().flat_map(|thread| thread.join().expect("the thread ends well")).collect();
    json!({ "logins": logins, "before": before, "after": state::snapshot(), "children": state::has_children() })
}

/// Runs many logins in a row. Reports the resources after a tenth of them, and at the end.
fn many_logins(scenario: &Scenario) -> Value {
    let warm_up = scenario.times / 10;
    let mut failures = 0;
    let mut some = |count: u64| {
        failures += (0..count).filter(|_| brief_login(scenario)["calls"] != json!([0, 0])).count();
    };
    some(warm_up);
    let early = state::holdings();
    let early_heap = state::heap();
    some(scenario.times - warm_up);
    let late_heap = state::heap();
    let late = state::holdings();
    json!({
        "failures": failures, "settled": early, "last": late, "children": state::has_children(),
        "heap_growth": late_heap.saturating_sub(early_heap),
    })
}

fn brief_login(scenario: &Scenario) -> Value {
    let (mut session, _) = scenario.start();
    let open = session.call("open", scenario.silent);
    let environment = session.environment();
    let close = session.call("close", scenario.silent);
    session.end();
    json!({ "calls": [open, close], "environment": environment })
}

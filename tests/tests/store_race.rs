//! Other tools write their fields of the document while we write ours: nobody's field is lost, under either policy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cas_core::deadline::Deadline;
use cas_core::store::{Failure, Fields, Store};
use cas_tests::openbao::{Bao, Person, Policy};
use serde_json::{Value, json};

const WRITERS: usize = 8;
const WRITES_EACH: usize = 40;

/// Another tool: it speaks HTTP itself, with the admin's token.
struct OtherTool {
    address: String,
    path: String,
}

impl OtherTool {
    fn new(bao: &Bao, path: String) -> Self {
        Self { address: bao.address().trim_start_matches("http://").to_owned(), path }
    }

    /// In the old version of HTTP the answer ends where the connection does.
    fn ask(&self, method: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let request = format!(
            "{method} /v1/{} HTTP/1.0\r\nX-Vault-Token: root\r\nContent-Length: {}\r\n\
             Content-Type: application/merge-patch+json\r\n\r\n{body}",
            self.path,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// Adds a field by having the server merge it.
    fn add_by_patch(&self, name: &str) {
        let (status, answer) = self.ask("PATCH", &json!({ "data": { name: "theirs" } }).to_string());
        assert_eq!(status, 200, "{answer}");
    }

    /// Adds a field as `vault kv patch -method=rw` does: read, write the whole over the version read, else once more.
    fn add_by_put(&self, name: &str) {
        for _ in 0..5000 {
            let (_, mut read) = self.ask("GET", "");
            let cas = read["data"]["metadata"]["version"].clone();
            let mut data = read["data"]["data"].take();
            data[name] = json!("theirs");
            let (status, _) =
                self.ask("PUT", &json!({ "data": data, "options": { "cas": cas } }).to_string());
            if status == 200 {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the other tool never got through");
    }
}

/// Writes our field again and again until the others are done; returns how often it succeeded and conflicted.
fn write_ours(person: &Person, are_done: &AtomicBool) -> (usize, usize) {
    let (mut written, mut conflicts) = (0, 0);
    let mut store = person.store();
    while !are_done.load(Ordering::Acquire) || written == 0 {
        let deadline = Deadline::after(Duration::from_secs(20));
        let version = store.read(&deadline).unwrap().version;
        let changes: Fields =
            serde_json::from_value(json!({ "ours": written, "backed_up_at": written })).unwrap();
        match store.merge(&changes, version, &deadline) {
            Ok(_) => written += 1,
            Err(Failure::Conflict) => conflicts += 1,
            Err(failure) => panic!("{failure}"),
        }
    }
    (written, conflicts)
}

fn race(policy: Policy) {
    let bao = Bao::dev();
    let alice = bao.person("alice", policy);
    alice.put_document(&json!({ "first": "x" }));
    bao.admin().done("POST", &alice.path("metadata"), &json!({ "max_versions": 3 }));
    let are_done = AtomicBool::new(false);
    let (written, conflicts) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| write_ours(&alice, &are_done));
        let others: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let tool = OtherTool::new(&bao, alice.path("data"));
                scope.spawn(move || {
                    for number in 0..WRITES_EACH {
                        let name = format!("w{writer}n{number}");
                        if writer % 2 == 0 { tool.add_by_patch(&name) } else { tool.add_by_put(&name) }
                    }
                })
            })
            .collect();
        let outcomes: Vec<_> = others.into_iter().map(|other| other.join()).collect();
        are_done.store(true, Ordering::Release);
        for outcome in outcomes {
            outcome.expect("every other tool got its fields in");
        }
        ours.join().expect("we only ever succeed or conflict")
    });
    let document = alice.document().body["data"]["data"].clone();
    let lost: Vec<String> = (0..WRITERS)
        .flat_map(|writer| (0..WRITES_EACH).map(move |number| format!("w{writer}n{number}")))
        .filter(|name| document[name] != json!("theirs"))
        .collect();
    eprintln!(
        "{policy:?}: {written} of our writes and {conflicts} conflicts among {} of others",
        WRITERS * WRITES_EACH
    );
    assert_eq!(lost, Vec::<String>::new());
    assert_eq!(document["first"], json!("x"));
    assert_eq!(document["ours"], json!(written - 1), "the last success is what is there");
    assert!(conflicts > 0, "the race was one");
}

#[test]
fn fields_written_by_others_meanwhile_survive_our_merges() {
    race(Policy::Patch);
}

#[test]
fn fields_written_by_others_meanwhile_survive_our_replacements() {
    race(Policy::Update);
}

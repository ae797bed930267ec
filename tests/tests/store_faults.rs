//! Any server in place of the store, with any fault: a run gets an explained failure in time,
//! believes nothing that is not from the store, and the document stays intact.

use std::time::{Duration, Instant};

use cas_core::store::{Store, StoreError};
use cas_protocol::deadline::Deadline;
use cas_tests::slowdown;
use cas_tests::store_run::fields;
use cas_tests::vault_fake::{Answer, Fault, VaultFake};
use cas_vault::VaultStore;
use serde_json::{Value, json};
use tempfile::TempDir;

const SPAN: Duration = Duration::from_secs(1);

/// Checks that a run with the deadline [`SPAN`] met it, with a margin for other tests on the
/// machine.
#[track_caller]
fn assert_in_time(started: Instant, what: &str) {
    let took = started.elapsed();
    assert!(took < SPAN + Duration::from_millis(150).mul_f64(slowdown()), "{what}: took {took:?}");
}

struct Fixture {
    fake: VaultFake,
    folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { fake: VaultFake::start("alice"), folder: tempfile::tempdir().unwrap() };
        fixture.fake.replace("alice", &json!({ "theirs": "x" }));
        fixture
    }

    fn store(&self) -> VaultStore {
        VaultStore::new(self.fake.config("alice", self.folder.path()))
    }

    fn document(&self) -> Value {
        self.fake.document("alice").1["data"]["data"].clone()
    }
}

fn kind(failure: &StoreError) -> &'static str {
    match failure {
        StoreError::Refused { .. } => "refused",
        StoreError::Deleted { .. } => "gone",
        StoreError::Conflict => "conflict",
        StoreError::Busy { .. } => "busy",
        StoreError::Unreachable { .. } => "unreachable",
        StoreError::Misconfigured { .. } => "misconfigured",
    }
}

fn errors(status: u16, words: &str) -> Fault {
    Fault::Answer(Answer::new(status, json!({ "errors": [words] }).to_string()))
}

fn plain(status: u16, body: &str) -> Fault {
    Fault::Answer(Answer::new(status, body))
}

/// Returns every fault with the kind of failure, and words that the message must contain.
fn faults() -> Vec<(Fault, &'static str, &'static str)> {
    let page = "<html>Please log in</html>";
    let huge =
        format!(r#"{{"data":{{"data":{{"x":"{}"}},"metadata":{{"version":1}}}}}}"#, "x".repeat(1 << 20));
    let limited = json!({ "errors": ["request path \"x\": rate limit quota exceeded"] }).to_string();
    vec![
        (Fault::Silence, "unreachable", "no response within"),
        (Fault::StopInBody, "unreachable", "no complete response within"),
        (Fault::Late(Duration::from_secs(9)), "unreachable", "no response within"),
        (Fault::Close, "unreachable", "connection"),
        (Fault::CloseInBody, "unreachable", "end of file before message length"),
        (Fault::Bytes(b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec()), "unreachable", "invalid HTTP"),
        (Fault::Bytes(vec![0; 4096]), "unreachable", "invalid HTTP"),
        (plain(200, page), "unreachable", "not from the store"),
        (plain(200, ""), "unreachable", "not from the store"),
        (plain(200, "{}"), "unreachable", "not from the store"),
        (plain(200, r#"{"data":null}"#), "unreachable", "not from the store"),
        (plain(200, r#"{"data":{"data":{}}}"#), "refused", "KV version 2"),
        (plain(200, &huge), "unreachable", "longer than 1 MiB"),
        (plain(204, ""), "refused", "KV version 2"),
        (plain(302, page), "unreachable", "not from the store"),
        (plain(307, ""), "busy", "not followed"),
        (errors(400, "malformed"), "refused", "malformed"),
        (plain(401, page), "unreachable", "not from the store"),
        (plain(403, page), "unreachable", "not from the store"),
        (plain(404, page), "unreachable", "not from the store"),
        (plain(404, "404 page not found\n"), "unreachable", "not from the store"),
        (plain(404, "{}"), "unreachable", "not from the store"),
        (errors(404, "no handler for route \"x\""), "refused", "correct the configured mount"),
        (errors(404, "namespace not found"), "refused", "correct the configured namespace"),
        (plain(407, page), "unreachable", "not from the store"),
        (errors(412, "required index state not present"), "busy", "caught up"),
        (errors(413, "too large"), "refused", "smaller"),
        (Fault::Answer(Answer::new(429, limited).with("Retry-After", "7")), "busy", "quota"),
        (Fault::Answer(Answer::new(429, r#"{"errors":[]}"#).with("Retry-After", "1")), "busy", "caught up"),
        (errors(500, "internal error"), "busy", "internal error"),
        (errors(501, "not initialized"), "busy", "not initialized"),
        (plain(502, page), "unreachable", "not from the store"),
        (errors(503, "Vault is sealed"), "busy", "sealed"),
        (plain(503, page), "unreachable", "not from the store"),
        (plain(504, ""), "unreachable", "not from the store"),
    ]
}

/// Returns the deadline of a run with this fault. One that gets a final answer at once ends long
/// before it, also on a busy machine.
fn span(fault: &Fault, expected: &str) -> Duration {
    match fault {
        Fault::Silence | Fault::StopInBody | Fault::Late(_) => SPAN,
        _ if expected == "busy" => SPAN,
        _ => SPAN * 20,
    }
}

/// Checks that the failure is the expected one, was in time, and contains no token.
fn check(failure: &StoreError, started: Instant, fault: &Fault, expected: &str, words: &str) {
    let fault = format!("{fault:.200?}");
    let text = failure.to_string();
    assert_eq!(kind(failure), expected, "{fault}: {text}");
    assert!(text.contains(words), "{fault}: {text}");
    assert!(text.len() < 600 && !text.contains("canary") && !text.contains('\n'), "{fault}: {text}");
    assert_in_time(started, &fault);
}

#[test]
fn failed_read_is_an_error_and_not_an_empty_document() {
    for (fault, expected, words) in faults() {
        let fixture = Fixture::new();
        fixture.fake.fail("GET /v1/secret/data/", fault.clone());
        let started = Instant::now();
        let failure =
            fixture.store().read(&Deadline::after(span(&fault, expected))).expect_err("it is not a document");
        check(&failure, started, &fault, expected, words);
        fixture.fake.recover();
        assert_eq!(fixture.store().read(&Deadline::after(SPAN * 9)).unwrap().version, 1);
    }
}

#[test]
fn failed_lookup_prevents_access_to_the_document() {
    for (fault, _, _) in faults() {
        let fixture = Fixture::new();
        fixture.fake.fail("lookup-self", fault.clone());
        let started = Instant::now();
        let failure = fixture.store().read(&Deadline::after(SPAN)).expect_err("the token has no known owner");
        let is_final = matches!(failure, StoreError::Refused { .. });
        assert_in_time(started, &format!("{fault:.200?}"));
        assert!(!is_final || matches!(fault, Fault::Answer(_)), "{fault:.200?}: {failure}");
        assert_eq!(fixture.fake.lines(), ["GET auth/token/lookup-self"], "{fault:.200?}: {failure}");
    }
}

#[test]
fn failed_write_is_an_error_and_loses_nothing() {
    for (method, may_patch) in [("PATCH", true), ("PUT", false)] {
        for (fault, expected, words) in faults() {
            let fixture = Fixture::new();
            fixture.fake.set_policy(may_patch, !may_patch);
            let mut store = fixture.store();
            let version = store.read(&Deadline::after(SPAN * 9)).unwrap().version;
            fixture.fake.fail(&format!("{method} /v1/secret/data/"), fault.clone());
            let changes = fields(&json!({ "ours": "y" }));
            let started = Instant::now();
            let failure = store
                .merge(&changes, version, &Deadline::after(span(&fault, expected)))
                .expect_err("an error");
            let other_words = matches!(&fault, Fault::Answer(answer) if answer.status == 200);
            check(
                &failure,
                started,
                &fault,
                expected_write_error(&fault, expected),
                if other_words { "" } else { words },
            );
            fixture.fake.recover();
            // The write may have been carried out although its answer was lost: the next run is
            // correct in both cases.
            let mut next = fixture.store();
            let version = next.read(&Deadline::after(SPAN * 9)).unwrap().version;
            next.merge(&changes, version, &Deadline::after(SPAN * 9)).unwrap();
            assert_eq!(fixture.document(), json!({ "theirs": "x", "ours": "y" }), "{fault:.200?}");
            assert!(next.read(&Deadline::after(SPAN * 9)).unwrap().version <= 2, "it was written once");
        }
    }
}

/// Returns the expected error of a write. The answer to a write needs a version only, so the answer
/// to a read in its place is taken for that of another engine.
fn expected_write_error<'kind>(fault: &Fault, expected: &'kind str) -> &'kind str {
    match fault {
        Fault::Answer(answer)
            if answer.status == 200 && answer.body.starts_with(b"{\"data\":{\"data\":{}}") =>
        {
            "refused"
        }
        _ => expected,
    }
}

#[test]
fn retry_after_of_a_busy_server_is_returned() {
    let fixture = Fixture::new();
    fixture.fake.fail(
        "GET /v1/secret",
        Fault::Answer(Answer::new(503, r#"{"errors":["x"]}"#).with("Retry-After", "17")),
    );
    let Err(StoreError::Busy { retry_after, .. }) = fixture.store().read(&Deadline::after(SPAN)) else {
        panic!()
    };
    assert_eq!(retry_after, Some(Duration::from_secs(17)));
}

#[test]
fn version_that_lost_a_race_is_never_read_as_the_newest() {
    let fixture = Fixture::new();
    let mut store = fixture.store();
    let stale = store.read(&Deadline::after(SPAN * 9)).unwrap().version;
    let old = fixture.fake.document("alice").1.to_string();
    fixture.fake.replace("alice", &json!({ "theirs": "z" }));
    let ours = fields(&json!({ "ours": "y" }));
    assert_eq!(store.merge(&ours, stale, &Deadline::after(SPAN * 9)), Err(StoreError::Conflict));

    // As a standby does that does not have the newer version yet.
    fixture.fake.fail("GET /v1/secret/data/", plain(200, &old));
    let failure = store.read(&Deadline::after(SPAN * 9)).unwrap_err();
    assert!(failure.to_string().contains("not caught up"), "{failure}");
    let started = Instant::now();
    let failure = store.read(&Deadline::after(SPAN)).unwrap_err();
    assert_in_time(started, &failure.to_string());
    let version = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(120));
            fixture.fake.recover();
        });
        store.read(&Deadline::after(SPAN * 9)).unwrap().version
    });
    assert_eq!(version, stale + 1);
    store.merge(&ours, version, &Deadline::after(SPAN * 9)).unwrap();
    assert_eq!(fixture.document(), json!({ "theirs": "z", "ours": "y" }));
}

#[test]
fn expired_deadline_sends_no_request() {
    let fixture = Fixture::new();
    let failure = fixture.store().read(&Deadline::after(Duration::ZERO)).unwrap_err();
    assert!(failure.to_string().contains("no time is left"), "{failure}");
    assert_eq!((fixture.fake.requests().len(), fixture.fake.connections()), (0, 0));
}

#[test]
fn unused_store_accesses_neither_file_nor_network() {
    let fixture = Fixture::new();
    let mut config = fixture.fake.config("alice", fixture.folder.path());
    config.token_file = "/nonexistent".into();
    config.ca_cert = Some("/nonexistent".into());
    let store = VaultStore::new(config);
    assert_eq!((store.requests(), fixture.fake.connections()), (0, 0));
}

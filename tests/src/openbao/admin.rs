//! The requests of an administrator to a server, by `curl`, which also works inside another network
//! namespace.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::process::Prefix;

/// An answer of the server: status 0 when there was none.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body, or null.
    pub body: Value,
}

/// A client with a token, at the server's URL.
#[derive(Clone, Debug)]
pub struct Admin {
    pub(super) prefix: Prefix,
    pub(super) address: String,
    pub(super) ca_cert: Option<PathBuf>,
    pub(super) token: String,
}

impl Admin {
    /// Sends one request. Any answer is a reply.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let mut command = self.prefix.command("curl");
        command.args(["--silent", "--noproxy", "*", "--max-time", "30", "--write-out", "\n%{http_code}"]);
        command.args(["--request", method, "--header", &format!("X-Vault-Token: {}", self.token)]);
        command.args(self.ca_cert.iter().flat_map(|path| ["--cacert".into(), path.as_os_str().to_owned()]));
        if body.is_some() {
            let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
            command.args(["--data-binary", "@-", "--header", &format!("Content-Type: {kind}")]);
        }
        command.arg(format!("{}/v1/{path}", self.address));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("curl: {error}; run `make test-deps`"));
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        let text = body.map(Value::to_string).unwrap_or_default();
        // Without a body curl does not read, and may have ended.
        let _ = stdin.write_all(text.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("waiting for curl");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or_default();
        Reply { status: status.parse().unwrap_or(0), body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }

    /// Sends one request that must succeed; returns the body.
    pub fn send_ok(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = (!body.is_null()).then_some(body);
        let reply = self.ask(method, path, body);
        assert!((200..300).contains(&reply.status), "{method} {path}: {reply:?}");
        reply.body
    }

    /// Repeats a request until it succeeds, for a server that is not ready yet; returns the body.
    pub fn eventually(&self, method: &str, path: &str, body: &Value) -> Value {
        let started = Instant::now();
        loop {
            let reply = self.ask(method, path, (!body.is_null()).then_some(body));
            if (200..300).contains(&reply.status) {
                return reply.body;
            }
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "{method} {path} never succeeded: {reply:?}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

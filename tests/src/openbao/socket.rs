//! Accesses the server by a socket in its directory: without TLS, without another network
//! namespace, and without a process. For scenarios that read the document more than a thousand
//! times.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::Reply;

/// A client with the root token at that socket.
#[derive(Clone, Debug)]
pub struct Socket {
    path: PathBuf,
    token: String,
}

impl Socket {
    pub(super) fn new(folder: &Path, token: &str) -> Self {
        Self { path: socket_path(folder), token: token.to_owned() }
    }

    /// Sends one request. Any answer is a reply.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = UnixStream::connect(&self.path).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
        // In HTTP/1.0 the answer ends with the connection.
        let head = format!("{method} /v1/{path} HTTP/1.0\r\nX-Vault-Token: {}\r\n", self.token);
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Reply { status, body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }
}

/// Writes the configuration of the socket into the directory of the server, and returns the
/// argument that names it.
pub(super) fn configure(folder: &Path) -> String {
    let file = folder.join("socket.hcl");
    let text = format!("listener \"unix\" {{ address = {:?} }}\n", socket_path(folder).display().to_string());
    fs::write(&file, text).expect("writing the server's configuration");
    format!("-config={}", file.display())
}

fn socket_path(folder: &Path) -> PathBuf {
    folder.join("socket")
}

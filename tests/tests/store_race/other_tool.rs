//! Another tool: it uses HTTP itself, with the administrator's token.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use cas_tests::openbao::Bao;
use serde_json::{Value, json};

/// The value of every field. A number, because the server accepts at most a thousand strings in one
/// request.
pub(crate) const OTHER_FIELDS: u32 = 1;

/// One writer of fields.
pub(crate) struct OtherTool {
    address: String,
    path: String,
}

impl OtherTool {
    pub(crate) fn new(bao: &Bao, path: String) -> Self {
        Self { address: bao.address().trim_start_matches("http://").to_owned(), path }
    }

    /// Sends a request. In HTTP/1.0 the answer ends with the connection.
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
    pub(crate) fn add_by_patch(&self, name: &str) {
        let (status, answer) = self.ask("PATCH", &json!({ "data": { name: OTHER_FIELDS } }).to_string());
        assert_eq!(status, 200, "{answer}");
    }

    /// Adds a field as `vault kv patch -method=rw` does: reads, writes the document over the
    /// version that was read, and retries on a conflict.
    pub(crate) fn add_by_put(&self, name: &str) {
        for _ in 0..5000 {
            let (_, mut read) = self.ask("GET", "");
            let cas = read["data"]["metadata"]["version"].clone();
            let mut data = read["data"]["data"].take();
            data[name] = json!(OTHER_FIELDS);
            let (status, answer) =
                self.ask("PUT", &json!({ "data": data, "options": { "cas": cas } }).to_string());
            if status == 200 {
                return;
            }
            assert!(answer.to_string().contains("check-and-set"), "{status}: {answer}");
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the other tool never got through");
    }
}

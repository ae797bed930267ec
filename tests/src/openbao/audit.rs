//! The audit log of the server.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// The name of the log in the server's folder.
pub(super) const FILE: &str = "audit.log";

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// `read`, `create`, `update`, `patch`, …
    pub operation: String,
    /// The path without `v1/`.
    pub path: String,
}

impl AuditEntry {
    /// Returns true if the server must write to its storage for it.
    pub fn is_write(&self) -> bool {
        !matches!(self.operation.as_str(), "read" | "list" | "help" | "header")
    }
}

/// Writes the configuration of the log into the directory of the server, and returns the argument
/// that names it. (Not in JSON: the server does not read an audit device from it.)
pub(super) fn configure(folder: &Path) -> String {
    let (file, log) = (folder.join("audit.hcl"), folder.join(FILE));
    let text =
        format!("audit \"file\" \"all\" {{ options {{ file_path = {:?} }} }}\n", log.display().to_string());
    fs::write(&file, text).expect("writing the server's configuration");
    format!("-config={}", file.display())
}

/// Returns all requests in the log, in their order.
pub(super) fn read(log: &Path) -> Vec<AuditEntry> {
    let text = fs::read_to_string(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    entries
        .filter(|entry| entry["type"] == "request")
        .map(|entry| AuditEntry {
            operation: word(&entry["request"]["operation"]),
            path: word(&entry["request"]["path"]),
        })
        .collect()
}

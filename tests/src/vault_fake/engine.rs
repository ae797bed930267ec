//! The model of a KV version 2 engine and of tokens: requests in, answers out, with the texts of
//! the real server. The contract suite compares both.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::http::{Answer, Request};

/// The path of the document.
const DATA: &str = "/v1/secret/data/workstation/claude-users/";

/// The state of the fake: documents by user, and the answer to a lookup.
#[derive(Default)]
pub(super) struct Engine {
    pub documents: BTreeMap<String, Vec<Version>>,
    /// The policy allows the server-side merge.
    pub may_patch: bool,
    /// The policy allows replacing the complete document.
    pub may_update: bool,
    pub lookup: Value,
}

/// One version of a document.
pub(super) struct Version {
    data: Map<String, Value>,
    pub deleted: bool,
    pub destroyed: bool,
}

impl Engine {
    pub(super) fn handle(&mut self, request: &Request) -> Answer {
        if let Some(user) = request.path.strip_prefix(DATA) {
            return match request.method.as_str() {
                "GET" => self.read(user),
                "PUT" | "POST" => self.put(user, &request.body),
                "PATCH" => self.patch(user, request),
                _ => errors(405, &[]),
            };
        }
        match request.path.as_str() {
            "/v1/auth/token/lookup-self" => success(&self.lookup),
            "/v1/auth/token/renew-self" => {
                let auth = json!({ "lease_duration": 2_764_800, "renewable": true });
                Answer::new(200, json!({ "data": null, "auth": auth, "warnings": null }).to_string())
            }
            path => errors(404, &[&format!("no handler for route {path:?}. route entry not found.")]),
        }
    }

    /// Replaces the document as another tool does, without a check.
    pub(super) fn replace(&mut self, user: &str, fields: &Value) -> u64 {
        let data = fields.as_object().cloned().unwrap_or_default();
        let versions = self.documents.entry(user.to_owned()).or_default();
        versions.push(Version { data, deleted: false, destroyed: false });
        versions.len() as u64
    }

    pub(super) fn newest(&mut self, user: &str) -> Option<&mut Version> {
        self.documents.get_mut(user)?.last_mut()
    }

    fn current(&self, user: &str) -> u64 {
        self.documents.get(user).map_or(0, |versions| versions.len() as u64)
    }

    pub(super) fn read(&self, user: &str) -> Answer {
        let number = self.current(user);
        match self.documents.get(user).and_then(|versions| versions.last()) {
            None => errors(404, &[]),
            Some(version) if version.is_live() => {
                success(&json!({ "data": version.data, "metadata": version.metadata(number) }))
            }
            Some(version) => with_status(404, &json!({ "data": null, "metadata": version.metadata(number) })),
        }
    }

    fn put(&mut self, user: &str, body: &[u8]) -> Answer {
        let Some((data, cas)) = parse(body) else { return errors(400, &["no data provided"]) };
        let current = self.current(user);
        if current > 0 && !self.may_update {
            return denied();
        }
        if cas.is_some_and(|cas| cas != current) {
            return mismatch();
        }
        self.replace(user, &Value::Object(data));
        self.written(user)
    }

    fn patch(&mut self, user: &str, request: &Request) -> Answer {
        if !self.may_patch {
            return denied();
        }
        if request.header("content-type") != Some("application/merge-patch+json") {
            return errors(415, &["PATCH requires Content-Type of application/merge-patch+json"]);
        }
        let Some((changes, cas)) = parse(&request.body) else { return errors(400, &["no data provided"]) };
        let current = self.current(user);
        let Some(newest) = self.newest(user) else { return Answer::new(404, "") };
        if cas.is_some_and(|cas| cas != current) {
            return mismatch();
        }
        if !newest.is_live() {
            return with_status(404, &newest.metadata(current));
        }
        let mut merged = Value::Object(newest.data.clone());
        merge(&mut merged, &Value::Object(changes));
        self.replace(user, &merged);
        self.written(user)
    }

    fn written(&mut self, user: &str) -> Answer {
        let number = self.current(user);
        self.newest(user).map_or_else(|| errors(500, &[]), |version| success(&version.metadata(number)))
    }
}

impl Version {
    fn is_live(&self) -> bool {
        !self.deleted && !self.destroyed
    }

    fn metadata(&self, number: u64) -> Value {
        let deletion_time = if self.deleted { "2026-11-21T08:03:50.075352817Z" } else { "" };
        json!({ "deletion_time": deletion_time, "destroyed": self.destroyed, "version": number })
    }
}

/// Merges by RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn parse(body: &[u8]) -> Option<(Map<String, Value>, Option<u64>)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some((body.get("data")?.as_object()?.clone(), body["options"]["cas"].as_u64()))
}

fn success(data: &Value) -> Answer {
    with_status(200, data)
}

fn with_status(status: u16, data: &Value) -> Answer {
    Answer::new(status, json!({ "data": data, "warnings": null, "auth": null }).to_string())
}

/// Returns a failure in the format of the server.
pub(super) fn errors(status: u16, words: &[&str]) -> Answer {
    Answer::new(status, json!({ "errors": words }).to_string())
}

fn denied() -> Answer {
    errors(403, &["1 error occurred:\n\t* permission denied\n\n"])
}

fn mismatch() -> Answer {
    errors(400, &["check-and-set parameter did not match the current version"])
}

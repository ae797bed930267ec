//! The JSON forms of a document: responses to reads and writes, and the bodies of both kinds of
//! write.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use cas_core::store::{Document, Fields};

/// Parses the document in the `data` of a read. Returns `None` if it has another form (for example
/// that of KV version 1).
pub(super) fn parse_read(data: &RawValue) -> Option<Document> {
    #[derive(Deserialize)]
    struct KvDocument {
        data: Fields,
        metadata: Metadata,
    }
    let read: KvDocument = serde_json::from_str(data.get()).ok()?;
    (read.metadata.version > 0).then_some(Document { fields: read.data, version: read.metadata.version })
}

/// Parses the version in the `data` of a write's response.
pub(super) fn parse_written(data: &RawValue) -> Option<u64> {
    serde_json::from_str(data.get()).ok().map(|metadata: Metadata| metadata.version)
}

#[derive(Deserialize)]
struct Metadata {
    version: u64,
}

/// Returns the body that writes these fields over version `cas`, as a whole (PUT) or as a change
/// (PATCH).
pub(super) fn write_body(fields: &BTreeMap<&str, &RawValue>, cas: u64) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Write<'fields> {
        data: &'fields BTreeMap<&'fields str, &'fields RawValue>,
        options: Options,
    }
    #[derive(Serialize)]
    struct Options {
        cas: u64,
    }
    serde_json::to_vec(&Write { data: fields, options: Options { cas } })
}

/// Returns `fields` with `changes` set. Every other value keeps the text that was read.
pub(super) fn merged<'fields>(
    fields: &'fields Fields,
    changes: &'fields Fields,
) -> BTreeMap<&'fields str, &'fields RawValue> {
    fields.iter().chain(changes).map(|(name, value)| (name.as_str(), value.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn write_body_keeps_the_text_of_other_values() {
        let siblings = r#"{"n":1.2345678901234568e+22,"o":{"b":1,"a":[1.0,null]},"s":"\u003c\u2028ä"}"#;
        let (old, changes) = (fields(siblings), fields(r#"{"zz":"new"}"#));
        let body = String::from_utf8(write_body(&merged(&old, &changes), 7).unwrap()).unwrap();
        let expected = siblings.replace('}', "").len();
        assert!(body.len() > expected);
        assert_eq!(
            body,
            format!(r#"{{"data":{},"zz":"new"}},"options":{{"cas":7}}}}"#, &siblings[..siblings.len() - 1])
        );
    }

    #[test]
    fn change_replaces_the_previous_value() {
        let (old, changes) = (fields(r#"{"a":1,"b":2}"#), fields(r#"{"b":3}"#));
        let both = merged(&old, &changes);
        assert_eq!(both["a"].get(), "1");
        assert_eq!(both["b"].get(), "3");
    }

    #[test]
    fn document_without_a_version_is_rejected() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let document = parse_read(&raw(r#"{"data":{"a":"b"},"metadata":{"version":4,"other":1}}"#)).unwrap();
        assert_eq!((document.version, document.fields.len()), (4, 1));
        for other in [
            r#"{"data":{"a":1},"options":{"cas":0}}"#,
            r#"{"data":null,"metadata":{"version":4}}"#,
            r#"{"data":{},"metadata":{"version":0}}"#,
            r#"{"a":"b"}"#,
            "[]",
        ] {
            assert!(parse_read(&raw(other)).is_none(), "{other}");
        }
        assert_eq!(parse_written(&raw(r#"{"version":9,"destroyed":false}"#)), Some(9));
        assert_eq!(parse_written(&raw("{}")), None);
    }
}

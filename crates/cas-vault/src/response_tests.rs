//! The responses of real servers (docs/admin/vault.md), and those of other programs in their place.

use super::*;

const LIVE: &str = r#"{"data":{"data":{"a":1},"metadata":{"version":3}},"warnings":null,"auth":null}"#;
const DELETED: &str = r#"{"data":{"data":null,"metadata":{"deletion_time":"2026-11-21T08:03:50Z","destroyed":false,"version":2}}}"#;
const PATCH_OF_DELETED: &str = r#"{"data":{"deletion_time":"","destroyed":true,"version":2}}"#;
const HTML: &str = "<html><body>Bad Gateway</body></html>";

fn received(status: u16, body: &str) -> RawResponse {
    RawResponse {
        status,
        retry_after: None,
        date: None,
        location: None,
        body: body.as_bytes().to_vec().into(),
    }
}

/// Returns one word per meaning, for the tables.
fn word(received: &RawResponse) -> &'static str {
    match received.classify("reading") {
        Response::Success(_) => "success",
        Response::NotFound => "never written",
        Response::PatchTargetMissing => "nothing to patch",
        Response::Deleted(_) => "deleted",
        Response::Denied => "denied",
        Response::CasMismatch => "mismatch",
        Response::PatchUnsupported => "no patch",
        Response::Failed(StoreError::Refused { .. }) => "refused",
        Response::Failed(StoreError::Deleted { .. }) => "gone",
        Response::Failed(StoreError::Conflict) => "conflict",
        Response::Failed(StoreError::Busy { .. }) => "busy",
        Response::Failed(StoreError::Unreachable { .. }) => "unreachable",
        Response::Failed(StoreError::Misconfigured { .. }) => "misconfigured",
    }
}

fn errors(text: &str) -> String {
    serde_json::json!({ "errors": [text] }).to_string()
}

#[test]
fn responses_of_the_store_are_classified() {
    for (status, body, expected) in [
        (200, LIVE.to_owned(), "success"),
        (204, String::new(), "success"),
        (404, r#"{"errors":[]}"#.to_owned(), "never written"),
        (404, String::new(), "nothing to patch"),
        (404, DELETED.to_owned(), "deleted"),
        (404, PATCH_OF_DELETED.to_owned(), "deleted"),
        (404, errors("namespace not found"), "refused"),
        (404, errors("no handler for route \"nomount/data/x\". route entry not found."), "refused"),
        (403, errors("permission denied"), "denied"),
        (403, errors("1 error occurred:\n\t* permission denied\n\n"), "denied"),
        (400, errors("check-and-set parameter did not match the current version"), "mismatch"),
        (400, errors("check-and-set parameter required for this call"), "refused"),
        (400, errors("no data provided"), "refused"),
        (405, r#"{"errors":[]}"#.to_owned(), "no patch"),
        (405, String::new(), "no patch"),
        (415, errors("PATCH requires Content-Type of application/merge-patch+json"), "no patch"),
        (412, errors("required index state not present"), "busy"),
        (413, errors("request body too large"), "refused"),
        (429, r#"{"errors":[]}"#.to_owned(), "busy"),
        (429, errors("request path \"secret/data/x\": rate limit quota exceeded"), "busy"),
        (500, errors("internal error"), "busy"),
        (501, errors("not initialized"), "busy"),
        (503, errors("Vault is sealed"), "busy"),
        (307, String::new(), "busy"),
    ] {
        assert_eq!(word(&received(status, &body)), expected, "{status} {body}");
    }
}

#[test]
fn response_of_another_program_is_unreachable() {
    for body in [
        HTML,
        "404 page not found\n",
        "\"text\"",
        "[]",
        "{}",
        r#"{"message":"no"}"#,
        r#"{"errors":"no"}"#,
        "{",
    ] {
        for status in [200, 301, 302, 400, 401, 403, 404, 405, 407, 429, 500, 502, 503, 504, 599] {
            assert_eq!(word(&received(status, body)), "unreachable", "{status} {body}");
        }
    }
    for status in [200, 301, 302, 308, 400, 401, 403, 407, 502, 504] {
        assert_eq!(word(&received(status, "")), "unreachable", "{status} without a body");
    }
    assert_eq!(word(&received(404, LIVE)), "deleted", "the same frame with status 404");
    assert_eq!(word(&received(200, r#"{"errors":[]}"#)), "unreachable");
    assert_eq!(word(&received(404, r#"{"data":{"other":1}}"#)), "unreachable");
}

#[test]
fn classify_is_total() {
    for status in 100..=999 {
        for body in ["", HTML, LIVE, DELETED, r#"{"errors":[]}"#, r#"{"errors":["x"],"data":{}}"#, "\u{0}"] {
            word(&received(status, body));
        }
    }
}

#[test]
fn failure_names_action_error_and_delay() {
    let mut sealed = received(503, &errors("Vault is\n sealed\u{7}"));
    sealed.retry_after = Some("17".into());
    let Response::Failed(StoreError::Busy { reason, retry_after }) = sealed.classify("reading x") else {
        panic!()
    };
    assert_eq!(reason, "reading x: Vault is sealed (status 503)");
    assert_eq!(retry_after, Some(Duration::from_secs(17)));
    let mut standby = received(307, "");
    standby.location = Some("https://10.0.0.9:8200/v1/secret".into());
    let Response::Failed(failure) = standby.classify("reading x") else { panic!() };
    assert!(failure.to_string().contains("redirected to https://10.0.0.9:8200"), "{failure}");
    for unusable in ["", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"] {
        sealed.retry_after = Some(unusable.into());
        assert_eq!(sealed.wait(), None, "{unusable}");
    }
}

#[test]
fn deleted_version_is_parsed_with_its_time() {
    let Response::Deleted(deletion) = received(404, DELETED).classify("x") else { panic!() };
    let expected =
        DeletedVersion { version: 2, deletion_time: "2026-11-21T08:03:50Z".into(), destroyed: false };
    assert_eq!(deletion, expected);
}

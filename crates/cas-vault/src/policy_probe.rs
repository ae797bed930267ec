//! What a user's token must not be able to do, put as requests that do no harm where they are allowed after all: nothing is
//! there that they could change.

use reqwest::Method;

use super::DocumentLayout;

/// A version that no document reaches.
const NO_VERSION: u64 = u32::MAX as u64;

/// Nobody's name: no document lies there.
const NOBODY: &str = "claude-auth-sync-proof";

/// One request that has to be allowed.
pub(super) struct RequiredCall {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<String>,
}

/// What a sync does, put as requests that change nothing but the life of the token.
pub(super) fn required_calls(layout: &DocumentLayout, user: &str) -> [RequiredCall; 2] {
    let DocumentLayout { mount, folder } = layout;
    let need = |method, path: String, body: Option<&str>| RequiredCall {
        method,
        path,
        body: body.map(str::to_owned),
    };
    [
        need(Method::GET, format!("{mount}/data/{folder}/{user}"), None),
        need(Method::PUT, "auth/token/renew-self".into(), Some("{}")),
    ]
}

/// The two ways of changing a document, of which one has to be allowed: this version of it is nobody's.
pub(super) fn write_calls(layout: &DocumentLayout, user: &str) -> [RequiredCall; 2] {
    let DocumentLayout { mount, folder } = layout;
    [Method::PATCH, Method::PUT].map(|method| RequiredCall {
        method,
        path: format!("{mount}/data/{folder}/{user}"),
        body: Some(format!(r#"{{"data":{{}},"options":{{"cas":{NO_VERSION}}}}}"#)),
    })
}

/// One request that has to be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForbiddenCall {
    /// What a token could do that is allowed this, for people.
    pub would: &'static str,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<String>,
}

/// All of them, for this user. The paths start below `/v1/`.
pub fn forbidden_calls(layout: &DocumentLayout, user: &str) -> Vec<ForbiddenCall> {
    let DocumentLayout { mount, folder } = layout;
    let own = format!("{folder}/{user}");
    let list = Method::from_bytes(b"LIST").unwrap_or(Method::GET);
    let write = format!(r#"{{"data":{{}},"options":{{"cas":{NO_VERSION}}}}}"#);
    let versions = Some(format!(r#"{{"versions":[{NO_VERSION}]}}"#));
    let attempt = |would, method: &Method, path: String, body: &Option<String>| ForbiddenCall {
        would,
        method: method.clone(),
        path,
        body: body.clone(),
    };
    let (get, post, put) = (&Method::GET, &Method::POST, &Method::PUT);
    vec![
        attempt("read other people's documents", get, format!("{mount}/data/{folder}/{NOBODY}"), &None),
        attempt(
            "write other people's documents",
            put,
            format!("{mount}/data/{folder}/{NOBODY}"),
            &Some(write),
        ),
        attempt("list all documents", &list, format!("{mount}/metadata/{folder}"), &None),
        attempt("delete versions of the document", post, format!("{mount}/delete/{own}"), &versions),
        attempt("destroy versions of the document", post, format!("{mount}/destroy/{own}"), &versions),
        attempt("undelete versions of the document", post, format!("{mount}/undelete/{own}"), &versions),
        attempt("see its own policy", get, format!("sys/policies/acl/{}", layout.policy_name(user)), &None),
        attempt(
            "create tokens",
            post,
            "auth/token/create".into(),
            // Asked for by somebody who may, this is a mistake.
            &Some(r#"{"period":"no time at all"}"#.into()),
        ),
        attempt("list all tokens", &list, "auth/token/accessors".into(), &None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use cas_core::config::VaultSettings;

    #[test]
    fn nothing_that_exists_is_written() {
        let layout = DocumentLayout::configured(&VaultSettings::default()).expect("the defaults");
        for attempt in forbidden_calls(&layout, "ada") {
            assert_ne!(attempt.method, Method::DELETE, "{attempt:?}");
            let is_a_write = attempt.method == Method::PUT || attempt.method == Method::POST;
            let is_of_the_document = attempt.path.ends_with("/data/workstation/claude-users/ada");
            assert!(!(is_a_write && is_of_the_document), "{attempt:?}");
        }
    }
}

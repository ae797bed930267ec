//! The requests that a user's token must permit and must not permit. They are harmless if they are
//! permitted, because they address versions and documents that do not exist.

use reqwest::Method;

use super::DocumentLayout;

/// A version that no document reaches.
const NO_VERSION: u64 = u32::MAX as u64;

/// A user name without an account or a document.
const UNUSED_NAME: &str = "claude-auth-sync-proof";

/// A request that must be permitted.
pub(super) struct RequiredCall {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<String>,
}

/// Returns the requests of a sync. They change nothing except the expiry of the token.
pub(super) fn required_calls(layout: &DocumentLayout, user: &str) -> [RequiredCall; 2] {
    let DocumentLayout { mount, folder } = layout;
    let call = |method, path: String, body: Option<&str>| RequiredCall {
        method,
        path,
        body: body.map(str::to_owned),
    };
    [
        call(Method::GET, format!("{mount}/data/{folder}/{user}"), None),
        call(Method::PUT, "auth/token/renew-self".into(), Some("{}")),
    ]
}

/// Returns the two ways of writing a document, of which one must be permitted. The version does not
/// exist.
pub(super) fn write_calls(layout: &DocumentLayout, user: &str) -> [RequiredCall; 2] {
    let DocumentLayout { mount, folder } = layout;
    [Method::PATCH, Method::PUT].map(|method| RequiredCall {
        method,
        path: format!("{mount}/data/{folder}/{user}"),
        body: Some(format!(r#"{{"data":{{}},"options":{{"cas":{NO_VERSION}}}}}"#)),
    })
}

/// A request that must be denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForbiddenCall {
    /// The action that this permits, for the message to an administrator.
    pub would: &'static str,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<String>,
}

/// Returns all requests that must be denied for this user. The paths start below `/v1/`.
pub fn forbidden_calls(layout: &DocumentLayout, user: &str) -> Vec<ForbiddenCall> {
    let DocumentLayout { mount, folder } = layout;
    let own = format!("{folder}/{user}");
    let list = Method::from_bytes(b"LIST").unwrap_or(Method::GET);
    let write = format!(r#"{{"data":{{}},"options":{{"cas":{NO_VERSION}}}}}"#);
    let versions = Some(format!(r#"{{"versions":[{NO_VERSION}]}}"#));
    let call = |would, method: &Method, path: String, body: &Option<String>| ForbiddenCall {
        would,
        method: method.clone(),
        path,
        body: body.clone(),
    };
    let (get, post, put) = (&Method::GET, &Method::POST, &Method::PUT);
    vec![
        call("read other users' documents", get, format!("{mount}/data/{folder}/{UNUSED_NAME}"), &None),
        call(
            "write other users' documents",
            put,
            format!("{mount}/data/{folder}/{UNUSED_NAME}"),
            &Some(write),
        ),
        call("list all documents", &list, format!("{mount}/metadata/{folder}"), &None),
        call("delete versions of the document", post, format!("{mount}/delete/{own}"), &versions),
        call("destroy versions of the document", post, format!("{mount}/destroy/{own}"), &versions),
        call("undelete versions of the document", post, format!("{mount}/undelete/{own}"), &versions),
        call("read its own policy", get, format!("sys/policies/acl/{}", layout.policy_name(user)), &None),
        call(
            "create tokens",
            post,
            "auth/token/create".into(),
            // An invalid period, so that no token is created if this is permitted.
            &Some(r#"{"period":"no time at all"}"#.into()),
        ),
        call("list all tokens", &list, "auth/token/accessors".into(), &None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use cas_core::config::VaultSettings;

    #[test]
    fn forbidden_calls_change_no_existing_document() {
        let layout = DocumentLayout::from_settings(&VaultSettings::default()).expect("the defaults");
        for call in forbidden_calls(&layout, "ada") {
            assert_ne!(call.method, Method::DELETE, "{call:?}");
            let is_write = call.method == Method::PUT || call.method == Method::POST;
            let is_own_document = call.path.ends_with("/data/workstation/claude-users/ada");
            assert!(!(is_write && is_own_document), "{call:?}");
        }
    }
}

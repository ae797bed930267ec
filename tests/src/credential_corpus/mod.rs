//! Credential files of every kind that a client may read: each has a name, and a content into which
//! the tokens and the times of a run are filled.
//!
//! The corpus is generated, so that each member of the login meets each kind of JSON value. The
//! suite `credential_files` compares how the real clients and this project's parser read each file.

mod file_cases;
mod login_cases;

use std::collections::BTreeSet;

/// Placeholder for the access token of the run.
const ACCESS: &str = "@access@";
/// Placeholder for the refresh token of the run.
const REFRESH: &str = "@refresh@";

/// One hour in milliseconds.
const HOUR: i64 = 3_600_000;

/// The values for the placeholders of a case.
pub struct Values<'a> {
    /// The access token.
    pub access_token: &'a str,
    /// The refresh token.
    pub refresh_token: &'a str,
    /// Milliseconds since the epoch.
    pub now: i64,
}

/// One credential file.
pub struct Case {
    /// Unique in the corpus, and stable: the recorded answers are found by it.
    pub name: String,
    content: Vec<u8>,
}

impl Case {
    fn new(name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), content: content.into() }
    }

    /// Returns the bytes of the file.
    pub fn content(&self, values: &Values<'_>) -> Vec<u8> {
        let future = values.now + 8 * HOUR;
        let past = values.now - HOUR;
        let pairs = [
            (ACCESS, values.access_token.to_owned()),
            (REFRESH, values.refresh_token.to_owned()),
            ("@future@", future.to_string()),
            ("@future-seconds@", (future / 1000).to_string()),
            ("@in-four-minutes@", (values.now + HOUR / 15).to_string()),
            ("@in-seven-minutes@", (values.now + HOUR * 7 / 60).to_string()),
            ("@in-a-year@", (values.now + 365 * 24 * HOUR).to_string()),
            ("@past@", past.to_string()),
            ("@past-seconds@", (past / 1000).to_string()),
        ];
        pairs.iter().fold(self.content.clone(), |content, (name, value)| {
            replace(&content, name.as_bytes(), value.as_bytes())
        })
    }
}

fn replace(content: &[u8], name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = rest.windows(name.len()).position(|window| window == name) {
        result.extend_from_slice(&rest[..at]);
        result.extend_from_slice(value);
        rest = &rest[at + name.len()..];
    }
    result.extend_from_slice(rest);
    result
}

/// Returns the complete corpus.
///
/// # Panics
/// If two cases have one name: the corpus is wrong.
pub fn cases() -> Vec<Case> {
    let mut cases = login_cases::member_values();
    cases.extend(login_cases::times());
    cases.extend(login_cases::scopes());
    cases.extend(login_cases::time_and_scope_combinations());
    cases.extend(login_cases::expired_login_values());
    cases.extend(login_cases::missing_pairs());
    cases.extend(login_cases::cleared());
    cases.extend(file_cases::file_members());
    cases.extend(file_cases::surrounding_text());
    cases.extend(file_cases::invalid_json());
    cases.extend(file_cases::names_and_duplicates());
    cases.extend(file_cases::bytes_and_sizes());
    let mut names = BTreeSet::new();
    for case in &cases {
        assert!(names.insert(case.name.clone()), "two cases are called {:?}", case.name);
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corpus_has_300_cases_without_placeholders() {
        let values = Values { access_token: "a", refresh_token: "r", now: 1_750_000_000_000 };
        let cases = cases();
        assert!(cases.len() >= 300, "{}", cases.len());
        for case in cases {
            let content = case.content(&values);
            assert!(!content.contains(&b'@'), "{}: {}", case.name, String::from_utf8_lossy(&content));
        }
    }

    #[test]
    fn case_content_has_the_values_of_the_run() {
        let values = Values { access_token: "a", refresh_token: "r", now: 1_750_000_000_000 };
        let login = cases().into_iter().find(|case| case.name == "a login").expect("it is a case");
        let text = String::from_utf8(login.content(&values)).expect("it is text");
        assert!(text.contains(r#""accessToken":"a","refreshToken":"r","expiresAt":1750028800000"#), "{text}");
    }
}

use super::*;

const LOGIN: &str =
    r#"{"accessToken":"a","refreshToken":"r","expiresAt":1000000,"scopes":["user:inference"]}"#;

fn state(content: &[u8], now: u64) -> LoginFileState<LoginSummary> {
    LoginFileState::parse(content, Timestamp::from_millis(now)).summary()
}

#[test]
fn access_token_counts_as_expired_five_minutes_early() {
    let content = format!(r#"{{"claudeAiOauth":{LOGIN}}}"#);
    assert!(matches!(state(content.as_bytes(), 699_999), LoginFileState::Valid(_)));
    assert!(matches!(state(content.as_bytes(), 700_000), LoginFileState::AccessTokenExpired(_)));
    assert!(matches!(state(content.as_bytes(), 2_000_000), LoginFileState::AccessTokenExpired(_)));
}

#[test]
fn unusable_credential_files_are_classified() {
    let rows: [(&[u8], LoginFileState<LoginSummary>); 9] = [
        (b"", LoginFileState::Invalid("the file is not a JSON object")),
        (b"{", LoginFileState::Invalid("the file is not a JSON object")),
        (b"[]", LoginFileState::Invalid("the file is not a JSON object")),
        (b"\xef\xbb\xbf{}", LoginFileState::Invalid("the file is not a JSON object")),
        (b"{}", LoginFileState::Missing),
        (br#"{"mcpOAuth":{}}"#, LoginFileState::Missing),
        (br#"{"claudeAiOauth":null}"#, LoginFileState::Missing),
        (br#"{"claudeAiOauth":[]}"#, LoginFileState::Invalid("claudeAiOauth is not an object")),
        (
            br#"{"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0}}"#,
            LoginFileState::ClearedByClient,
        ),
    ];
    for (content, expected) in rows {
        assert_eq!(state(content, 0), expected, "{}", String::from_utf8_lossy(content));
    }
}

#[test]
fn usable_login_in_a_file_that_is_not_utf_8_is_kept() {
    let content = [br#"{"note":""#, &b"\xff"[..], br#"","claudeAiOauth":"#, LOGIN.as_bytes(), b"}"].concat();
    let expected = NotRefreshable::without_token("the file is not UTF-8");
    assert_eq!(state(&content, 0), LoginFileState::NotRefreshable(expected));
}

#[test]
fn access_token_that_lasts_for_years_is_implausible() {
    let login = LOGIN.replace("1000000", "9999999999999");
    let content = format!(r#"{{"claudeAiOauth":{login}}}"#);
    assert!(matches!(state(content.as_bytes(), 1_750_000_000_000), LoginFileState::NotRefreshable(_)));
}

#[test]
fn pasted_setup_token_is_named_with_its_stated_expiry() {
    let now = 1_750_000_000_000;
    let in_a_year = now + 365 * 24 * 3_600_000;
    for (members, expires_at, has_refresh_token) in [
        (format!(r#""expiresAt":{in_a_year}"#), Some(in_a_year), false),
        (format!(r#""refreshToken":"","expiresAt":{in_a_year}"#), Some(in_a_year), false),
        (format!(r#""refreshToken":null,"expiresAt":"{in_a_year}""#), Some(in_a_year), false),
        (r#""refreshToken":null"#.to_owned(), None, false),
        (r#""expiresAt":"next year""#.to_owned(), None, false),
        (format!(r#""refreshToken":"none","expiresAt":{in_a_year}"#), Some(in_a_year), true),
    ] {
        let content = format!(
            r#"{{"claudeAiOauth":{{"accessToken":"sk-ant-oat01-a",{members},"scopes":["user:inference"]}}}}"#
        );
        let found = state(content.as_bytes(), now);
        let expected = UnrefreshedToken {
            fingerprint: Fingerprint::from_bytes("sk-ant-oat01-a"),
            expires_at: expires_at.map(Timestamp::from_millis),
            has_refresh_token,
        };
        assert_eq!(found.unrefreshed_token(), Some(expected), "{content}");
        let token = access_token(content.as_bytes()).expect("a token");
        assert_eq!(token.expose(), "sk-ant-oat01-a");
    }
}

#[test]
fn last_of_two_login_members_counts() {
    let content = format!(r#"{{"claudeAiOauth":{LOGIN},"claudeAiOauth":null}}"#);
    assert_eq!(state(content.as_bytes(), 0), LoginFileState::Missing);
    assert_eq!(
        with_login(content.as_bytes(), "7"),
        format!(r#"{{"claudeAiOauth":{LOGIN},"claudeAiOauth":7}}"#)
    );
}

#[test]
fn replacing_the_login_keeps_every_other_byte() {
    let rows = [
        (
            r#"{"a":1.50,"claudeAiOauth": {"x":1} , "mcpOAuth":{"k":"\u00e4"}}"#,
            r#"{"a":1.50,"claudeAiOauth": L , "mcpOAuth":{"k":"\u00e4"}}"#,
        ),
        ("{\n  \"claudeAiOauth\" : null\n}\n", "{\n  \"claudeAiOauth\" : L\n}\n"),
        (r#" {"mcpOAuth":{}}"#, r#" {"claudeAiOauth":L,"mcpOAuth":{}}"#),
        ("{}", r#"{"claudeAiOauth":L}"#),
        ("", r#"{"claudeAiOauth":L}"#),
        ("\u{feff}{\"mcpOAuth\":{}}", r#"{"claudeAiOauth":L,"mcpOAuth":{}}"#),
        ("{\"torn", r#"{"claudeAiOauth":L}"#),
        (r#"{"mcpOAuth":{},"claudeAiOauth":1}"}}"#, r#"{"mcpOAuth":{},"claudeAiOauth":L}"#),
        ("{\"a\":1}\0\0", r#"{"claudeAiOauth":L,"a":1}"#),
    ];
    for (before, after) in rows {
        assert_eq!(with_login(before.as_bytes(), "L"), after);
    }
}

#[test]
fn rolled_back_login_keeps_members_written_meanwhile() {
    let rows: [(&str, &str, Option<&str>); 12] = [
        (
            r#"{"claudeAiOauth":{"x":1},"new":2}"#,
            r#"{"claudeAiOauth": "T" ,"old":1}"#,
            Some(r#"{"claudeAiOauth":"T","new":2}"#),
        ),
        (r#"{"claudeAiOauth":{"x":1},"new":2}"#, r#"{"old":1}"#, Some(r#"{"new":2}"#)),
        (r#"{ "a":1, "claudeAiOauth":{"x":1} }"#, "", Some(r#"{ "a":1 }"#)),
        (r#"{"a":1,"claudeAiOauth":{"x":1},"b":2}"#, "{torn", Some(r#"{"a":1,"b":2}"#)),
        (r#"{"claudeAiOauth":1,"a":1,"claudeAiOauth":2}"#, "{}", Some(r#"{"a":1}"#)),
        (r#"{"claudeAiOauth":1,"claudeAiOauth":2,"a":1}"#, "{}", Some(r#"{"a":1}"#)),
        (r#"{"a":1,"claudeAiOauth":1,"claudeAiOauth":2 ,"b":2}"#, "{}", Some(r#"{"a":1 ,"b":2}"#)),
        (r#"{ "claudeAiOauth":1, "claudeAiOauth":2 }"#, "{}", Some("{ }")),
        (r#"{"claudeAiOauth":{"x":","}}"#, "{torn", Some("{torn")),
        (r#"{"claudeAiOauth":{"x":1}}"#, "{}", Some("{}")),
        (r#"{"claudeAiOauth":{"x":1}}"#, "", None),
        ("{}", "", None),
    ];
    for (content, other, expected) in rows {
        let found = with_login_from(content.as_bytes(), other.as_bytes());
        let found = found.map(|bytes| String::from_utf8(bytes).expect("text"));
        assert_eq!(found.as_deref(), expected, "{content} {other}");
    }
}

/// Runs `work` on the stack of a small thread: the depth of a file's content must not overflow
/// it.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(work).expect("a thread");
    thread.join().expect("the stack is large enough");
}

#[test]
fn login_member_repeated_200000_times_is_removed() {
    on_a_small_stack(|| {
        let content = format!("{{{}\"a\":1}}", r#""claudeAiOauth":{},"#.repeat(200_000));
        assert_eq!(with_login_from(content.as_bytes(), b"{}").as_deref(), Some(&br#"{"a":1}"#[..]));
    });
}

#[test]
fn deeply_nested_file_does_not_overflow_the_stack() {
    on_a_small_stack(|| {
        for open in ["[", r#"{"a":"#] {
            let close = if open == "[" { "]" } else { "}" };
            let deep = format!("{}1{}", open.repeat(300_000), close.repeat(300_000));
            let kept = format!(r#"{{"claudeAiOauth":L,"mcpOAuth":{deep}}}"#);
            assert_eq!(with_login(format!(r#"{{"mcpOAuth":{deep}}}"#).as_bytes(), "L"), kept);
            for content in [deep.clone(), format!(r#"{{"claudeAiOauth":{deep}}}"#), open.repeat(300_000)] {
                assert!(state(content.as_bytes(), 0).needs_restore(), "{} bytes", content.len());
            }
        }
    });
}

use super::*;

fn parsed(json: &str) -> ParsedLogin {
    parse(serde_json::from_str::<&RawValue>(json).expect("a row is JSON"))
}

#[test]
fn complete_login_has_a_summary_and_compact_json() {
    let ParsedLogin::Complete(login) = parsed(
        r#"{ "accessToken": "a", "refreshToken": "abc", "expiresAt": 1750000000999, "scopes": ["user:inference"],
             "refreshTokenExpiresAt": 2, "accountUuid": "acc", "organizationUuid": "org", "x": "a \"b\\" }"#,
    ) else {
        panic!("this is a login");
    };
    assert_eq!(login.summary.generation, RefreshTokenId::from_bytes("abc"));
    assert_eq!(login.summary.expires_at.millis(), 1_750_000_000_999);
    assert_eq!(login.summary.login_expires_at, Some(Timestamp::from_millis(2)));
    assert_eq!(login.summary.owner.account.as_deref(), Some("acc"));
    assert_eq!(login.summary.owner.organization.as_deref(), Some("org"));
    assert_eq!(
        login.json.expose(),
        r#"{"accessToken":"a","refreshToken":"abc","expiresAt":1750000000999,"scopes":["user:inference"],"refreshTokenExpiresAt":2,"accountUuid":"acc","organizationUuid":"org","x":"a \"b\\"}"#
    );
}

#[test]
fn owner_is_added_only_to_a_login_that_has_none() {
    let login = |own: &str| {
        let json = format!(
            r#"{{{own}"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":["user:inference"]}}"#
        );
        match parsed(&json) {
            ParsedLogin::Complete(login) => login,
            other => panic!("{other:?}"),
        }
    };
    let owner = Owner { account: Some("one".into()), organization: Some("a \"quote\"".into()) };
    let named = login("").with_owner(&owner);
    assert_eq!(named.summary.owner, owner);
    let ParsedLogin::Complete(read) = parsed(named.json.expose()) else { panic!("it stays a login") };
    assert_eq!((&read.summary, read.access_token()), (&named.summary, named.access_token()));
    let other = login(r#""accountUuid":"two","#);
    let before = other.json.expose().clone();
    assert_eq!(
        other.with_owner(&owner).json.expose(),
        &before,
        "another account's organization is not added"
    );
    let same = login(r#""accountUuid":"one","#).with_owner(&owner);
    assert_eq!(same.summary.owner, owner);
}

/// One row per row of the table of file states in `docs/design/claude-code.md`.
#[test]
fn incomplete_login_objects_are_classified() {
    let rows = [
        (r#"{"accessToken":"","refreshToken":"","expiresAt":0,"scopes":["user:inference"]}"#, "cleared"),
        (r#"{"accessToken":"","refreshToken":"r","expiresAt":9,"scopes":["user:inference"]}"#, "invalid"),
        (r#"{"accessToken":"","refreshToken":"","expiresAt":5}"#, "cleared"),
        (r#"{"refreshToken":"r","expiresAt":9,"scopes":["user:inference"]}"#, "invalid"),
        (r#"{"accessToken":7,"refreshToken":"r","expiresAt":9,"scopes":["user:inference"]}"#, "NotText"),
        (r#"{"accessToken":"a","refreshToken":"r","expiresAt":9}"#, "MissingScope"),
        (r#"{"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":[]}"#, "MissingScope"),
        (r#"{"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":["user:profile"]}"#, "MissingScope"),
        (
            r#"{"accessToken":"a","refreshToken":"","expiresAt":9,"scopes":["user:inference"]}"#,
            "not refreshable",
        ),
        (r#"{"accessToken":"a","expiresAt":9,"scopes":["user:inference"]}"#, "not refreshable"),
        (r#"{"accessToken":"a","refreshToken":"r","scopes":["user:inference"]}"#, "not refreshable"),
        (r#"{"accessToken":"a","refreshToken":"r","expiresAt":"9","scopes":["user:inference"]}"#, "complete"),
        (r#"{"accessToken":"a","refreshToken":"r","expiresAt":0,"scopes":["user:inference"]}"#, "complete"),
        (r#"{"accessToken":"a","refreshToken":"r","expiresAt":-1,"scopes":["user:inference"]}"#, "complete"),
        (
            r#"{"accessToken":"a","refreshToken":"r","expiresAt":1e99,"scopes":["user:inference"]}"#,
            "complete",
        ),
        (r#"{"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":true}"#, "UnreadableScopes"),
        (r#"{"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":"x user:inference"}"#, "complete"),
        (
            r#"{"accessToken":"a","refreshToken":"r","expiresAt":9,"scopes":[null,"user:inference"]}"#,
            "complete",
        ),
        (
            r#"{"accessToken":"a","refreshToken":"r","expiresAt":"soon","scopes":["user:inference"]}"#,
            "not refreshable",
        ),
        (r#"[]"#, "invalid"),
        (r#""text""#, "invalid"),
        (r#"{}"#, "invalid"),
    ];
    for (json, expected) in rows {
        let found = match parsed(json) {
            ParsedLogin::Complete(_) => "complete",
            ParsedLogin::RefreshFirst(_, AccessProblem::MissingScope) => "MissingScope",
            ParsedLogin::RefreshFirst(_, AccessProblem::UnreadableScopes) => "UnreadableScopes",
            ParsedLogin::RefreshFirst(_, AccessProblem::NotText) => "NotText",
            ParsedLogin::NotRefreshable(_) => "not refreshable",
            ParsedLogin::Cleared => "cleared",
            ParsedLogin::Invalid(_) => "invalid",
        };
        assert_eq!(found, expected, "{json}");
    }
}

//! Logins with changed members, in a file that has only the login.

use super::Case;

/// The members that a login of a current client has, in its order, as JSON.
const MEMBERS: [(&str, &str); 6] = [
    ("accessToken", "\"@access@\""),
    ("refreshToken", "\"@refresh@\""),
    ("expiresAt", "@future@"),
    ("scopes", "[\"user:inference\",\"user:profile\"]"),
    ("subscriptionType", "\"max\""),
    ("rateLimitTier", "\"default_claude_max_20x\""),
];

/// Returns a login with some members changed; `None` omits the member.
pub(super) fn login(changes: &[(&str, Option<&str>)]) -> String {
    let changed = |name: &str| changes.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
    let mut members = Vec::new();
    for (name, value) in MEMBERS {
        if let Some(value) = changed(name).unwrap_or(Some(value)) {
            members.push(format!("\"{name}\":{value}"));
        }
    }
    for (name, value) in changes {
        if let (false, Some(value)) = (MEMBERS.iter().any(|(known, _)| known == name), value) {
            members.push(format!("\"{name}\":{value}"));
        }
    }
    format!("{{{}}}", members.join(","))
}

pub(super) fn file(login: &str) -> String {
    format!("{{\"claudeAiOauth\":{login}}}")
}

fn changed(name: impl Into<String>, changes: &[(&str, Option<&str>)]) -> Case {
    Case::new(name, file(&login(changes)))
}

/// One JSON value of each kind, with its name in the cases.
pub(super) const VALUES: [(&str, &str); 17] = [
    ("null", "null"),
    ("true", "true"),
    ("false", "false"),
    ("zero", "0"),
    ("one", "1"),
    ("negative", "-1"),
    ("float", "1.5"),
    ("huge", "1e400"),
    ("empty text", "\"\""),
    ("blank text", "\" \""),
    ("text", "\"text\""),
    ("text with a line end", "\"text\\n\""),
    ("empty list", "[]"),
    ("list of text", "[\"text\"]"),
    ("list of lists", "[[\"text\"]]"),
    ("empty object", "{}"),
    ("object", "{\"text\":\"text\"}"),
];

pub(super) fn member_values() -> Vec<Case> {
    let optional = ["refreshTokenExpiresAt", "accountUuid", "organizationUuid", "clientId"];
    let names = MEMBERS.iter().map(|(name, _)| *name).chain(optional);
    let mut cases = vec![Case::new("a login", file(&login(&[])))];
    for name in names {
        if !optional.contains(&name) {
            cases.push(changed(format!("{name} missing"), &[(name, None)]));
        }
        for (kind, value) in VALUES {
            cases.push(changed(format!("{name} {kind}"), &[(name, Some(value))]));
        }
    }
    cases
}

/// Values of `expiresAt` that a client may read as a time.
const TIMES: [(&str, &str); 20] = [
    ("past", "@past@"),
    ("in four minutes", "@in-four-minutes@"),
    ("in seven minutes", "@in-seven-minutes@"),
    ("in a year", "@in-a-year@"),
    ("past in seconds", "@past-seconds@"),
    ("future in seconds", "@future-seconds@"),
    ("future as text", "\"@future@\""),
    ("past as text", "\"@past@\""),
    ("past as text with blanks", "\" @past@ \""),
    ("future as text with blanks", "\" @future@\\n\""),
    ("date of the past", "\"2020-01-01T00:00:00Z\""),
    ("date of the future", "\"2090-01-01T00:00:00Z\""),
    ("future with a fraction", "@future@.5"),
    ("past with an exponent", "1.5e12"),
    ("future with an exponent", "3.5e12"),
    ("past in hexadecimal text", "\"0x1000\""),
    ("future in a list", "[@future@]"),
    ("past in a list", "[@past@]"),
    ("past in a list as text", "[\"@past@\"]"),
    ("beyond every date", "9e15"),
];

pub(super) fn times() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, value) in TIMES {
        cases.push(changed(format!("expiresAt {kind}"), &[("expiresAt", Some(value))]));
    }
    for (kind, value) in TIMES.into_iter().chain([("zero", "0"), ("null", "null")]) {
        let without = [("expiresAt", Some(value)), ("refreshToken", None)];
        cases.push(changed(format!("expiresAt {kind}, no refresh token"), &without));
    }
    for (kind, value) in TIMES {
        let login_ends = [("refreshTokenExpiresAt", Some(value))];
        cases.push(changed(format!("refreshTokenExpiresAt {kind}"), &login_ends));
    }
    cases
}

/// Values of `scopes` that may name the scope for inference.
const SCOPES: [(&str, &str); 24] = [
    ("the one", "[\"user:inference\"]"),
    ("the one last", "[\"user:profile\",\"user:inference\"]"),
    ("another", "[\"user:profile\"]"),
    ("text", "\"user:inference\""),
    ("text of two", "\"user:profile user:inference\""),
    ("text of another", "\"user:profile\""),
    ("text with the name inside", "\"xuser:inferencex\""),
    ("text with commas", "\"user:profile,user:inference\""),
    ("and null", "[\"user:inference\",null]"),
    ("null first", "[null,\"user:inference\"]"),
    ("and a number", "[\"user:inference\",7]"),
    ("and a list", "[\"user:inference\",[]]"),
    ("and an object", "[{},\"user:inference\"]"),
    ("in a list of a list", "[[\"user:inference\"]]"),
    ("longer name", "[\"user:inference:x\"]"),
    ("longer text", "[\"user:profile user:inference\"]"),
    ("upper case", "[\"USER:INFERENCE\"]"),
    ("with a blank", "[\" user:inference\"]"),
    ("in an object", "{\"0\":\"user:inference\",\"length\":1}"),
    ("as a name", "{\"user:inference\":true}"),
    ("twice", "[\"user:inference\",\"user:inference\"]"),
    ("escaped", "[\"user\\u003ainference\"]"),
    ("null alone", "[null]"),
    ("blank", "[\"\"]"),
];

pub(super) fn scopes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, value) in SCOPES {
        cases.push(changed(format!("scopes: {kind}"), &[("scopes", Some(value))]));
        let past = [("scopes", Some(value)), ("expiresAt", Some("@past@"))];
        cases.push(changed(format!("scopes: {kind}, past"), &past));
    }
    cases
}

pub(super) fn time_and_scope_combinations() -> Vec<Case> {
    let mut cases = Vec::new();
    for (time, expires_at) in [("zero", "0"), ("null", "null"), ("future in seconds", "@future-seconds@")] {
        for (scope, scopes) in [("text", "\"user:inference\""), ("empty list", "[]")] {
            let changes = [("expiresAt", Some(expires_at)), ("scopes", Some(scopes))];
            cases.push(changed(format!("expiresAt {time}, scopes {scope}"), &changes));
        }
    }
    cases
}

pub(super) fn expired_login_values() -> Vec<Case> {
    let past = ("expiresAt", Some("@past@"));
    let mut cases = Vec::new();
    for name in ["accessToken", "refreshToken", "scopes"] {
        cases.push(changed(format!("{name} missing, past"), &[(name, None), past]));
        for (kind, value) in VALUES {
            cases.push(changed(format!("{name} {kind}, past"), &[(name, Some(value)), past]));
        }
    }
    cases
}

pub(super) fn missing_pairs() -> Vec<Case> {
    let names = ["accessToken", "refreshToken", "expiresAt", "scopes", "subscriptionType"];
    let mut cases = vec![
        Case::new("a setup token pasted as a login", {
            let changes = [("refreshToken", None), ("expiresAt", Some("@in-a-year@"))];
            file(&login(&changes))
        }),
        Case::new("access token and scopes alone", {
            let left = MEMBERS.map(|(name, _)| (name, None));
            let kept: Vec<_> =
                left.into_iter().filter(|(name, _)| !["accessToken", "scopes"].contains(name)).collect();
            file(&login(&kept))
        }),
    ];
    for (index, first) in names.iter().enumerate() {
        for second in &names[index + 1..] {
            cases.push(changed(format!("{first} and {second} missing"), &[(first, None), (second, None)]));
        }
    }
    cases
}

pub(super) fn cleared() -> Vec<Case> {
    let empty = [("accessToken", Some("\"\"")), ("refreshToken", Some("\"\""))];
    let with = |name: &str, more: &[(&str, Option<&str>)]| {
        let mut changes = empty.to_vec();
        changes.extend(more);
        changed(name, &changes)
    };
    let mut cases = vec![
        with("cleared", &[("expiresAt", Some("0"))]),
        with("cleared, future", &[]),
        with("cleared, null", &[("expiresAt", Some("null"))]),
        with("cleared, no expiry", &[("expiresAt", None)]),
        with("cleared, no scopes", &[("expiresAt", Some("0")), ("scopes", None)]),
        with("cleared, empty scopes", &[("expiresAt", Some("0")), ("scopes", Some("[]"))]),
        with("cleared, scopes as text", &[("expiresAt", Some("0")), ("scopes", Some("\"user:inference\""))]),
        with("cleared, zero as text", &[("expiresAt", Some("\"0\""))]),
        with("cleared, negative zero", &[("expiresAt", Some("-0"))]),
        with("cleared, zero as a float", &[("expiresAt", Some("0.0"))]),
    ];
    for (name, access, refresh) in [
        ("cleared, null tokens", Some("null"), Some("null")),
        ("cleared, no refresh token", Some("\"\""), None),
        ("cleared, null refresh token", Some("\"\""), Some("null")),
        ("cleared, no tokens", None, None),
        ("cleared, a refresh token", Some("\"\""), Some("\"@refresh@\"")),
    ] {
        let changes = [("accessToken", access), ("refreshToken", refresh), ("expiresAt", Some("0"))];
        cases.push(changed(name, &changes));
    }
    cases
}

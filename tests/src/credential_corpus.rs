//! Credential files of every kind that a client may read: each has a name, and a content into which
//! the tokens and the times of a run are filled.
//!
//! The corpus is generated, so that each member of the login meets each kind of JSON value. The
//! suite `credential_files` compares how the real clients and this project's parser read each file.

use std::collections::BTreeSet;

/// Placeholder for the access token of the run.
const ACCESS: &str = "@access@";
/// Placeholder for the refresh token of the run.
const REFRESH: &str = "@refresh@";

/// One hour in milliseconds.
const HOUR: i64 = 3_600_000;

/// What makes the placeholders of a case into a content.
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
    let mut cases = each_member_with_each_value();
    cases.extend(times());
    cases.extend(scopes());
    cases.extend(times_and_scopes_together());
    cases.extend(each_value_in_an_expired_login());
    cases.extend(missing_pairs());
    cases.extend(cleared());
    cases.extend(members_of_the_file());
    cases.extend(texts_around_the_json());
    cases.extend(texts_that_are_not_json());
    cases.extend(names_and_duplicates());
    cases.extend(bytes_and_sizes());
    let mut names = BTreeSet::new();
    for case in &cases {
        assert!(names.insert(case.name.clone()), "two cases are called {:?}", case.name);
    }
    cases
}

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
fn login(changes: &[(&str, Option<&str>)]) -> String {
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

fn file(login: &str) -> String {
    format!("{{\"claudeAiOauth\":{login}}}")
}

fn changed(name: impl Into<String>, changes: &[(&str, Option<&str>)]) -> Case {
    Case::new(name, file(&login(changes)))
}

/// One JSON value of each kind, under the name that the cases call it by.
const VALUES: [(&str, &str); 17] = [
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

fn each_member_with_each_value() -> Vec<Case> {
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

fn times() -> Vec<Case> {
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

fn scopes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, value) in SCOPES {
        cases.push(changed(format!("scopes: {kind}"), &[("scopes", Some(value))]));
        let past = [("scopes", Some(value)), ("expiresAt", Some("@past@"))];
        cases.push(changed(format!("scopes: {kind}, past"), &past));
    }
    cases
}

fn times_and_scopes_together() -> Vec<Case> {
    let mut cases = Vec::new();
    for (time, expires_at) in [("zero", "0"), ("null", "null"), ("future in seconds", "@future-seconds@")] {
        for (scope, scopes) in [("text", "\"user:inference\""), ("empty list", "[]")] {
            let changes = [("expiresAt", Some(expires_at)), ("scopes", Some(scopes))];
            cases.push(changed(format!("expiresAt {time}, scopes {scope}"), &changes));
        }
    }
    cases
}

fn each_value_in_an_expired_login() -> Vec<Case> {
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

fn missing_pairs() -> Vec<Case> {
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

fn cleared() -> Vec<Case> {
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

fn members_of_the_file() -> Vec<Case> {
    let whole = login(&[]);
    let mut cases = Vec::new();
    for (kind, value) in VALUES {
        cases.push(Case::new(format!("claudeAiOauth {kind}"), file(value)));
        cases.push(Case::new(format!("another member {kind}"), {
            format!("{{\"mcpOAuth\":{value},\"claudeAiOauth\":{whole}}}")
        }));
    }
    let text = whole.replace('"', "\\\"");
    cases.push(Case::new("claudeAiOauth as text", file(&format!("\"{text}\""))));
    cases.push(Case::new("claudeAiOauth in a list", file(&format!("[{whole}]"))));
    cases.push(Case::new("claudeAiOauth in a list of the file", format!("[{}]", file(&whole))));
    cases.push(Case::new("the login without its member", whole.clone()));
    cases.push(Case::new("no member", "{}"));
    cases.push(Case::new("another member alone", "{\"mcpOAuth\":{}}"));
    cases.push(Case::new("an unknown member of the login", file(&login(&[("unknown", Some("[1,{}]"))]))));
    cases.push(Case::new("an unknown member called __proto__", {
        format!("{{\"__proto__\":{{\"a\":1}},\"claudeAiOauth\":{whole}}}")
    }));
    cases.push(Case::new("the login in __proto__", format!("{{\"__proto__\":{}}}", file(&whole))));
    cases.push(Case::new("the login's members in __proto__", file(&format!("{{\"__proto__\":{whole}}}"))));
    cases
}

fn texts_around_the_json() -> Vec<Case> {
    let whole = file(&login(&[]));
    let after = [
        ("a line end", "\n"),
        ("CR LF", "\r\n"),
        ("a tabulator", "\t"),
        ("a form feed", "\u{c}"),
        ("a no-break space", "\u{a0}"),
        ("a NUL", "\0"),
        ("many NULs", "\0\0\0\0\0\0\0\0"),
        ("a brace", "}"),
        ("a letter", "x"),
        ("a comma", ","),
        ("a comment", " // comment"),
        ("a second object", "{}"),
        ("the rest of a longer file", "\"}}}"),
        ("a byte order mark", "\u{feff}"),
    ];
    let mut cases = Vec::new();
    for (kind, text) in after {
        cases.push(Case::new(format!("{kind} behind"), format!("{whole}{text}")));
        cases.push(Case::new(format!("{kind} before"), format!("{text}{whole}")));
    }
    cases.push(Case::new("a byte order mark twice", format!("\u{feff}\u{feff}{whole}")));
    cases.push(Case::new("the whole file twice", format!("{whole}{whole}")));
    cases.push(Case::new("pretty with CR LF", {
        whole.replace(',', ",\r\n  ").replace('{', "{\r\n").replace('}', "\r\n}")
    }));
    cases.push(Case::new("pretty with tabulators", whole.replace(',', ",\n\t").replace(':', "\t: ")));
    cases
}

fn texts_that_are_not_json() -> Vec<Case> {
    let whole = file(&login(&[]));
    let half = &whole[..whole.len() / 2];
    vec![
        Case::new("empty file", ""),
        Case::new("blank file", " \n"),
        Case::new("NULs alone", "\0\0\0\0"),
        Case::new("a brace alone", "{"),
        Case::new("text alone", "\"text\""),
        Case::new("a number alone", "7"),
        Case::new("null alone", "null"),
        Case::new("a list alone", "[]"),
        Case::new("a word alone", "not json"),
        Case::new("the first half", half),
        Case::new("all but the last brace", &whole[..whole.len() - 1]),
        Case::new("a comma behind the last member", whole.replace("}}", ",}}")),
        Case::new("a comma behind the login", whole.replace("}}", "},}")),
        Case::new("single quotes", whole.replace('"', "'")),
        Case::new("names without quotes", whole.replace("\"accessToken\"", "accessToken")),
        Case::new("a comment inside", whole.replacen('{', "{/* comment */", 1)),
        Case::new("a line end in a text", whole.replace("\"max\"", "\"ma\nx\"")),
        Case::new("a tabulator in a text", whole.replace("\"max\"", "\"ma\tx\"")),
        Case::new("a wrong escape", whole.replace("\"max\"", "\"ma\\x\"")),
        Case::new("half a surrogate", whole.replace("\"max\"", "\"\\ud800\"")),
        Case::new("NaN", file(&login(&[("expiresAt", Some("NaN"))]))),
        Case::new("Infinity", file(&login(&[("expiresAt", Some("Infinity"))]))),
        Case::new("a number with a plus", file(&login(&[("expiresAt", Some("+@future@"))]))),
        Case::new("a number with a leading zero", file(&login(&[("expiresAt", Some("0@future@"))]))),
        Case::new("a number with a separator", file(&login(&[("expiresAt", Some("1_000"))]))),
        Case::new("a number without an end", file(&login(&[("expiresAt", Some("1."))]))),
    ]
}

fn names_and_duplicates() -> Vec<Case> {
    let whole = login(&[]);
    let other = login(&[("accessToken", Some("\"\""))]);
    let twice =
        |first: &str, second: &str| format!("{{\"claudeAiOauth\":{first},\"claudeAiOauth\":{second}}}");
    let inner = |name: &str, first: &str| {
        // The member again, before all others.
        file(&whole.replacen('{', &format!("{{\"{name}\":{first},"), 1))
    };
    let last = |name: &str, last: &str| {
        let open = whole.trim_end_matches('}');
        file(&format!("{open},\"{name}\":{last}}}"))
    };
    vec![
        Case::new("login twice", twice(&whole, &whole)),
        Case::new("login twice, the last not usable", twice(&whole, &other)),
        Case::new("login twice, the last usable", twice(&other, &whole)),
        Case::new("login twice, the last null", twice(&whole, "null")),
        Case::new("login twice, the first null", twice("null", &whole)),
        Case::new("accessToken twice, the first empty", inner("accessToken", "\"\"")),
        Case::new("accessToken twice, the last empty", last("accessToken", "\"\"")),
        Case::new("refreshToken twice, the last empty", last("refreshToken", "\"\"")),
        Case::new("expiresAt twice, the first past", inner("expiresAt", "@past@")),
        Case::new("expiresAt twice, the last past", last("expiresAt", "@past@")),
        Case::new("expiresAt twice, the last null", last("expiresAt", "null")),
        Case::new("scopes twice, the first empty", inner("scopes", "[]")),
        Case::new("scopes twice, the last empty", last("scopes", "[]")),
        Case::new("scopes twice, the last null", last("scopes", "null")),
        Case::new("escaped name of the login", {
            file(&whole).replace("\"claudeAiOauth\"", "\"\\u0063laudeAiOauth\"")
        }),
        Case::new(
            "escaped name of a member",
            file(&whole).replace("\"accessToken\"", "\"access\\u0054oken\""),
        ),
        Case::new("escaped text of a token", file(&whole).replace("\"@access@\"", "\"@access@\\u0020\"")),
        Case::new("upper case name of the login", file(&whole).replace("claudeAiOauth", "ClaudeAiOauth")),
        Case::new("lower case name of the login", file(&whole).replace("claudeAiOauth", "claudeaioauth")),
        Case::new("snake case names", {
            file(&whole).replace("accessToken", "access_token").replace("refreshToken", "refresh_token")
        }),
        Case::new("a blank behind a name", file(&whole).replace("\"accessToken\"", "\"accessToken \"")),
    ]
}

fn bytes_and_sizes() -> Vec<Case> {
    let whole = login(&[]);
    let invalid = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        for byte in &mut bytes {
            if *byte == b'#' {
                *byte = 0xff;
            }
        }
        bytes
    };
    let entry = |index: usize| {
        format!("\"server{index}|{}\":{{\"accessToken\":\"{}\"}}", "k".repeat(20), "t".repeat(3900))
    };
    let large: Vec<String> = (0..1300).map(entry).collect();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    // The placeholders of a run are not found in UTF-16.
    let literal = login(&[
        ("accessToken", Some("\"sk-access\"")),
        ("refreshToken", Some("\"sk-refresh\"")),
        ("expiresAt", Some("3500000000000")),
    ]);
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(500), close.repeat(500));
    vec![
        Case::new("not UTF-8 in another member", {
            invalid(&format!("{{\"note\":\"#\",\"claudeAiOauth\":{whole}}}"))
        }),
        Case::new("not UTF-8 in the login", {
            invalid(&file(&login(&[("subscriptionType", Some("\"#\""))])))
        }),
        Case::new("not UTF-8 behind", invalid(&format!("{}#", file(&whole)))),
        Case::new("not UTF-8 between", invalid(&format!("{{#\"claudeAiOauth\":{whole}}}"))),
        Case::new("UTF-16", utf16(&file(&literal))),
        Case::new("UTF-16 with its mark", utf16(&format!("\u{feff}{}", file(&literal)))),
        Case::new("letters beyond ASCII", {
            format!(
                "{{\"ä\":\"日本\",\"claudeAiOauth\":{}}}",
                login(&[("subscriptionType", Some("\"größe\""))])
            )
        }),
        Case::new("5 MiB of mcpOAuth", {
            format!("{{\"mcpOAuth\":{{{}}},\"claudeAiOauth\":{whole}}}", large.join(","))
        }),
        Case::new("5 MiB of blanks", format!("{}{}", file(&whole), " ".repeat(5 << 20))),
        Case::new("5 MiB of NULs", format!("{}{}", file(&whole), "\0".repeat(5 << 20))),
        Case::new("lists nested deep in another member", {
            format!("{{\"mcpOAuth\":{},\"claudeAiOauth\":{whole}}}", deep("[", "]"))
        }),
        Case::new("lists nested deep in the login", file(&login(&[("unknown", Some(&deep("[", "]")))]))),
        Case::new("a text of 100 kB in the login", {
            file(&login(&[("unknown", Some(&format!("\"{}\"", "t".repeat(100_000))))]))
        }),
    ]
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

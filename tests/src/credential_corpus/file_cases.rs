//! Files with other members, and texts that are not or not only JSON.

use super::Case;
use super::login_cases::{VALUES, file, login};

pub(super) fn file_members() -> Vec<Case> {
    let complete = login(&[]);
    let mut cases = Vec::new();
    for (kind, value) in VALUES {
        cases.push(Case::new(format!("claudeAiOauth {kind}"), file(value)));
        cases.push(Case::new(format!("another member {kind}"), {
            format!("{{\"mcpOAuth\":{value},\"claudeAiOauth\":{complete}}}")
        }));
    }
    let text = complete.replace('"', "\\\"");
    cases.push(Case::new("claudeAiOauth as text", file(&format!("\"{text}\""))));
    cases.push(Case::new("claudeAiOauth in a list", file(&format!("[{complete}]"))));
    cases.push(Case::new("claudeAiOauth in a list of the file", format!("[{}]", file(&complete))));
    cases.push(Case::new("the login without its member", complete.clone()));
    cases.push(Case::new("no member", "{}"));
    cases.push(Case::new("another member alone", "{\"mcpOAuth\":{}}"));
    cases.push(Case::new("an unknown member of the login", file(&login(&[("unknown", Some("[1,{}]"))]))));
    cases.push(Case::new("an unknown member called __proto__", {
        format!("{{\"__proto__\":{{\"a\":1}},\"claudeAiOauth\":{complete}}}")
    }));
    cases.push(Case::new("the login in __proto__", format!("{{\"__proto__\":{}}}", file(&complete))));
    cases.push(Case::new("the login's members in __proto__", file(&format!("{{\"__proto__\":{complete}}}"))));
    cases
}

pub(super) fn surrounding_text() -> Vec<Case> {
    let complete = file(&login(&[]));
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
        cases.push(Case::new(format!("{kind} behind"), format!("{complete}{text}")));
        cases.push(Case::new(format!("{kind} before"), format!("{text}{complete}")));
    }
    cases.push(Case::new("a byte order mark twice", format!("\u{feff}\u{feff}{complete}")));
    cases.push(Case::new("the whole file twice", format!("{complete}{complete}")));
    cases.push(Case::new("pretty with CR LF", {
        complete.replace(',', ",\r\n  ").replace('{', "{\r\n").replace('}', "\r\n}")
    }));
    cases.push(Case::new("pretty with tabulators", complete.replace(',', ",\n\t").replace(':', "\t: ")));
    cases
}

pub(super) fn invalid_json() -> Vec<Case> {
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

pub(super) fn names_and_duplicates() -> Vec<Case> {
    let complete = login(&[]);
    let other = login(&[("accessToken", Some("\"\""))]);
    let twice =
        |first: &str, second: &str| format!("{{\"claudeAiOauth\":{first},\"claudeAiOauth\":{second}}}");
    let inner = |name: &str, first: &str| {
        // The member again, before all others.
        file(&complete.replacen('{', &format!("{{\"{name}\":{first},"), 1))
    };
    let last = |name: &str, last: &str| {
        let open = complete.trim_end_matches('}');
        file(&format!("{open},\"{name}\":{last}}}"))
    };
    vec![
        Case::new("login twice", twice(&complete, &complete)),
        Case::new("login twice, the last not usable", twice(&complete, &other)),
        Case::new("login twice, the last usable", twice(&other, &complete)),
        Case::new("login twice, the last null", twice(&complete, "null")),
        Case::new("login twice, the first null", twice("null", &complete)),
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
            file(&complete).replace("\"claudeAiOauth\"", "\"\\u0063laudeAiOauth\"")
        }),
        Case::new(
            "escaped name of a member",
            file(&complete).replace("\"accessToken\"", "\"access\\u0054oken\""),
        ),
        Case::new("escaped text of a token", file(&complete).replace("\"@access@\"", "\"@access@\\u0020\"")),
        Case::new("upper case name of the login", file(&complete).replace("claudeAiOauth", "ClaudeAiOauth")),
        Case::new("lower case name of the login", file(&complete).replace("claudeAiOauth", "claudeaioauth")),
        Case::new("snake case names", {
            file(&complete).replace("accessToken", "access_token").replace("refreshToken", "refresh_token")
        }),
        Case::new("a blank behind a name", file(&complete).replace("\"accessToken\"", "\"accessToken \"")),
    ]
}

pub(super) fn bytes_and_sizes() -> Vec<Case> {
    let complete = login(&[]);
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
            invalid(&format!("{{\"note\":\"#\",\"claudeAiOauth\":{complete}}}"))
        }),
        Case::new("not UTF-8 in the login", {
            invalid(&file(&login(&[("subscriptionType", Some("\"#\""))])))
        }),
        Case::new("not UTF-8 behind", invalid(&format!("{}#", file(&complete)))),
        Case::new("not UTF-8 between", invalid(&format!("{{#\"claudeAiOauth\":{complete}}}"))),
        Case::new("UTF-16", utf16(&file(&literal))),
        Case::new("UTF-16 with its mark", utf16(&format!("\u{feff}{}", file(&literal)))),
        Case::new("letters beyond ASCII", {
            format!(
                "{{\"ä\":\"日本\",\"claudeAiOauth\":{}}}",
                login(&[("subscriptionType", Some("\"größe\""))])
            )
        }),
        Case::new("5 MiB of mcpOAuth", {
            format!("{{\"mcpOAuth\":{{{}}},\"claudeAiOauth\":{complete}}}", large.join(","))
        }),
        Case::new("5 MiB of blanks", format!("{}{}", file(&complete), " ".repeat(5 << 20))),
        Case::new("5 MiB of NULs", format!("{}{}", file(&complete), "\0".repeat(5 << 20))),
        Case::new("lists nested deep in another member", {
            format!("{{\"mcpOAuth\":{},\"claudeAiOauth\":{complete}}}", deep("[", "]"))
        }),
        Case::new("lists nested deep in the login", file(&login(&[("unknown", Some(&deep("[", "]")))]))),
        Case::new("a text of 100 kB in the login", {
            file(&login(&[("unknown", Some(&format!("\"{}\"", "t".repeat(100_000))))]))
        }),
    ]
}

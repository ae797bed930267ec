use super::*;

fn read(text: &str) -> Result<Roster, RosterError> {
    parse(text, Path::new("roster.yaml"))
}

fn enabled_users(text: &str) -> Vec<(String, bool)> {
    let roster = read(text).unwrap_or_else(|error| panic!("{error}"));
    roster.users.into_iter().map(|(name, entry)| (name, entry.is_enabled())).collect()
}

fn expect(text: &str, users: &[(&str, bool)]) {
    let expected: Vec<_> = users.iter().map(|(name, is)| ((*name).to_owned(), *is)).collect();
    assert_eq!(enabled_users(text), expected, "{text}");
}

#[test]
fn documented_roster_examples_are_valid() {
    let expected = [("alice", true), ("bob", false), ("carol", false)];
    expect(include_str!("../../../packaging/examples/roster.yaml"), &expected);
    let page = include_str!("../../../docs/man/claude-auth-sync-roster.5.scd");
    let example = page.split("```\n").nth(1).expect("an example");
    expect(example, &expected);
    for key in [CLAUDE_AUTH, PARKED] {
        assert!(page.contains(&format!("\n*{key}*\n")), "{key}");
    }
    for key in OTHERS {
        assert!(page.contains(&format!("_{key}_")), "{key}");
    }
}

#[test]
fn only_two_keys_of_a_user_are_read() {
    expect(
        "# the fleet\nversion: 3\nusers:\n  ada:\n    tier: 2\n    repos: [a, {b: c}, a]\n    namespaces: {x: 1, x: 2}\n  \
         bob:\n    claude_auth: false\n  cy: {parked: true, claude_auth: true}\n  dee:\n  eve: {claude_auth: Yes, parked: off}\n  \"fay\": ~\n",
        &[("ada", true), ("bob", false), ("cy", false), ("dee", true), ("eve", true), ("fay", true)],
    );
}

#[test]
fn anchors_and_merges_are_resolved() {
    expect(
        "away: &away {parked: true, tier: 1}\nusers:\n  ada: *away\n  bob: {<<: *away, parked: false}\n  cy:\n    <<: [*away, {parked: false}]\n",
        &[("ada", false), ("bob", true), ("cy", false)],
    );
}

#[test]
fn entry_has_its_line_number() {
    let roster = read("users:\n  ada: {}\n\n  # comment\n  bob:\n    tier: 1\n").expect("a roster");
    assert_eq!(roster.users.values().map(|entry| entry.line).collect::<Vec<_>>(), [2, 5]);
    assert!(roster.ends_with_newline);
    assert!(!read("users:\n  ada: {}\n  bo").is_ok_and(|roster| roster.ends_with_newline));
    assert!(!read("users:\n  ada: {}").expect("a roster").ends_with_newline);
}

#[test]
fn ambiguous_roster_error_names_the_line() {
    for (text, expected) in [
        ("", "lists no users"),
        ("# nothing\n", "lists no users"),
        ("users:\n", "lists no users"),
        ("users: {}\n", "lists no users"),
        ("people:\n  ada:\n", "lists no users"),
        ("user:\n  ada:\n", "line 1: the key \"user\": did you mean `users`?"),
        ("Users:\n  ada:\n", "line 1: the key \"Users\""),
        ("- ada\n", "line 1: a roster is a map"),
        ("users:\n  - ada\n", "line 2: `users` must be a map"),
        ("users: ada\n", "line 1: `users` must be a map"),
        ("users:\n  ada: yes\n", "line 2: the value of ada"),
        (
            "users:\n  ada:\n    claude-auth: false\n",
            "line 3: the key \"claude-auth\": did you mean `claude_auth`?",
        ),
        ("users:\n  ada:\n    claudeAuth: false\n", "did you mean `claude_auth`?"),
        ("users:\n  ada:\n    cluade_auth: false\n", "did you mean `claude_auth`?"),
        ("users:\n  ada:\n    Parked: true\n", "did you mean `parked`?"),
        ("users:\n  ada:\n    praked: true\n", "did you mean `parked`?"),
        ("users:\n  ada:\n    parked: \"yes\"\n", "line 3: `parked` must be true or false"),
        ("users:\n  ada:\n    parked: 1\n", "line 3: `parked` must be true or false"),
        ("users:\n  ada:\n    claude_auth:\n", "line 3: `claude_auth` must be true or false"),
        ("users:\n  ada:\n    claude_auth: fal", "line 3: `claude_auth` must be true or false"),
        ("users:\n  ada:\n  bob:\n  ada:\n", "line 4: \"ada\" is a duplicate of the key in line 2"),
        ("users:\n  ada: {parked: true, parked: false}\n", "line 2: \"parked\" is a duplicate"),
        ("users:\n  ada:\nusers:\n  bob:\n", "line 3: \"users\" is a duplicate"),
        ("users:\n  ../ada:\n", "line 2: \"../ada\" is not a valid user name"),
        ("users:\n  ada: {parked: true\n", "line"),
        ("users:\n\tada:\n", "line"),
        ("users: [\n", "line"),
        ("users:\n  ada:\n  bo", "line 3"),
        ("users:\n  ada:\n  bo\n  cy:\n", "line 4"),
        ("users:\n  ada:\n---\nusers:\n  bob:\n", "a second document"),
        ("users: &all\n  ada: *all\n", "line 2"),
        ("users:\n  ada: {<<: yes}\n", "`<<` merges maps only"),
        ("\u{0}\u{1}binary", "line"),
    ] {
        let error = read(text).map(|roster| panic!("{text:?}: {roster:?}")).unwrap_err().to_string();
        assert!(error.starts_with("roster.yaml") && error.contains(expected), "{text:?}: {error}");
    }
}

/// Returns the error of an invalid roster. Parses in a thread with a small stack, because a deep
/// text must not depend on the stack size of the program.
fn parse_error(text: String) -> String {
    let refused = std::thread::Builder::new().stack_size(1 << 20).spawn(move || match read(&text) {
        Ok(_) => panic!("{} bytes that begin with {:?} are a roster", text.len(), &text[..60]),
        Err(error) => error.to_string(),
    });
    refused.expect("a thread").join().expect("the stack is large enough")
}

#[test]
fn roster_nested_too_deep_names_the_line() {
    for (open, shown) in [("[", "line 2: "), ("{a: ", "line 2: "), ("? ", "line 2: "), ("- ", "line 3: ")] {
        let line = if open == "- " { "\n    " } else { "" };
        for depth in [100, 100_000] {
            let error = parse_error(format!("users:\n  ada: {line}{}\n", open.repeat(depth)));
            assert!(error.contains(shown), "{open:?} {depth}: {error}");
        }
    }
}

#[test]
fn roster_with_chained_aliases_names_the_line() {
    let chain: String = (1..150_000).map(|n| format!("a{n}: &a{n} [*a{}]\n", n - 1)).collect();
    let error = parse_error(format!("a0: &a0 x\n{chain}users:\n  ada:\n"));
    assert!(error.contains("line 65: this alias is nested more than 64 deep"), "{error}");
    let chain: String = (1..150_000).map(|n| format!("? &a{n} {{*a{} : x}}\n: x\n", n - 1)).collect();
    let error = parse_error(format!("a0: &a0 x\n{chain}users:\n  ada:\n"));
    assert!(error.contains("line 128: this alias is nested more than 64 deep"), "{error}");
}

#[test]
fn roster_with_exploding_aliases_names_the_line() {
    let ten = |name: &str| [name; 10].join(", ");
    let laughs: String =
        (1..60).map(|n| format!("a{n}: &a{n} [{}]\n", ten(&format!("*a{}", n - 1)))).collect();
    let error = parse_error(format!("a0: &a0 x\n{laughs}users:\n  ada:\n"));
    assert!(error.contains("line 7: the roster has more than 1000000 values"), "{error}");
    // Each user merges a thousand maps: ten million keys in a file of a few hundred kilobytes.
    let maps = ["{tier: 1}"; 1000].join(", ");
    let users: String = (0..10_000).map(|n| format!("  u{n}: {{<<: *all}}\n")).collect();
    let error = parse_error(format!("all: &all [{maps}]\nusers:\n{users}"));
    assert!(error.contains("the roster has more than 1000000 values"), "{error}");
    let error = parse_error(format!("users: [{}]\n", "a,".repeat(1_500_000)));
    assert!(error.contains("line 1: the roster has more than 1000000 values"), "{error}");
}

#[test]
fn large_fleet_is_within_limits() {
    let users: String = (0..10_000)
        .map(|n| format!("  u{n}:\n    <<: *usual\n    repos: [a, b, c, d, e, f, g, h]\n    namespaces: {{x: 1, y: 2}}\n"))
        .collect();
    let roster = read(&format!("usual: &usual {{tier: 2, claude_auth: yes}}\nusers:\n{users}"));
    assert_eq!(roster.expect("a roster").users.len(), 10_000);
}

#[test]
fn keys_of_other_tools_are_not_misspellings() {
    for key in
        ["claude_plan", "auth", "authentik_user", "claude", "park", "parking_lot", "tier", "marked_for_x"]
    {
        assert!(read(&format!("users:\n  ada:\n    {key}: whatever\n")).is_ok(), "{key}");
    }
}

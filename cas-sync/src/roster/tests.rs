use super::*;

fn read(text: &str) -> Result<Roster, RosterError> {
    parse(text, Path::new("roster.yaml"))
}

fn wanted(text: &str) -> Vec<(String, bool)> {
    let roster = read(text).unwrap_or_else(|error| panic!("{error}"));
    roster.people.into_iter().map(|(name, entry)| (name, entry.is_enabled())).collect()
}

fn expect(text: &str, people: &[(&str, bool)]) {
    let expected: Vec<_> = people.iter().map(|(name, is)| ((*name).to_owned(), *is)).collect();
    assert_eq!(wanted(text), expected, "{text}");
}

#[test]
fn the_example_and_the_manual_page_are_understood() {
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
fn two_keys_are_ours_and_all_others_are_left_alone() {
    expect(
        "# the fleet\nversion: 3\nusers:\n  ada:\n    tier: 2\n    repos: [a, {b: c}, a]\n    namespaces: {x: 1, x: 2}\n  \
         bob:\n    claude_auth: false\n  cy: {parked: true, claude_auth: true}\n  dee:\n  eve: {claude_auth: Yes, parked: off}\n  \"fay\": ~\n",
        &[("ada", true), ("bob", false), ("cy", false), ("dee", true), ("eve", true), ("fay", true)],
    );
}

#[test]
fn what_others_write_with_anchors_and_merges_is_understood() {
    expect(
        "away: &away {parked: true, tier: 1}\nusers:\n  ada: *away\n  bob: {<<: *away, parked: false}\n  cy:\n    <<: [*away, {parked: false}]\n",
        &[("ada", false), ("bob", true), ("cy", false)],
    );
}

#[test]
fn the_line_of_each_entry_is_known() {
    let roster = read("users:\n  ada: {}\n\n  # comment\n  bob:\n    tier: 1\n").expect("a roster");
    assert_eq!(roster.people.values().map(|entry| entry.line).collect::<Vec<_>>(), [2, 5]);
    assert!(roster.is_whole);
    assert!(!read("users:\n  ada: {}\n  bo").is_ok_and(|roster| roster.is_whole));
    assert!(!read("users:\n  ada: {}").expect("a roster").is_whole);
}

#[test]
fn what_could_be_meant_in_two_ways_names_the_line() {
    for (text, expected) in [
        ("", "names nobody"),
        ("# nothing\n", "names nobody"),
        ("users:\n", "names nobody"),
        ("users: {}\n", "names nobody"),
        ("people:\n  ada:\n", "names nobody"),
        ("user:\n  ada:\n", "line 1: the key \"user\": did you mean `users`?"),
        ("Users:\n  ada:\n", "line 1: the key \"Users\""),
        ("- ada\n", "line 1: a roster is a map"),
        ("users:\n  - ada\n", "line 2: `users` must be a map"),
        ("users: ada\n", "line 1: `users` must be a map"),
        ("users:\n  ada: yes\n", "line 2: what stands below ada"),
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
        (
            "users:\n  ada:\n  bob:\n  ada:\n",
            "line 4: \"ada\" stands here a second time; the first is in line 2",
        ),
        ("users:\n  ada: {parked: true, parked: false}\n", "line 2: \"parked\" stands here a second time"),
        ("users:\n  ada:\nusers:\n  bob:\n", "line 3: \"users\" stands here a second time"),
        ("users:\n  ../ada:\n", "line 2: \"../ada\" cannot be a login name"),
        ("users:\n  ada: {parked: true\n", "line"),
        ("users:\n\tada:\n", "line"),
        ("users: [\n", "line"),
        ("users:\n  ada:\n  bo", "line 3"),
        ("users:\n  ada:\n  bo\n  cy:\n", "line 4"),
        ("users:\n  ada:\n---\nusers:\n  bob:\n", "a second document"),
        ("users: &all\n  ada: *all\n", "line 2"),
        ("users:\n  ada: {<<: yes}\n", "`<<` takes over maps only"),
        ("\u{0}\u{1}binary", "line"),
    ] {
        let error = read(text).map(|roster| panic!("{text:?}: {roster:?}")).unwrap_err().to_string();
        assert!(error.starts_with("roster.yaml") && error.contains(expected), "{text:?}: {error}");
    }
    let deep = format!("users:\n  ada: {}\n", "[".repeat(100));
    assert!(read(&deep).is_err());
}

#[test]
fn keys_of_other_tools_are_no_near_misses() {
    for key in
        ["claude_plan", "auth", "authentik_user", "claude", "park", "parking_lot", "tier", "marked_for_x"]
    {
        assert!(read(&format!("users:\n  ada:\n    {key}: whatever\n")).is_ok(), "{key}");
    }
}

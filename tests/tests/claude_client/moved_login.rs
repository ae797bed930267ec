//! Which login a real client uses if a variable moves its configuration.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::time::Duration;

use cas_tests::anthropic::fingerprint;
use cas_tests::claude_client::{ClaudeFixture, NEWEST, OLDER};
use serde_json::json;

use super::{LIMIT, document};

/// The question, with the settings of the user.
const QUESTION: [&str; 10] = [
    "-p",
    "Reply with exactly AUTH_OK and nothing else.",
    "--model",
    "haiku",
    "--max-turns",
    "1",
    "--output-format",
    "stream-json",
    "--verbose",
    "--no-session-persistence",
];

const CONFIG: &str = "CLAUDE_CONFIG_DIR";
const CREDENTIALS: &str = "CLAUDE_SECURESTORAGE_CONFIG_DIR";

/// Where a variable is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SetIn {
    Environment(&'static str),
    Settings,
    OwnState,
    Managed,
}

/// A place of a variable, and the login that the client uses with it: that in `~/moved`, that in
/// `~/.claude`, or none.
type Row = (&'static str, SetIn, Option<&'static str>);

/// `{}` is the absolute path of the directory `moved` in the home, which is the working directory.
const ROWS: [Row; 13] = [
    (CONFIG, SetIn::Environment("{}"), Some("moved")),
    (CONFIG, SetIn::Environment("moved"), Some("moved")),
    (CONFIG, SetIn::Environment(""), None),
    (CONFIG, SetIn::Environment("~/moved"), None),
    (CONFIG, SetIn::Settings, Some("moved")),
    (CONFIG, SetIn::OwnState, Some("moved")),
    (CONFIG, SetIn::Managed, Some("moved")),
    (CREDENTIALS, SetIn::Environment("{}"), Some("moved")),
    (CREDENTIALS, SetIn::Environment(""), Some("usual")),
    (CREDENTIALS, SetIn::Environment("~/moved"), None),
    (CREDENTIALS, SetIn::Settings, Some("moved")),
    (CREDENTIALS, SetIn::OwnState, Some("moved")),
    (CREDENTIALS, SetIn::Managed, Some("moved")),
];

#[test]
fn variable_in_any_place_moves_the_login() {
    for version in ["2.1.332", NEWEST, OLDER] {
        let fixture = ClaudeFixture::with_version(version).unwrap_or_else(|error| panic!("{error}"));
        for (index, row) in ROWS.into_iter().enumerate() {
            let used = used_login(&fixture, index, row);
            assert_eq!(used, row.2, "{version}: {row:?}");
        }
    }
}

fn used_login(fixture: &ClaudeFixture, index: usize, (variable, set_in, _): Row) -> Option<&'static str> {
    let user = fixture.create_user(&format!("user{index}")).expect("a user");
    let usual = user.sign_in().expect("signed in");
    let moved = fixture.anthropic().sign_in(&format!("moved{index}"), Duration::from_secs(8 * 3600));
    let directory = user.make_directory("moved").expect("a directory");
    let write = |path: PathBuf, text: String| {
        fs::write(&path, text).expect("written");
        chown(&path, Some(user.uid()), Some(user.uid())).expect("owned by the user");
    };
    write(directory.join(".credentials.json"), document(&moved, 8).to_string());
    let value = directory.display().to_string();
    let settings = json!({ "env": { variable: value } }).to_string();
    fixture.write_managed_settings(if set_in == SetIn::Managed { &settings } else { "{}" }).expect("written");
    let client = user.claude().arguments(&QUESTION);
    let client = match set_in {
        SetIn::Environment(text) => client.variable(variable, &text.replace("{}", &value)),
        SetIn::Settings => {
            write(user.home().join(".claude/settings.json"), settings);
            client
        }
        SetIn::OwnState => {
            write(user.home().join(".claude.json"), settings);
            client
        }
        SetIn::Managed => client,
    };
    fixture.anthropic().forget_requests();
    client.run(LIMIT).expect("an end");
    let requests = fixture.anthropic().requests();
    let token = requests.iter().find(|request| request.is_message())?.token.clone()?;
    let logins = [("usual", usual.access_token), ("moved", moved.access_token)];
    logins.into_iter().find(|(_, access)| fingerprint(access) == token).map(|(name, _)| name)
}

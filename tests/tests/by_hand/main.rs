//! The commands for users and scripts, with real files, the real client and a real server: their
//! output, their exit status, and what they do not change.

mod backup;
mod check;
mod foreign_settings;
mod misuse;
mod restore;
mod verify;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cas_core::credential::fingerprint::RefreshTokenId;
use cas_tests::claude_login::{HOUR_MS, parsed};
use cas_tests::now_ms;
use cas_tests::test_user::{LOGIN, STATE, TestUser};
use serde_json::{Value, json};

/// How a command ended.
struct CommandOutput {
    code: Option<i32>,
    out: String,
    err: String,
}

impl CommandOutput {
    /// Checks the exit status and the words on the standard output. A failure prints all output.
    #[track_caller]
    fn expect(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        for word in words {
            assert!(self.out.contains(word), "{word:?} is not in: {}{}", self.out, self.err);
        }
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        let value: Value =
            serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out));
        assert_eq!(value["schema"], 1);
        assert_eq!(value["exit_code"].as_i64().map(|code| code as i32), self.code, "{value}");
        value
    }
}

/// Runs `cas-sync` with these words as the user.
fn by_hand(test_user: &TestUser, words: &str) -> CommandOutput {
    let arguments: Vec<_> = words.split_whitespace().collect();
    let ended = test_user.output(test_user.command(&test_user.program("cas-sync"), &arguments));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    CommandOutput { code: ended.status.code(), out: text(&ended.stdout), err: text(&ended.stderr) }
}

/// Returns every file of the home with its content.
fn home(test_user: &TestUser) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, files);
            } else {
                files.insert(path.clone(), fs::read(&path).expect("a file"));
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(&test_user.home(), &mut files);
    files
}

/// Returns a file of the state directory, as JSON.
fn state(test_user: &TestUser, name: &str) -> Value {
    let content = test_user.read(&format!("{STATE}/{name}")).unwrap_or_else(|| panic!("there is no {name}"));
    serde_json::from_slice(&content).expect("JSON")
}

/// Returns the text of the login file.
fn login(test_user: &TestUser) -> Value {
    parsed(&String::from_utf8(test_user.read(LOGIN).expect("a file")).expect("UTF-8"))
}

/// Returns the name of the generation in a login file.
fn generation(file: &str) -> String {
    let token = parsed(file)["claudeAiOauth"]["refreshToken"].as_str().expect("a token").to_owned();
    RefreshTokenId::from_bytes(&token).to_string()
}

/// Returns a user with the real client, signed in until this many days from now, and the login
/// file.
fn signed_in(days: u64) -> (TestUser, String) {
    let test_user = TestUser::create_with_claude();
    let mut file = parsed(&test_user.sign_in());
    file["claudeAiOauth"]["refreshTokenExpiresAt"] = json!(now_ms() + days * 24 * HOUR_MS + HOUR_MS);
    test_user.put(LOGIN, &file.to_string());
    (test_user, file.to_string())
}

fn access_token(file: &str) -> String {
    parsed(file)["claudeAiOauth"]["accessToken"].as_str().expect("a token").to_owned()
}

/// Returns the number of refresh requests.
fn refreshes(test_user: &TestUser) -> usize {
    test_user.anthropic().requests().iter().filter(|request| request.is_refresh()).count()
}

//! A user with the settings of a row: what the real client sends, and what `cas-sync` says of it.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;

use cas_tests::anthropic::{SettingsAnswer, fingerprint};
use cas_tests::claude_client::{ClaudeFixture, ClaudeUser, Invocation, OLDER, QUESTION, in_hours};
use serde_json::{Value, json};

use super::row::{FILES, Row, TOKEN, setup_token};

const LIMIT: Duration = Duration::from_secs(120);

/// The client says that there is no credential.
pub(super) const NOT_LOGGED_IN: &str = "not logged in";
/// The client of a cloud provider finds no credential of that, and sends nothing.
pub(super) const NOTHING_SENT: &str = "provider";

/// A user of the fixture.
pub(super) struct RowUser<'fixture> {
    fixture: &'fixture ClaudeFixture,
    user: ClaudeUser<'fixture>,
    row: Row,
}

impl<'fixture> RowUser<'fixture> {
    /// Creates the user. The settings of the machine and of the organization are those of the user
    /// that was created last.
    pub(super) fn create(fixture: &'fixture ClaudeFixture, name: &str, text: &str) -> Self {
        let user = fixture.create_user(name).expect("a user");
        let mut row = Row::parse(text, &user.home().display().to_string());
        row.secrets.keys().for_each(|secret| fixture.anthropic().accept_setup_token(secret));
        let moved = fixture.anthropic().sign_in(&format!("moved-{name}"), Duration::from_secs(8 * 3600));
        let login = user.sign_in().expect("signed in");
        row.secrets.insert(login.access_token, "login".into());
        row.secrets.insert(moved.access_token.clone(), "login in moved".into());
        let found = Self { fixture, user, row };
        if found.row.has_no_login {
            fs::remove_file(found.user.credentials_file()).expect("no login");
        }
        let moved = json!({"claudeAiOauth": moved.oauth_object(in_hours(8))});
        found.write("moved/.credentials.json", &moved.to_string());
        if text.contains("setup token") {
            found.write(".config/claude-auth-sync/claude-oauth.env", &format!("{TOKEN}={}\n", setup_token()));
        }
        found.write("project/.git/HEAD", "ref: refs/heads/main\n");
        found.write("project/sub/file", "");
        found.write("descriptor", found.row.descriptor.as_deref().unwrap_or_default());
        found.write_settings();
        found
    }

    fn write_settings(&self) {
        let settings = |place: &str| self.row.places.get(place).map(Value::to_string);
        for (place, path) in FILES {
            if let Some(text) = settings(place) {
                self.write(path, &text);
            }
        }
        let managed = settings("managed-settings").unwrap_or("{}".into());
        self.fixture.write_managed_settings(&managed).expect("managed settings");
        let fixture = self.user.home().parent().expect("the fixture's directory");
        let snippets = fixture.join("claude-code/managed-settings.d");
        drop(fs::remove_dir_all(&snippets));
        if let Some(text) = settings("managed-snippet") {
            fs::create_dir(&snippets).expect("a directory");
            fs::write(snippets.join("10-other.json"), "{}").expect("a snippet");
            fs::write(snippets.join("50-token.json"), text).expect("a snippet");
        }
        let served = self.row.places.get("organization").cloned();
        let answer = served.map_or(SettingsAnswer::NotFound, SettingsAnswer::Settings);
        self.fixture.anthropic().answer_settings(answer);
    }

    fn write(&self, path: &str, text: &str) {
        let (home, path) = (self.user.home(), self.user.home().join(path));
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a mode");
        for path in path.ancestors().take_while(|path| *path != home) {
            chown(path, Some(self.user.uid()), Some(self.user.uid())).expect("owned by the user");
        }
    }

    /// Returns the kinds and places of what the client of this version sends.
    pub(super) fn sent(&self, version: &str) -> String {
        let client = if version == OLDER { self.user.older_claude() } else { self.user.claude() };
        self.fixture.anthropic().forget_requests();
        let output = self.invoke(client, &QUESTION);
        let requests = self.fixture.anthropic().requests();
        let Some(request) = requests.iter().find(|request| request.is_message()) else {
            return match output.0.contains("Not logged in") {
                true => NOT_LOGGED_IN.into(),
                false if output.0.contains("CLAUDE_CODE_USE") || self.selects_provider() => {
                    NOTHING_SENT.into()
                }
                false => format!("says: {}", output.0.lines().last().unwrap_or_default()),
            };
        };
        let name = |sent: &String| {
            let known = self.row.secrets.iter().find(|(secret, _)| fingerprint(secret) == *sent);
            known.map_or("unknown", |(_, name)| name)
        };
        let names: BTreeSet<_> = request.token.iter().chain(&request.key).map(name).collect();
        names.into_iter().collect::<Vec<_>>().join(" + ")
    }

    fn selects_provider(&self) -> bool {
        let settings = self.row.places.values().map(Value::to_string);
        let variables = self.row.environment.iter().map(|(name, _)| name.clone());
        settings.chain(variables).any(|text| text.contains("CLAUDE_CODE_USE"))
    }

    /// Returns what `cas-sync status` says that the client sends.
    pub(super) fn reported(&self) -> String {
        let (text, _) = self.cas_sync(&["status", "--json"]);
        assert!(!text.contains("sk-ant"), "no secret is ever printed: {text}");
        let own: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let moved = self.user.home().join("moved/.credentials.json");
        let is_moved = self.is_same(own["login_file"].as_str().unwrap_or_default(), &moved);
        let name = |candidate: &Value| {
            let kind = candidate["kind"].as_str()?;
            Some(match (kind, candidate["place"].as_str()) {
                ("provider", _) => NOTHING_SENT.to_owned(),
                ("login", _) if is_moved => "login in moved".to_owned(),
                (_, Some(place)) => format!("{kind} {place}"),
                (_, None) => kind.to_owned(),
            })
        };
        let names: BTreeSet<_> = [&own["active"], &own["also_sent"]].into_iter().filter_map(name).collect();
        if names.is_empty() {
            NOT_LOGGED_IN.into()
        } else {
            names.into_iter().collect::<Vec<_>>().join(" + ")
        }
    }

    fn is_same(&self, path: &str, other: &Path) -> bool {
        self.user.home().join(&self.row.directory).join(path) == other
    }

    /// Returns output and exit status of a command in the environment of the row.
    pub(super) fn cas_sync(&self, arguments: &[&str]) -> (String, Option<i32>) {
        self.invoke(self.user.sync(), arguments)
    }

    /// Returns true if a request has reached the API since the client was asked.
    pub(super) fn has_asked(&self) -> bool {
        !self.fixture.anthropic().requests().is_empty()
    }

    pub(super) fn forget_requests(&self) {
        self.fixture.anthropic().forget_requests();
    }

    fn invoke(&self, program: Invocation<'_>, arguments: &[&str]) -> (String, Option<i32>) {
        let home = self.user.home();
        let program = program.arguments(arguments).directory(home.join(&self.row.directory));
        let variables = self.row.environment.iter();
        let program = variables.fold(program, |program, (name, value)| program.variable(name, value));
        let program =
            if self.row.descriptor.is_some() { program.descriptor(home.join("descriptor")) } else { program };
        let output = program.run(LIMIT).expect("an end");
        let text = output.stdout + &output.stderr;
        (text, output.exit_code)
    }
}

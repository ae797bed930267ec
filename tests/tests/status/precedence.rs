//! For each combination of credentials: the real client sends a question, and its credential is the
//! one that `cas-sync status` names. When a new version of the client makes a row fail, its order
//! has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::Duration;

use cas_tests::anthropic::{SettingsAnswer, fingerprint};
use cas_tests::claude_client::{ClaudeFixture, ClaudeUser, NEWEST};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(120);

/// The name of a credential here, and in `status`: its kind, and its location.
type Named = (&'static str, &'static str, &'static str);

const CREDENTIALS: [Named; 19] = [
    ("env-token", "foreign-setup-token", "environment"),
    ("own-token", "foreign-setup-token", "own-state"),
    ("user-token", "foreign-setup-token", "user-settings"),
    ("managed-token", "foreign-setup-token", "managed-settings"),
    ("snippet-token", "foreign-setup-token", "managed-settings"),
    ("ours", "setup-token", "environment"),
    ("env-key", "api-key", "environment"),
    ("own-key", "api-key", "own-state"),
    ("user-key", "api-key", "user-settings"),
    ("env-bearer", "auth-token", "environment"),
    ("user-bearer", "auth-token", "user-settings"),
    ("managed-bearer", "auth-token", "managed-settings"),
    ("served-bearer", "auth-token", "organization"),
    ("served-token", "foreign-setup-token", "organization"),
    ("user-helper", "api-key-helper", "user-settings"),
    ("own-helper", "api-key-helper", "own-state"),
    ("managed-helper", "api-key-helper", "managed-settings"),
    ("header", "custom-headers", "environment"),
    ("primary", "primary-api-key", "own-state"),
];

fn secret(name: &str) -> String {
    format!("sk-ant-oat01-{name}")
}

/// One combination.
#[derive(Default)]
struct Combination {
    environment: Vec<(&'static str, String)>,
    own_state: Value,
    user: Value,
    managed: Value,
    snippet: Option<Value>,
    served: Option<Value>,
    has_no_login: bool,
}

fn combination() -> Combination {
    Combination { own_state: json!({}), user: json!({}), managed: json!({}), ..Combination::default() }
}

const TOKEN: &str = "CLAUDE_CODE_OAUTH_TOKEN";
const KEY: &str = "ANTHROPIC_API_KEY";
const BEARER: &str = "ANTHROPIC_AUTH_TOKEN";

fn in_environment(variables: &[(&'static str, &str)]) -> Combination {
    let environment = variables.iter().map(|(name, value)| (*name, secret(value))).collect();
    Combination { environment, ..combination() }
}

fn env(name: &str, value: &str) -> Value {
    json!({"env": {name: secret(value)}})
}

fn helper(name: &str) -> Value {
    json!({"apiKeyHelper": format!("echo {}", secret(name))})
}

/// Returns the rows: the credentials that exist.
fn combinations() -> Vec<Combination> {
    vec![
        combination(),
        Combination { has_no_login: true, ..combination() },
        in_environment(&[(TOKEN, "ours")]),
        in_environment(&[(TOKEN, "env-token")]),
        Combination { user: env(TOKEN, "user-token"), ..in_environment(&[(TOKEN, "env-token")]) },
        Combination { own_state: env(TOKEN, "own-token"), ..in_environment(&[(TOKEN, "env-token")]) },
        Combination { own_state: env(TOKEN, "own-token"), user: env(TOKEN, "user-token"), ..combination() },
        Combination { user: env(TOKEN, "user-token"), managed: env(TOKEN, "managed-token"), ..combination() },
        Combination {
            managed: env(TOKEN, "managed-token"),
            snippet: Some(env(TOKEN, "snippet-token")),
            ..combination()
        },
        Combination { user: json!({"env": {TOKEN: ""}}), ..in_environment(&[(TOKEN, "env-token")]) },
        in_environment(&[(TOKEN, "ours"), (KEY, "env-key")]),
        in_environment(&[(TOKEN, "ours"), (BEARER, "env-bearer")]),
        in_environment(&[(KEY, "env-key"), (BEARER, "env-bearer")]),
        Combination { user: env(KEY, "user-key"), ..in_environment(&[(KEY, "env-key")]) },
        Combination { user: env(KEY, "user-key"), ..in_environment(&[(TOKEN, "ours")]) },
        Combination { own_state: env(KEY, "own-key"), ..in_environment(&[(BEARER, "env-bearer")]) },
        Combination { user: helper("user-helper"), ..in_environment(&[(TOKEN, "ours")]) },
        Combination { user: helper("user-helper"), ..in_environment(&[(BEARER, "env-bearer")]) },
        Combination { user: helper("user-helper"), ..in_environment(&[(KEY, "env-key")]) },
        Combination { user: helper("user-helper"), managed: helper("managed-helper"), ..combination() },
        Combination { own_state: helper("own-helper"), ..combination() },
        Combination { own_state: json!({"primaryApiKey": secret("primary")}), ..combination() },
        Combination {
            own_state: json!({"primaryApiKey": secret("primary")}),
            has_no_login: true,
            ..combination()
        },
        Combination {
            own_state: json!({"primaryApiKey": secret("primary")}),
            has_no_login: true,
            ..in_environment(&[(TOKEN, "ours")])
        },
        Combination {
            environment: vec![(
                "ANTHROPIC_CUSTOM_HEADERS",
                format!("Authorization: Bearer {}", secret("header")),
            )],
            ..combination()
        },
        Combination {
            environment: vec![
                ("ANTHROPIC_CUSTOM_HEADERS", format!("authorization: Bearer {}", secret("header"))),
                (KEY, secret("env-key")),
            ],
            ..combination()
        },
        Combination { environment: vec![("ANTHROPIC_CUSTOM_HEADERS", "X-Team: a".into())], ..combination() },
        Combination { environment: vec![("ANTHROPIC_PROFILE", "nobody".into())], ..combination() },
        Combination {
            environment: vec![("CLAUDE_CODE_USE_BEDROCK", "1".into())],
            user: json!({"env": {"CLAUDE_CODE_USE_BEDROCK": "0"}}),
            ..combination()
        },
        Combination {
            environment: vec![
                ("CLAUDE_CODE_USE_VERTEX", "x".into()),
                ("CLAUDE_CODE_USE_GATEWAY", "1".into()),
            ],
            ..combination()
        },
        Combination { user: json!({"env": {"CLAUDE_CODE_USE_FOUNDRY": true}}), ..combination() },
        Combination {
            environment: vec![("CLAUDE_CODE_USE_MANTLE", "Yes".into()), (KEY, secret("env-key"))],
            ..combination()
        },
        Combination {
            served: Some(env(BEARER, "served-bearer")),
            managed: env(BEARER, "managed-bearer"),
            user: env(BEARER, "user-bearer"),
            ..combination()
        },
        Combination { served: Some(env(TOKEN, "served-token")), ..combination() },
    ]
}

#[test]
fn status_names_the_credential_that_the_client_sends() {
    let fixture = ClaudeFixture::with_sync(NEWEST).unwrap_or_else(|error| panic!("{error}"));
    for (name, ..) in CREDENTIALS {
        fixture.anthropic().accept_setup_token(&secret(name));
    }
    let mut differences = Vec::new();
    for (index, combination) in combinations().into_iter().enumerate() {
        let user = fixture.create_user(&format!("person{index}")).expect("a user");
        let login = user.sign_in().expect("signed in");
        write_combination(&fixture, &user, &combination);
        let sent = sent_credential(&fixture, &user, &combination, &login.access_token);
        let named = reported_credentials(&user, &combination);
        if sent != named {
            differences.push(format!("{index}: sent {sent:?}, and status names {named:?}"));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

fn write_combination(fixture: &ClaudeFixture, person: &ClaudeUser<'_>, combination: &Combination) {
    let write = |path: &str, text: String| {
        let path = person.home().join(path);
        let folder = path.parent().expect("a folder");
        fs::create_dir_all(folder).expect("a folder");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a mode");
        for path in [folder.parent().expect("a folder"), folder, &path] {
            if path.starts_with(person.home()) {
                chown(path, Some(person.uid()), Some(person.uid())).expect("owned by the user");
            }
        }
    };
    if combination.has_no_login {
        fs::remove_file(person.credentials_file()).expect("no login");
    }
    write(".claude.json", combination.own_state.to_string());
    write(".claude/settings.json", combination.user.to_string());
    write(".config/claude-auth-sync/claude-oauth.env", format!("{TOKEN}={}\n", secret("ours")));
    fixture.write_managed_settings(&combination.managed.to_string()).expect("managed settings");
    let snippets =
        person.home().parent().expect("the fixture's directory").join("claude-code/managed-settings.d");
    drop(fs::remove_dir_all(&snippets));
    if let Some(snippet) = &combination.snippet {
        fs::create_dir(&snippets).expect("a folder");
        fs::write(snippets.join("10-other.json"), "{}").expect("a snippet");
        fs::write(snippets.join("50-token.json"), snippet.to_string()).expect("a snippet");
    }
    fixture.anthropic().answer_settings(SettingsAnswer::NotFound);
    if let Some(served) = &combination.served {
        fixture.anthropic().answer_settings(SettingsAnswer::Settings(served.clone()));
        write(".claude/remote-settings.json", served.to_string());
    }
}

/// Returns the kinds and locations of the credentials in the headers of the client's question.
fn sent_credential(
    fixture: &ClaudeFixture,
    person: &ClaudeUser<'_>,
    combination: &Combination,
    login: &str,
) -> BTreeSet<(String, String)> {
    let known: BTreeMap<_, _> =
        CREDENTIALS.iter().map(|(name, kind, place)| (fingerprint(&secret(name)), (*kind, *place))).collect();
    let question =
        ["-p", "Reply with exactly AUTH_OK and nothing else.", "--model", "haiku", "--max-turns", "1"];
    let output = ["--output-format", "stream-json", "--verbose", "--no-session-persistence", "--tools", ""];
    fixture.anthropic().forget_requests();
    let client = person.claude().arguments(&[&question[..], &output].concat());
    let client =
        combination.environment.iter().fold(client, |client, (name, value)| client.variable(name, value));
    client.run(LIMIT).expect("an end");
    let requests = fixture.anthropic().requests();
    let Some(request) = requests.iter().find(|request| request.is_message()) else {
        // The client of a provider searches other locations for its credentials; without any,
        // nothing is sent.
        let has_provider = [&combination.user.to_string(), &format!("{:?}", combination.environment)]
            .iter()
            .any(|text| text.contains("CLAUDE_CODE_USE"));
        return has_provider.then(|| ("provider".to_owned(), String::new())).into_iter().collect();
    };
    let name = |sent: &String| match known.get(sent) {
        Some((kind, place)) => ((*kind).to_owned(), (*place).to_owned()),
        None if *sent == fingerprint(login) => ("login".to_owned(), String::new()),
        None => ("unknown".to_owned(), String::new()),
    };
    request.token.iter().chain(&request.key).map(name).collect()
}

/// Returns the kinds and locations that `cas-sync status` names in the same environment.
fn reported_credentials(user: &ClaudeUser<'_>, combination: &Combination) -> BTreeSet<(String, String)> {
    let status = user.sync().arguments(&["status", "--json"]);
    let status =
        combination.environment.iter().fold(status, |status, (name, value)| status.variable(name, value));
    let output = status.run(LIMIT).expect("an end");
    assert!(!output.stdout.contains("sk-ant"), "no secret is ever printed: {}", output.stdout);
    let own: Value =
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let name = |candidate: &Value| {
        let kind = candidate["kind"].as_str()?.to_owned();
        let place = candidate["place"].as_str().unwrap_or_default().to_owned();
        Some(if kind == "provider" { (kind, String::new()) } else { (kind, place) })
    };
    [&own["active"], &own["also_sent"]].into_iter().filter_map(name).collect()
}

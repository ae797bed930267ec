use cas_core::claude_files::json_settings::ClaudeJson;
use cas_core::time::timestamp::Timestamp;
use serde_json::json;

use super::*;

const ENVIRONMENT: Place = Place::Environment;
const SETTINGS: Place = Place::UserSettings;

/// Returns a user with this login file and these settings. The env file has the setup token `ours`,
/// and had `old`.
fn sources(login: &str, settings: &[(Place, serde_json::Value)]) -> Sources {
    let parsed = |(place, text): &(Place, serde_json::Value)| {
        (*place, Settings::from_file(&ClaudeJson::parse(text.to_string().as_bytes()).expect("an object")))
    };
    Sources {
        settings: settings.iter().map(parsed).collect(),
        project: Project::default(),
        login_file: PathBuf::new(),
        login: LoginFileState::parse(login.as_bytes(), Timestamp::from_millis(0)).summary(),
        moved: None,
        has_open_key: false,
        sign_out: None,
        state_problem: None,
        profiles: vec![Fingerprint::from_bytes("work")],
        active_profile: None,
        env_file: Some(Fingerprint::from_bytes("ours")),
        withdrawn: vec![Fingerprint::from_bytes("old")],
        unknown: Vec::new(),
    }
}

const LOGIN: &str = r#"{"claudeAiOauth":{"accessToken":"a","refreshToken":"r","expiresAt":1000000,"scopes":["user:inference"]}}"#;
const CLEARED: &str = r#"{"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0}}"#;

fn env(name: &str, value: &str) -> serde_json::Value {
    json!({"env": {name: value}})
}

#[track_caller]
fn words(effective: &Effective) -> Vec<&'static str> {
    effective
        .chosen
        .iter()
        .chain(&effective.beside)
        .chain(&effective.shadowed)
        .map(|one| one.kind.word())
        .collect()
}

#[test]
fn credentials_are_used_in_documented_order() {
    let everything = [
        ("CLAUDE_CODE_USE_BEDROCK", "1"),
        ("ANTHROPIC_CUSTOM_HEADERS", "X-Team: a\nAuthorization: Bearer x"),
        ("ANTHROPIC_API_KEY", "k"),
        ("ANTHROPIC_AUTH_TOKEN", "t"),
        ("apiKeyHelper", "/bin/key"),
        ("CLAUDE_CODE_OAUTH_TOKEN", "ours"),
        ("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", "3"),
        ("ANTHROPIC_PROFILE", "work"),
    ];
    let order = [
        "provider",
        "custom-headers",
        "api-key",
        "auth-token",
        "api-key-helper",
        "setup-token",
        "token-descriptor",
        "profile",
        "login",
        "primary-api-key",
    ];
    for from in 0..=everything.len() {
        let left = &everything[from..];
        let helper = left.iter().find(|(name, _)| *name == "apiKeyHelper").map(|(_, value)| *value);
        let variables: BTreeMap<_, _> = left.iter().copied().collect();
        let effective = sources(
            LOGIN,
            &[
                (ENVIRONMENT, json!({"env": variables})),
                (SETTINGS, json!({"apiKeyHelper": helper})),
                (Place::OwnState, json!({"primaryApiKey": "p"})),
            ],
        )
        .effective();
        assert_eq!(words(&effective), order[from..], "from {from}");
    }
}

#[test]
fn later_place_overrides_or_unsets_variable() {
    let token = "ANTHROPIC_AUTH_TOKEN";
    let places = [
        ENVIRONMENT,
        Place::OwnState,
        SETTINGS,
        Place::ProjectSettings,
        Place::LocalSettings,
        Place::ManagedSettings,
        Place::Organization,
    ];
    for (earlier, later) in places.into_iter().zip(places.into_iter().skip(1)) {
        let found = sources(LOGIN, &[(earlier, env(token, "a")), (later, env(token, "b"))]).effective();
        assert_eq!(found.chosen, Some(Candidate { kind: Kind::AuthToken, place: Some(later) }));
        for blank in ["", " \n"] {
            let found = sources(LOGIN, &[(earlier, env(token, "a")), (later, env(token, blank))]);
            assert_eq!(words(&found.effective()), ["login"], "{later:?}");
        }
    }
}

#[test]
fn variable_without_a_login_is_named() {
    for (name, value, expected) in [
        ("CLAUDE_CODE_SIMPLE", "1", &[][..]),
        ("CLAUDE_CODE_SIMPLE", "0", &["login"]),
        ("CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR", "9", &[]),
    ] {
        let sources = sources(LOGIN, &[(ENVIRONMENT, env(name, value))]);
        let effective = sources.effective();
        assert_eq!(words(&effective), expected, "{name}={value}");
        let why = sources.unmanaged(&effective);
        assert_eq!(why.is_some_and(|why| why.contains(name)), expected.is_empty(), "{name}={value}");
    }
}

#[test]
fn token_from_organization_is_ignored() {
    let served = (Place::Organization, env("CLAUDE_CODE_OAUTH_TOKEN", "x"));
    assert_eq!(words(&sources(LOGIN, std::slice::from_ref(&served)).effective()), ["login"]);
    let own = (ENVIRONMENT, env("CLAUDE_CODE_OAUTH_TOKEN", "ours"));
    assert_eq!(words(&sources(LOGIN, &[own, served]).effective()), ["setup-token", "login"]);
}

#[test]
fn token_origin_ignores_white_space() {
    for (value, whose) in [
        ("ours", "setup-token"),
        ("ours\n", "setup-token"),
        ("old", "withdrawn-setup-token"),
        ("x", "foreign-setup-token"),
    ] {
        let effective = sources("", &[(ENVIRONMENT, env("CLAUDE_CODE_OAUTH_TOKEN", value))]).effective();
        assert_eq!(words(&effective), [whose]);
        assert_eq!(effective.token_not_here, whose != "setup-token");
    }
    assert!(sources(LOGIN, &[]).effective().token_not_here, "a session older than the token");
}

#[test]
fn setting_without_effect_overrides_nothing() {
    for settings in [
        env("CLAUDE_CODE_USE_BEDROCK", "0"),
        env("CLAUDE_CODE_USE_BEDROCK", "x"),
        env("CLAUDE_CODE_USE_GATEWAY", "1"),
        env("ANTHROPIC_CUSTOM_HEADERS", "X-Team: a"),
        env("ANTHROPIC_PROFILE", "missing"),
        env("ANTHROPIC_API_KEY", " "),
        json!({"apiKeyHelper": ""}),
        json!({"primaryApiKey": "only in the client's own state"}),
    ] {
        assert_eq!(
            words(&sources(LOGIN, &[(SETTINGS, settings.clone())]).effective()),
            ["login"],
            "{settings}"
        );
    }
    let helper = json!({"apiKeyHelper": "only in settings"});
    assert_eq!(words(&sources(LOGIN, &[(Place::OwnState, helper)]).effective()), ["login"]);
}

#[test]
fn provider_switch_is_parsed_like_the_client() {
    for on in [json!("1"), json!("TRUE"), json!("yes"), json!("on"), json!(1), json!(true)] {
        let settings = json!({"env": {"CLAUDE_CODE_USE_FOUNDRY": on}});
        assert_eq!(words(&sources(LOGIN, &[(SETTINGS, settings)]).effective()), ["provider", "login"]);
    }
}

#[test]
fn login_without_tokens_is_not_used() {
    for (login, expected) in [
        (CLEARED, &["primary-api-key"][..]),
        ("{", &["primary-api-key"]),
        (LOGIN, &["login", "primary-api-key"]),
    ] {
        let own = (Place::OwnState, json!({"primaryApiKey": "p"}));
        assert_eq!(words(&sources(login, &[own]).effective()), expected, "{login}");
    }
    assert_eq!(sources("{", &[]).effective().chosen, None);
    let with_profile =
        Sources { active_profile: Some(Fingerprint::from_bytes("work")), ..sources(CLEARED, &[]) };
    assert_eq!(words(&with_profile.effective()), ["active-profile"]);
    let missing_profile =
        Sources { active_profile: Some(Fingerprint::from_bytes("play")), ..sources(CLEARED, &[]) };
    assert_eq!(missing_profile.effective().chosen, None);
}

#[test]
fn api_key_and_bearer_token_are_sent_together() {
    let both = json!({"env": {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_AUTH_TOKEN": "t"}});
    let effective = sources(LOGIN, &[(SETTINGS, both)]).effective();
    assert_eq!(effective.beside.map(|one| one.kind), Some(Kind::AuthToken));
    assert_eq!(effective.shadowed.iter().map(|one| one.kind).collect::<Vec<_>>(), [Kind::Login]);
    assert_eq!(
        effective.chosen.map(Candidate::reason).as_deref(),
        Some("ANTHROPIC_API_KEY in ~/.claude/settings.json")
    );
    let headers =
        json!({"env": {"ANTHROPIC_CUSTOM_HEADERS": "authorization: x", "ANTHROPIC_AUTH_TOKEN": "t"}});
    assert_eq!(
        sources(LOGIN, &[(SETTINGS, headers)]).effective().beside,
        None,
        "a header replaces the token"
    );
}

#[test]
fn other_server_is_reported() {
    let elsewhere = env("ANTHROPIC_BASE_URL", "https://gateway");
    assert_eq!(sources(LOGIN, &[(Place::OwnState, elsewhere)]).effective().server, Some(Place::OwnState));
    assert_eq!(sources(LOGIN, &[]).effective().server, None);
}

#[test]
fn sources_contain_no_secret() {
    let key = env("ANTHROPIC_API_KEY", "sk-very-secret");
    let sources = sources(LOGIN, &[(SETTINGS, key)]);
    assert!(!format!("{sources:?}{:?}", sources.effective()).contains("very-secret"));
}

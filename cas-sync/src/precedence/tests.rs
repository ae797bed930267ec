use cas_core::claude_files::json_settings::ClaudeJson;
use cas_core::time::timestamp::Timestamp;
use serde_json::json;

use super::*;

const ENVIRONMENT: Place = Place::Environment;
const SETTINGS: Place = Place::UserSettings;

/// Somebody with this login file and these settings; the env file has the setup-token `ours`, and had `old`.
fn sources(login: &str, settings: &[(Place, serde_json::Value)]) -> Sources {
    let parsed = |(place, text): &(Place, serde_json::Value)| {
        (*place, Settings::of(&ClaudeJson::parse(text.to_string().as_bytes()).expect("an object")))
    };
    Sources {
        settings: settings.iter().map(parsed).collect(),
        login_file: PathBuf::new(),
        login: LoginFileState::parse(login.as_bytes(), Timestamp::from_millis(0)).summary(),
        profiles: vec![Fingerprint::from_bytes("work")],
        active_profile: None,
        env_file: Some(Fingerprint::from_bytes("ours")),
        withdrawn: vec![Fingerprint::from_bytes("old")],
        unknown: Vec::new(),
    }
}

const LOGIN: &str = r#"{"claudeAiOauth":{"accessToken":"a","refreshToken":"r","expiresAt":1000000,"scopes":["user:inference"]}}"#;
const TOMBSTONE: &str = r#"{"claudeAiOauth":{"accessToken":"","refreshToken":"","expiresAt":0}}"#;

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
fn each_kind_of_credential_stands_before_all_that_follow() {
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
                (SETTINGS, json!({"env": variables, "apiKeyHelper": helper})),
                (Place::OwnState, json!({"primaryApiKey": "p"})),
            ],
        )
        .effective();
        assert_eq!(words(&effective), order[from..], "from {from}");
    }
}

#[test]
fn of_two_places_the_later_one_has_the_last_word_and_may_take_it_back() {
    let token = "ANTHROPIC_AUTH_TOKEN";
    let places = [ENVIRONMENT, Place::OwnState, SETTINGS, Place::ManagedSettings, Place::Organization];
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
fn an_organisation_serves_no_token_for_everybody() {
    let served = (Place::Organization, env("CLAUDE_CODE_OAUTH_TOKEN", "x"));
    assert_eq!(words(&sources(LOGIN, std::slice::from_ref(&served)).effective()), ["login"]);
    let own = (ENVIRONMENT, env("CLAUDE_CODE_OAUTH_TOKEN", "ours"));
    assert_eq!(words(&sources(LOGIN, &[own, served]).effective()), ["setup-token", "login"]);
}

#[test]
fn a_token_is_known_for_ours_whatever_white_space_it_has_and_one_of_yesterday_too() {
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
    assert!(sources(LOGIN, &[]).effective().token_not_here, "a session that began before there was a token");
}

#[test]
fn what_has_no_effect_hides_nothing() {
    for settings in [
        env("CLAUDE_CODE_USE_BEDROCK", "0"),
        env("CLAUDE_CODE_USE_BEDROCK", "x"),
        env("CLAUDE_CODE_USE_GATEWAY", "1"),
        env("ANTHROPIC_CUSTOM_HEADERS", "X-Team: a"),
        env("ANTHROPIC_PROFILE", "nobody"),
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
fn switches_of_providers_are_read_as_the_client_reads_them() {
    for on in [json!("1"), json!("TRUE"), json!("yes"), json!("on"), json!(1), json!(true)] {
        let settings = json!({"env": {"CLAUDE_CODE_USE_FOUNDRY": on}});
        assert_eq!(words(&sources(LOGIN, &[(SETTINGS, settings)]).effective()), ["provider", "login"]);
    }
}

#[test]
fn a_login_that_claude_code_takes_for_none_is_no_candidate() {
    for (login, expected) in [
        (TOMBSTONE, &["primary-api-key"][..]),
        ("{", &["primary-api-key"]),
        (LOGIN, &["login", "primary-api-key"]),
    ] {
        let own = (Place::OwnState, json!({"primaryApiKey": "p"}));
        assert_eq!(words(&sources(login, &[own]).effective()), expected, "{login}");
    }
    assert_eq!(sources("{", &[]).effective().chosen, None);
    let with_profile =
        Sources { active_profile: Some(Fingerprint::from_bytes("work")), ..sources(TOMBSTONE, &[]) };
    assert_eq!(words(&with_profile.effective()), ["active-profile"]);
    let of_nobody =
        Sources { active_profile: Some(Fingerprint::from_bytes("play")), ..sources(TOMBSTONE, &[]) };
    assert_eq!(of_nobody.effective().chosen, None);
}

#[test]
fn an_api_key_and_a_bearer_token_go_out_together() {
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
    assert_eq!(sources(LOGIN, &[(SETTINGS, headers)]).effective().beside, None, "one replaces the other");
}

#[test]
fn another_server_is_named() {
    let elsewhere = env("ANTHROPIC_BASE_URL", "https://gateway");
    assert_eq!(sources(LOGIN, &[(Place::OwnState, elsewhere)]).effective().server, Some(Place::OwnState));
    assert_eq!(sources(LOGIN, &[]).effective().server, None);
}

#[test]
fn no_secret_is_kept() {
    let key = env("ANTHROPIC_API_KEY", "sk-very-secret");
    let sources = sources(LOGIN, &[(SETTINGS, key)]);
    assert!(!format!("{sources:?}{:?}", sources.effective()).contains("very-secret"));
}

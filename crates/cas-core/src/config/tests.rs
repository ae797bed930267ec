use super::*;

fn load(files: &[(&str, &str)]) -> Result<(Config, Vec<String>), ConfigError> {
    let directory = tempfile::tempdir().expect("a scratch directory");
    fs::create_dir(directory.path().join("conf.d")).expect("a directory");
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect("a file");
    }
    Config::load(directory.path())
}

#[test]
fn missing_configuration_selects_the_local_store() {
    assert_eq!(
        Config::load(Path::new("/nonexistent")).expect("no file is no error"),
        (Config::default(), vec![])
    );
}

#[test]
fn later_files_override_key_by_key() {
    let (config, warnings) = load(&[
        (
            "config.toml",
            "store = 'vault'\nlogin_refresh_after = '2h'\n[vault]\naddress = 'https://a'\nmount = 'kv'\n",
        ),
        ("conf.d/20.toml", "[vault]\naddress = 'https://c'\n"),
        ("conf.d/10.toml", "expected_organization = 'org'\n[vault]\naddress = 'https://b'\n"),
        ("conf.d/ignored.bak", "nonsense"),
    ])
    .expect("the configuration is valid");
    assert_eq!(config.store, StoreKind::Vault);
    assert_eq!(config.login_refresh_after, Duration::from_secs(7200));
    assert_eq!(config.vault.address.as_deref(), Some("https://c"));
    assert_eq!(config.vault.mount.as_deref(), Some("kv"));
    assert_eq!(config.expected_organization.as_deref(), Some("org"));
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn notify_command_is_a_list_and_may_be_empty() {
    let notify = |text: &str| load(&[("config.toml", text)]).expect("the configuration is valid").0.notify;
    assert_eq!(notify("[notify]\ncommand = ['/usr/bin/x', '-s', 'a b']"), ["/usr/bin/x", "-s", "a b"]);
    assert!(notify("[notify]\ncommand = []").is_empty() && notify("").is_empty());
}

#[test]
fn unknown_key_is_reported_with_the_nearest_one() {
    let (_, warnings) = load(&[("config.toml", "stor = 'local'\n[vault]\nadress = 'x'\n[other]\nkey = 1\n")])
        .expect("no error");
    assert!(
        warnings.iter().any(|line| line.contains("unknown key stor, which is ignored: did you mean store?")),
        "{warnings:?}"
    );
    assert!(warnings.iter().any(|line| line.contains("did you mean vault.address?")), "{warnings:?}");
    assert!(
        warnings.iter().any(|line| line.contains("unknown key other.key, which is ignored: the README")),
        "{warnings:?}"
    );
}

#[test]
fn invalid_value_names_file_and_remedy() {
    for (text, expected) in [
        ("store = 'valt'", "store must be \"local\" or \"vault\""),
        ("login_refresh_after = 15", "a duration such as"),
        ("login_refresh_after = '15 parsecs'", "a duration such as"),
        ("restore_from_other_machines = 'yes'", "true or false"),
        ("vault = 'https://x'", "[vault]"),
        ("verify = 'yes'", "true or false"),
        ("oauth_backup = 0", "true or false"),
        ("notify = '/bin/x'", "[notify]"),
        ("[notify]\ncommand = '/bin/x'", "a list of strings"),
        ("[notify]\ncommand = ['mail']", "an absolute path"),
        ("[notify]\ncommand = ['/bin/x', 7]", "a list of strings"),
        ("[notify]\ncommand = [\"/bin/x\", \"a\\u0000b\"]", "a list of strings"),
        ("claude = 'claude'", "[claude]"),
        ("[claude]\nprogram = 'bin/claude'", "an absolute path"),
        ("[claude]\nenvironment = 'x'", "a table such as"),
        ("[claude.environment]\nANTHROPIC_API_KEY = 'x'", "without ANTHROPIC_API_KEY; it may set HTTP_PROXY"),
        ("[claude.environment]\nHTTPS_PROXY = 7", "HTTPS_PROXY is not a string"),
        ("[claude.environment]\nHTTPS_PROXY = \"http://p\\u0000\"", "HTTPS_PROXY has a control character"),
        ("[claude.environment]\nNO_PROXY = \"a\\nb\"", "claude.environment must be a table of single lines"),
        ("[vault]\naddress = 7", "a string in quotes"),
        ("store = ", "config.toml"),
    ] {
        let error = load(&[("config.toml", text)]).expect_err(text).to_string();
        assert!(error.contains(expected) && error.contains("config.toml"), "{error}");
    }
}

#[test]
fn syntax_error_is_named_by_line_and_column() {
    for (text, expected) in [
        ("store = 'local'\nverify = tru\n", "config.toml: line 2, column 10: "),
        ("# für alle\r\n'ä' = = 1", "config.toml: line 2, column 7: "),
        ("store = ", "config.toml: line 1, column 9: "),
        ("store = 'a'\nstore = 'b'", "config.toml: line 2, column 1: duplicate key"),
        ("[vault]\naddress = 'x\n", "config.toml: line 2, column 13: "),
    ] {
        let error = load(&[("config.toml", text)]).expect_err(text).to_string();
        assert!(error.contains(expected) && !error.contains(char::is_control), "{error:?}");
    }
}

use proptest::prelude::*;

use super::*;

fn parse(written: &[&'static CStr]) -> (Options<'static>, Vec<String>) {
    let (options, warnings) = Options::parse(written);
    (options, warnings.iter().map(OptionWarning::to_string).collect())
}

#[test]
fn no_arguments_select_the_defaults() {
    let (options, warnings) = parse(&[]);
    assert_eq!(options, Options::default());
    assert!(warnings.is_empty());
}

#[test]
fn every_argument_is_parsed() {
    let (options, warnings) = parse(&[
        c"debug",
        c"deadline=1500ms",
        c"helper=/opt/x",
        c"minimum_uid=500",
        c"services=sshd,my-login",
    ]);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(
        options,
        Options {
            deadline: Duration::from_millis(1500),
            helper: c"/opt/x".to_owned(),
            minimum_uid: 500,
            services: Services::Only(vec!["sshd", "my-login"]),
            debug: true,
        }
    );
}

#[test]
fn deadline_is_parsed_and_clamped() {
    let rows = [
        (c"deadline=2s", Some(2000), false),
        (c"deadline=3", Some(3000), false),
        (c"deadline=500ms", Some(500), false),
        (c"deadline=100ms", Some(100), false),
        (c"deadline=10s", Some(10_000), false),
        (c"deadline=0", Some(100), true),
        (c"deadline=99ms", Some(100), true),
        (c"deadline=11s", Some(10_000), true),
        (c"deadline=4294967295s", Some(10_000), true),
        (c"deadline=4294967296s", None, true),
        (c"deadline=-1s", None, true),
        (c"deadline=+1s", None, true),
        (c"deadline=1.5s", None, true),
        (c"deadline= 2s", None, true),
        (c"deadline=2m", None, true),
        (c"deadline=ms", None, true),
        (c"deadline=", None, true),
        (c"deadline", None, true),
    ];
    for (written, milliseconds, has_warning) in rows {
        let (options, warnings) = parse(&[written]);
        let expected = milliseconds.map_or(Options::default().deadline, Duration::from_millis);
        assert_eq!(options.deadline, expected, "{written:?}");
        assert_eq!(!warnings.is_empty(), has_warning, "{written:?}: {warnings:?}");
    }
}

#[test]
fn invalid_argument_is_ignored_with_one_warning() {
    let rows: &[&CStr] = &[
        c"",
        c"=",
        c"Debug",
        c"debug=1",
        c"helper=cas-session",
        c"helper=",
        c"minimum_uid=x",
        c"minimum_uid=-1",
        c"minimum_uid=4294967296",
        c"services=",
        c"services=,,",
        c"services",
        c"use_first_pass",
        c"\xff\xfe",
        c"helper=/\xff",
    ];
    for written in rows {
        let (options, warnings) = Options::parse(&[written]);
        assert_eq!(options, Options::default(), "{written:?}");
        assert_eq!(warnings.len(), 1, "{written:?}");
    }
}

#[test]
fn first_of_two_equal_arguments_counts() {
    let (options, warnings) = parse(&[c"minimum_uid=5", c"minimum_uid=6", c"debug", c"debug"]);
    assert_eq!(options.minimum_uid, 5);
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].contains("given before"));
}

#[test]
fn invalid_value_does_not_count_as_given() {
    let (options, warnings) = parse(&[c"minimum_uid=x", c"minimum_uid=6"]);
    assert_eq!((options.minimum_uid, warnings.len()), (6, 1));
}

#[test]
fn service_names_match_completely() {
    let default = Services::Default;
    for service in ["sshd", "login", "su", "su-l", "sudo-i", "gdm-password", "xrdp-sesman"] {
        assert!(default.contain(service), "{service}");
    }
    for service in
        ["sudo", "cron", "systemd-user", "lightdm-greeter", "ssh", "sshd-cas", "", "runuser", "polkit-1"]
    {
        assert!(!default.contain(service), "{service}");
    }
    assert!(!Services::Only(vec!["my-login"]).contain("sshd"));
}

#[test]
fn manual_lists_exactly_the_arguments_and_services() {
    let manual = include_str!("../../docs/admin/pam-module.md");
    let rows: Vec<&str> = manual.lines().filter(|line| line.starts_with("| `")).collect();
    let shown: Vec<String> =
        rows.iter().map(|row| row.split('|').take(3).collect::<Vec<_>>().join("|")).collect();
    let expected: Vec<String> = ARGUMENTS
        .iter()
        .map(|argument| {
            let value = argument.value.map(|value| format!("={value}")).unwrap_or_default();
            format!("| `{}{value}` | {} ", argument.name, argument.default)
        })
        .collect();
    assert_eq!(shown, expected);

    let (_, rest) = manual.split_once("<!-- services -->").expect("the list of services is marked");
    let (list, _) = rest.split_once("<!-- end of services -->").expect("the list of services ends");
    let shown: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    assert_eq!(shown, DEFAULT_SERVICES);
}

#[test]
fn man_page_lists_exactly_the_arguments() {
    let page = include_str!("../../docs/man/pam_cas_session.8.scd");
    let (_, rest) = page.split_once("# OPTIONS\n").expect("a section of the options");
    let (options, _) = rest.split_once("\n# ").expect("its end");
    let entries: Vec<&str> = options.split("\n*").skip(1).collect();
    assert_eq!(entries.len(), ARGUMENTS.len());
    for (entry, argument) in entries.iter().zip(ARGUMENTS) {
        let (shown, described) = entry.split_once('\n').expect("a name and its description");
        let value = argument.value.map(|value| format!("={value}")).unwrap_or_default();
        let written = format!("{}{value}", argument.name).replace('…', "...");
        assert_eq!(shown.replace("*=_", "=").replace("_,", ",").trim_end_matches(['*', '_']), written);
        let default = match argument.name {
            "services" => DEFAULT_SERVICES.join(", "),
            "debug" => continue,
            _ => argument.default.replace("2s", "2 s"),
        };
        let text = described.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&default), "{written}: {text}");
    }
}

#[test]
fn documented_defaults_equal_the_default_options() {
    let defaults =
        ARGUMENTS.iter().filter(|argument| argument.name != "services" && argument.value.is_some());
    for argument in defaults {
        let written = CString::new(format!("{}={}", argument.name, argument.default)).unwrap();
        let (options, warnings) = Options::parse(&[&written]);
        assert!(warnings.is_empty(), "{}", argument.name);
        assert_eq!(options, Options::default(), "{}", argument.name);
    }
}

proptest! {
    #[test]
    fn any_arguments_result_in_valid_options(
        written in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(1_u8.., 0..40),
                "(deadline|helper|minimum_uid|services|debug)=?[ -~]{0,12}".prop_map(String::into_bytes),
                "deadline=[0-9]{0,12}(ms|s|)".prop_map(String::into_bytes),
            ],
            0..8,
        )
    ) {
        let written: Vec<CString> = written.into_iter().map(|bytes| CString::new(bytes).unwrap()).collect();
        let written: Vec<&CStr> = written.iter().map(CString::as_c_str).collect();
        let (options, warnings) = Options::parse(&written);
        prop_assert!((MIN_DEADLINE..=MAX_DEADLINE).contains(&options.deadline));
        prop_assert!(options.helper.to_bytes().starts_with(b"/"));
        prop_assert!(warnings.len() <= written.len());
        if let Services::Only(names) = &options.services {
            prop_assert!(!names.is_empty() && names.iter().all(|name| !name.is_empty()));
        }
        for warning in &warnings {
            prop_assert!(crate::line::LogLine::new(warning).render().is_ascii());
        }
    }
}

//! Every answer in the table of `docs/design/claude-code.md`, recorded from the newest client and
//! from an older one that reports less.

use cas_core::credential::verification::{ORGANIZATION_DISABLED, Verification};

use super::child::{ChildOutput, End};
use super::classify::{FileAfterRun, classify_probe, classify_refresh, confirm, needs_confirmation};
use super::version::{MIN_VERSION_FOR_REFUSALS, Version};

const NEWEST: &str = include_str!("recorded/2.1.329.txt");
const OLDER: &str = include_str!("recorded/2.1.197.txt");

/// Returns the recording with this name.
fn recorded(recording: &str, name: &str) -> ChildOutput {
    let section = |name: &str| {
        let start = format!("# {name}");
        let is_start = |line: &&str| {
            line.strip_prefix(&*start).is_some_and(|rest| rest.is_empty() || rest.starts_with(" |"))
        };
        let mut lines = recording.lines().skip_while(move |line| !is_start(line)).peekable();
        let head = lines.next().unwrap_or_else(|| panic!("{name} was not recorded")).to_owned();
        (head, lines.take_while(|line| !line.starts_with('#')).collect::<Vec<_>>())
    };
    let (head, lines) = section(name);
    let code = head.rsplit(' ').next().and_then(|code| code.parse().ok()).expect("an exit code");
    let (stderr, events): (Vec<&str>, Vec<&str>) = lines.iter().partition(|line| line.starts_with('!'));
    let began = if events.is_empty() { Vec::new() } else { section("init").1 };
    ChildOutput {
        end: End::Exited(code),
        stdout: began.iter().chain(&events).flat_map(|line| [line, "\n"]).collect::<String>().into(),
        stderr: stderr.join("\n").into(),
    }
}

fn unasked() -> Option<Version> {
    panic!("the client said which version it is")
}

const REJECTED: Expected = Expected::Rejected { account_level: false };
const ACCOUNT: Expected = Expected::Rejected { account_level: true };
const TOO_OLD: Expected = Expected::Unusable("update Claude Code to 2.1.324 or later");
const PROXY: Expected = Expected::Unknown("a proxy or another server answered instead of the API");
const UNREACHABLE: Expected = Expected::Unknown("the API could not be reached");
const NO_ANSWER: Expected = Expected::Unknown("the API did not answer in time");
const FAILED: Expected = Expected::Unknown("the API or a proxy failed (5xx)");
const UNKNOWN_ANSWER: Expected = Expected::Unknown("claude printed an unknown answer");

/// An expected result; the text is a part of the reason.
#[derive(Clone, Copy, Debug)]
enum Expected {
    Ok,
    Limited,
    Rejected { account_level: bool },
    Unusable(&'static str),
    Unknown(&'static str),
}

impl Expected {
    fn matches(self, verdict: &Verification) -> bool {
        match (self, verdict) {
            (Self::Ok, Verification::Ok) | (Self::Limited, Verification::RateLimited) => true,
            (Self::Rejected { account_level }, Verification::Rejected { account_level: found }) => {
                account_level == *found
            }
            (Self::Unusable(part), Verification::ClientUnusable(why))
            | (Self::Unknown(part), Verification::Inconclusive(why)) => why.contains(part),
            _ => false,
        }
    }
}

/// The name of a recording, the result with the newest client, and with the older one.
const PROBES: [(&str, Expected, Expected); 32] = [
    ("answered", Expected::Ok, Expected::Ok),
    ("401 expired", REJECTED, TOO_OLD),
    ("401 invalid", REJECTED, TOO_OLD),
    ("403 revoked", REJECTED, TOO_OLD),
    ("403 scope", REJECTED, TOO_OLD),
    ("403 organisation", ACCOUNT, ACCOUNT),
    ("401 organisation", ACCOUNT, ACCOUNT),
    ("400 disabled", Expected::Unknown(ORGANIZATION_DISABLED), Expected::Unknown(ORGANIZATION_DISABLED)),
    ("page 401", PROXY, TOO_OLD),
    ("page 403", PROXY, TOO_OLD),
    ("foreign 401", PROXY, TOO_OLD),
    (
        "429",
        Expected::Unknown("limits the request rate (429)"),
        Expected::Unknown("limits the request rate (429)"),
    ),
    ("429 limit", Expected::Limited, Expected::Limited),
    (
        "400 credit",
        Expected::Unknown("refused the request (400)"),
        Expected::Unknown("refused the request (400)"),
    ),
    (
        "404 model",
        Expected::Unknown("does not have the model (404)"),
        Expected::Unknown("does not have the model (404)"),
    ),
    ("500", FAILED, FAILED),
    ("529", Expected::Unknown("overloaded (529)"), Expected::Unknown("overloaded (529)")),
    ("page 200", UNKNOWN_ANSWER, UNKNOWN_ANSWER),
    (
        "page 407",
        Expected::Unknown("the proxy requires authentication"),
        Expected::Unknown("the proxy requires authentication"),
    ),
    ("page 502", FAILED, FAILED),
    ("disconnected", UNREACHABLE, UNREACHABLE),
    ("refused", UNREACHABLE, UNREACHABLE),
    ("unknown name", UNREACHABLE, UNREACHABLE),
    ("silence", NO_ANSWER, NO_ANSWER),
    ("stalled", NO_ANSWER, NO_ANSWER),
    (
        "untrusted certificate",
        Expected::Unknown("certificate is not trusted"),
        Expected::Unknown("certificate is not trusted"),
    ),
    (
        "bare",
        Expected::Unusable("does not use the given login"),
        Expected::Unusable("does not use the given login"),
    ),
    ("unknown option", Expected::Unusable("2.1.197 or later"), Expected::Unusable("2.1.197 or later")),
    ("torn token", UNKNOWN_ANSWER, UNKNOWN_ANSWER),
    (
        "organisation not confirmed",
        Expected::Unknown("could not be confirmed"),
        Expected::Unknown("could not be confirmed"),
    ),
    (
        "managed settings malformed",
        Expected::Unknown("without an answer"),
        Expected::Unknown("without an answer"),
    ),
    (
        "tombstone",
        Expected::Unknown("did not use the token"),
        Expected::Unusable("does not use the given login"),
    ),
];

#[test]
fn recorded_probe_is_classified_as_documented() {
    for (name, newest, older) in PROBES {
        for (recording, expected) in [(NEWEST, newest), (OLDER, older)] {
            let verdict = classify_probe(&recorded(recording, name), unasked);
            assert!(expected.matches(&verdict), "{name}: {verdict:?} instead of {expected:?}");
        }
    }
}

#[test]
fn recorded_refresh_is_classified_as_documented() {
    let refused = Expected::Unknown("not certain that it was refreshed");
    let rows = [
        ("refreshed", FileAfterRun::Refreshed, Expected::Ok, Expected::Ok),
        (
            "refreshed",
            FileAfterRun::Unchanged,
            Expected::Unknown("did not refresh"),
            Expected::Unknown("did not refresh"),
        ),
        (
            "refreshed",
            FileAfterRun::Other,
            Expected::Unknown("did not refresh"),
            Expected::Unknown("did not refresh"),
        ),
        ("429 limit", FileAfterRun::Refreshed, Expected::Limited, Expected::Limited),
        ("refresh refused", FileAfterRun::Other, REJECTED, Expected::Unknown("no login that it could use")),
        ("tombstone", FileAfterRun::Other, REJECTED, Expected::Unknown("no login that it could use")),
        ("refresh in trouble", FileAfterRun::Unchanged, refused, refused),
        ("401 expired", FileAfterRun::Refreshed, refused, refused),
        ("403 organisation", FileAfterRun::Refreshed, refused, refused),
        ("401 organisation", FileAfterRun::Refreshed, refused, refused),
        ("page 403", FileAfterRun::Refreshed, refused, refused),
        // The older client takes over such a lock after ten seconds.
        ("locked", FileAfterRun::Refreshed, Expected::Unknown("another Claude Code"), Expected::Ok),
        (
            "bare",
            FileAfterRun::Unchanged,
            Expected::Unusable("does not use the given login"),
            Expected::Unusable("does not use the given login"),
        ),
        (
            "529",
            FileAfterRun::Refreshed,
            Expected::Unknown("overloaded (529)"),
            Expected::Unknown("overloaded (529)"),
        ),
    ];
    for (name, left, newest, older) in rows {
        for (recording, expected) in [(NEWEST, newest), (OLDER, older)] {
            let verdict = classify_refresh(&recorded(recording, name), left, unasked);
            assert!(expected.matches(&verdict), "{name}, {left:?}: {verdict:?} instead of {expected:?}");
        }
    }
}

#[test]
fn refusal_other_than_401_is_probed_again() {
    for (name, newest, _) in PROBES {
        let ended = recorded(NEWEST, name);
        let verdict = classify_probe(&ended, || Some(MIN_VERSION_FOR_REFUSALS));
        let is_refusal = matches!(newest, Expected::Rejected { .. });
        let expected = is_refusal && !matches!(name, "401 expired" | "401 invalid");
        assert_eq!(needs_confirmation(&verdict, &ended), expected, "{name}");
    }
}

#[test]
fn refusal_is_reported_if_the_second_probe_confirms_it() {
    let rejected = |account_level| Verification::Rejected { account_level };
    let outage = || Verification::Inconclusive("529".into());
    let rows = [
        (false, rejected(false), REJECTED),
        (true, rejected(true), ACCOUNT),
        // A refusal of the account is the one that changes nothing.
        (false, rejected(true), ACCOUNT),
        (true, rejected(false), ACCOUNT),
        (false, Verification::Ok, Expected::Ok),
        (true, Verification::RateLimited, Expected::Limited),
        (true, outage(), Expected::Unknown("did not confirm it")),
        (false, Verification::ClientUnusable("gone".into()), Expected::Unknown("did not confirm it")),
    ];
    for (first, second, expected) in rows {
        let verdict = confirm(&rejected(first), second.clone());
        assert!(expected.matches(&verdict), "{first} then {second:?}: {verdict:?}");
    }
}

#[test]
fn page_that_names_a_disabled_organization_is_inconclusive() {
    let page = |recording: &str| {
        let whole = recorded(recording, "400 disabled");
        let text = String::from_utf8(whole.stdout.clone()).expect("text");
        let text = text.replace(r#""api_error_type":"invalid_request_error""#, r#""x":0"#);
        classify_probe(&ChildOutput { stdout: text.into(), ..whole }, unasked)
    };
    assert!(Expected::Unknown("refused the request (400)").matches(&page(NEWEST)));
}

#[test]
fn stopped_run_is_inconclusive() {
    for (name, ..) in PROBES {
        for end in [End::Killed, End::TimedOut, End::OutputTooLarge] {
            let verdict = classify_probe(&ChildOutput { end, ..recorded(NEWEST, name) }, unasked);
            assert!(matches!(verdict, Verification::Inconclusive(_)), "{name} {end:?}: {verdict:?}");
        }
        // SIGINT ends the client with 0.
        let verdict = classify_probe(&ChildOutput { end: End::Exited(0), ..recorded(NEWEST, name) }, unasked);
        assert!(!verdict.is_alive() || name == "answered" || name == "429 limit", "{name}: {verdict:?}");
    }
    for code in [1, 129, 143] {
        let verdict =
            classify_probe(&ChildOutput { end: End::Exited(code), ..recorded(NEWEST, "answered") }, unasked);
        assert!(matches!(verdict, Verification::Inconclusive(_)), "{code}: {verdict:?}");
    }
}

#[test]
fn truncated_stream_is_never_certain() {
    for (name, ..) in PROBES {
        let whole = recorded(NEWEST, name);
        let last = whole.stdout.len().saturating_sub(2); // without the brace at the end of the result
        for length in (0..last).step_by(97).chain([last]) {
            let torn = ChildOutput { stdout: whole.stdout[..length].to_vec(), ..whole.clone() };
            let verdict = classify_probe(&torn, || Some(MIN_VERSION_FOR_REFUSALS));
            assert!(
                !verdict.is_alive() && !matches!(verdict, Verification::Rejected { .. }),
                "{name} {length}: {verdict:?}"
            );
        }
    }
}

#[test]
fn answer_with_key_or_other_server_is_unusable() {
    let with = |from: &str, to: &str| {
        let whole = recorded(NEWEST, "answered");
        let text = String::from_utf8(whole.stdout.clone()).expect("text");
        assert!(text.contains(from), "{from}");
        classify_probe(&ChildOutput { stdout: text.replace(from, to).into(), ..whole }, unasked)
    };
    let key = r#""apiKeySource":"none""#;
    for source in ["ANTHROPIC_API_KEY", "apiKeyHelper", "/login managed key", "something of tomorrow"] {
        let verdict = with(key, &format!(r#""apiKeySource":"{source}""#));
        assert!(Expected::Unusable("another credential").matches(&verdict), "{source}: {verdict:?}");
    }
    let verdict = with(r#""served_by_anthropic":true"#, r#""served_by_anthropic":false"#);
    assert!(Expected::Unusable("another credential or server").matches(&verdict), "{verdict:?}");
    let verdict = with(key, r#""x":0"#);
    assert!(Expected::Unusable("update claude-auth-sync").matches(&verdict), "{verdict:?}");
    let verdict = with(r#""output_tokens":5"#, r#""output_tokens":0"#);
    assert!(Expected::Unknown("without an answer").matches(&verdict), "{verdict:?}");
}

#[test]
fn version_is_asked_only_if_needed_and_not_reported() {
    let silent = |name: &str| {
        let whole = recorded(OLDER, name);
        let text = String::from_utf8(whole.stdout.clone()).expect("text").replace("claude_code_version", "x");
        ChildOutput { stdout: text.into(), ..whole }
    };
    let asked = |version: Option<Version>| classify_probe(&silent("page 403"), || version);
    assert!(TOO_OLD.matches(&asked(Version::parse("2.1.323"))));
    assert!(PROXY.matches(&asked(Some(MIN_VERSION_FOR_REFUSALS))));
    assert!(PROXY.matches(&asked(None)), "an unknown version is inconclusive");
    assert!(Expected::Ok.matches(&classify_probe(&silent("answered"), unasked)));
}

#[test]
fn run_without_output_and_version_is_another_program() {
    let said = |stdout: &str, stderr: &str, code| {
        let (stdout, stderr) = (stdout.as_bytes().to_vec(), stderr.as_bytes().to_vec());
        ChildOutput { end: End::Exited(code), stdout, stderr }
    };
    let another = Expected::Unusable("set claude.program to Claude Code");
    let no_answer = Expected::Unknown("without an answer");
    for (ended, of_no_version, of_some_version) in [
        (said("", "", 0), another, no_answer),
        (said("-p Reply --model haiku\n", "", 0), another, no_answer),
        (said("", "\n", 0), another, no_answer),
        // It may have been interrupted.
        (said("", "", 1), no_answer, no_answer),
        (said("", "a warning\n", 0), no_answer, no_answer),
        (
            said("{\"type\":\"system\",\"subtype\":\"init\",\"apiKeySource\":\"none\"}\n", "", 0),
            no_answer,
            no_answer,
        ),
        (
            said("", "Unable to verify organization", 0),
            Expected::Unknown("organization"),
            Expected::Unknown("organization"),
        ),
    ] {
        for (version, expected) in [(None, of_no_version), (Some(MIN_VERSION_FOR_REFUSALS), of_some_version)]
        {
            let probed = classify_probe(&ended, || version);
            let refreshed = classify_refresh(&ended, FileAfterRun::Unchanged, || version);
            assert!(
                expected.matches(&probed) && expected.matches(&refreshed),
                "{ended:?} {version:?}: {probed:?}"
            );
        }
    }
}

#[test]
fn reason_never_contains_server_text() {
    for (name, ..) in PROBES {
        for recording in [NEWEST, OLDER] {
            let ended = recorded(recording, name);
            let said = String::from_utf8_lossy(&ended.stdout).into_owned();
            let spoken = said.replace(r#""result":""#, r#""result":"\u001b[2J sk-ant-oat01-x "#);
            let spoken = ChildOutput { stdout: spoken.into(), ..ended };
            if let Verification::Inconclusive(why) | Verification::ClientUnusable(why) =
                classify_probe(&spoken, || None)
            {
                assert!(!why.contains(char::is_control) && !why.contains("sk-ant"), "{name}: {why}");
            }
        }
    }
}

//! Every answer of the table in `docs/design/claude-code.md`, as the real client reported it: recorded from the newest one and from
//! an older one that says less.

use cas_core::credential::verification::Verification;

use super::child::{ChildOutput, End};
use super::classify::{FileAfterRun, classify_probe, classify_refresh};
use super::version::{MIN_VERSION_FOR_REFUSALS, Version};

const NEWEST: &str = include_str!("recorded/2.1.329.txt");
const OLDER: &str = include_str!("recorded/2.1.197.txt");

/// What was recorded under this name.
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
    let (complaints, events): (Vec<&str>, Vec<&str>) = lines.iter().partition(|line| line.starts_with('!'));
    let began = if events.is_empty() { Vec::new() } else { section("init").1 };
    ChildOutput {
        end: End::Exited(code),
        stdout: began.iter().chain(&events).flat_map(|line| [line, "\n"]).collect::<String>().into(),
        stderr: complaints.join("\n").into(),
    }
}

fn unasked() -> Option<Version> {
    panic!("the client said which version it is")
}

const REJECTED: Said = Said::Rejected { account_level: false };
const ACCOUNT: Said = Said::Rejected { account_level: true };
const TOO_OLD: Said = Said::Unusable("update Claude Code to 2.1.324 or later");
const PROXY: Said = Said::Unknown("a proxy or another server answered in the place of the API");
const UNREACHABLE: Said = Said::Unknown("the API could not be reached");
const LATE: Said = Said::Unknown("the API did not answer in time");
const TROUBLE: Said = Said::Unknown("the API, or a proxy, is in trouble (5xx)");
const STRANGE: Said = Said::Unknown("claude gave an answer that is not known here");

/// A verdict, of whose reason the table knows a part.
#[derive(Clone, Copy, Debug)]
enum Said {
    Ok,
    Limited,
    Rejected { account_level: bool },
    Unusable(&'static str),
    Unknown(&'static str),
}

impl Said {
    fn is(self, verdict: &Verification) -> bool {
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

/// The name of a recording, the verdict with the newest client, and with the older one.
const PROBES: [(&str, Said, Said); 30] = [
    ("answered", Said::Ok, Said::Ok),
    ("401 expired", REJECTED, TOO_OLD),
    ("401 invalid", REJECTED, TOO_OLD),
    ("403 revoked", REJECTED, TOO_OLD),
    ("403 scope", REJECTED, TOO_OLD),
    ("403 organisation", ACCOUNT, TOO_OLD),
    ("page 401", PROXY, TOO_OLD),
    ("page 403", PROXY, TOO_OLD),
    ("foreign 401", PROXY, TOO_OLD),
    ("429", Said::Unknown("asked to wait (429)"), Said::Unknown("asked to wait (429)")),
    ("429 limit", Said::Limited, Said::Limited),
    ("400 credit", Said::Unknown("refused the request (400)"), Said::Unknown("refused the request (400)")),
    (
        "404 model",
        Said::Unknown("does not have the model (404)"),
        Said::Unknown("does not have the model (404)"),
    ),
    ("500", TROUBLE, TROUBLE),
    ("529", Said::Unknown("overloaded (529)"), Said::Unknown("overloaded (529)")),
    ("page 200", STRANGE, STRANGE),
    ("page 407", Said::Unknown("the proxy wants to know"), Said::Unknown("the proxy wants to know")),
    ("page 502", TROUBLE, TROUBLE),
    ("disconnected", UNREACHABLE, UNREACHABLE),
    ("refused", UNREACHABLE, UNREACHABLE),
    ("unknown name", UNREACHABLE, UNREACHABLE),
    ("silence", LATE, LATE),
    ("stalled", LATE, LATE),
    (
        "untrusted certificate",
        Said::Unknown("certificate is not trusted"),
        Said::Unknown("certificate is not trusted"),
    ),
    ("bare", Said::Unusable("does not use the login"), Said::Unusable("does not use the login")),
    ("unknown option", Said::Unusable("2.1.197 or later"), Said::Unusable("2.1.197 or later")),
    ("torn token", STRANGE, STRANGE),
    (
        "organisation not confirmed",
        Said::Unknown("could not be confirmed"),
        Said::Unknown("could not be confirmed"),
    ),
    ("managed settings malformed", Said::Unknown("without an answer"), Said::Unknown("without an answer")),
    ("tombstone", Said::Unknown("did not use the token"), Said::Unusable("does not use the login")),
];

#[test]
fn every_recorded_answer_has_its_verdict() {
    for (name, newest, older) in PROBES {
        for (recording, expected) in [(NEWEST, newest), (OLDER, older)] {
            let verdict = classify_probe(&recorded(recording, name), unasked);
            assert!(expected.is(&verdict), "{name}: {verdict:?} instead of {expected:?}");
        }
    }
}

#[test]
fn a_refresh_run_knows_less_of_refusals_and_more_of_dead_sessions() {
    let refused = Said::Unknown("not certain that it was refreshed");
    let rows = [
        ("refreshed", FileAfterRun::Refreshed, Said::Ok, Said::Ok),
        (
            "refreshed",
            FileAfterRun::Unchanged,
            Said::Unknown("did not refresh"),
            Said::Unknown("did not refresh"),
        ),
        (
            "refreshed",
            FileAfterRun::Other,
            Said::Unknown("did not refresh"),
            Said::Unknown("did not refresh"),
        ),
        ("429 limit", FileAfterRun::Refreshed, Said::Limited, Said::Limited),
        ("refresh refused", FileAfterRun::Other, REJECTED, Said::Unknown("no login that it could use")),
        ("tombstone", FileAfterRun::Other, REJECTED, Said::Unknown("no login that it could use")),
        ("refresh in trouble", FileAfterRun::Unchanged, refused, refused),
        ("401 expired", FileAfterRun::Refreshed, refused, refused),
        ("403 organisation", FileAfterRun::Refreshed, refused, refused),
        ("page 403", FileAfterRun::Refreshed, refused, refused),
        // The older one takes such a lock over after ten seconds.
        ("locked", FileAfterRun::Refreshed, Said::Unknown("another Claude Code"), Said::Ok),
        (
            "bare",
            FileAfterRun::Unchanged,
            Said::Unusable("does not use the login"),
            Said::Unusable("does not use the login"),
        ),
        (
            "529",
            FileAfterRun::Refreshed,
            Said::Unknown("overloaded (529)"),
            Said::Unknown("overloaded (529)"),
        ),
    ];
    for (name, left, newest, older) in rows {
        for (recording, expected) in [(NEWEST, newest), (OLDER, older)] {
            let verdict = classify_refresh(&recorded(recording, name), left, unasked);
            assert!(expected.is(&verdict), "{name}, {left:?}: {verdict:?} instead of {expected:?}");
        }
    }
}

#[test]
fn who_was_cut_short_says_nothing_whatever_it_had_said() {
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
fn a_torn_stream_is_never_certain() {
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
fn an_answer_counts_only_if_no_key_and_no_other_server_was_used() {
    let with = |from: &str, to: &str| {
        let whole = recorded(NEWEST, "answered");
        let text = String::from_utf8(whole.stdout.clone()).expect("text");
        assert!(text.contains(from), "{from}");
        classify_probe(&ChildOutput { stdout: text.replace(from, to).into(), ..whole }, unasked)
    };
    let key = r#""apiKeySource":"none""#;
    for source in ["ANTHROPIC_API_KEY", "apiKeyHelper", "/login managed key", "something of tomorrow"] {
        let verdict = with(key, &format!(r#""apiKeySource":"{source}""#));
        assert!(Said::Unusable("another credential").is(&verdict), "{source}: {verdict:?}");
    }
    let verdict = with(r#""served_by_anthropic":true"#, r#""served_by_anthropic":false"#);
    assert!(Said::Unusable("another credential or server").is(&verdict), "{verdict:?}");
    let verdict = with(key, r#""x":0"#);
    assert!(Said::Unusable("update claude-auth-sync").is(&verdict), "{verdict:?}");
    let verdict = with(r#""output_tokens":5"#, r#""output_tokens":0"#);
    assert!(Said::Unknown("without an answer").is(&verdict), "{verdict:?}");
}

#[test]
fn the_program_is_asked_for_its_version_only_where_it_matters_and_was_not_said() {
    let silent = |name: &str| {
        let whole = recorded(OLDER, name);
        let text = String::from_utf8(whole.stdout.clone()).expect("text").replace("claude_code_version", "x");
        ChildOutput { stdout: text.into(), ..whole }
    };
    let asked = |version: Option<Version>| classify_probe(&silent("page 403"), || version);
    assert!(TOO_OLD.is(&asked(Version::parse("2.1.323"))));
    assert!(PROXY.is(&asked(Some(MIN_VERSION_FOR_REFUSALS))));
    assert!(PROXY.is(&asked(None)), "of a client that nobody knows, nothing is known");
    assert!(Said::Ok.is(&classify_probe(&silent("answered"), unasked)));
}

#[test]
fn who_says_nothing_of_claude_codes_and_knows_no_version_of_it_is_another_program() {
    let said = |stdout: &str, stderr: &str, code| {
        let (stdout, stderr) = (stdout.as_bytes().to_vec(), stderr.as_bytes().to_vec());
        ChildOutput { end: End::Exited(code), stdout, stderr }
    };
    let another = Said::Unusable("let claude.program name Claude Code");
    let no_answer = Said::Unknown("without an answer");
    for (ended, of_no_version, of_some_version) in [
        (said("", "", 0), another, no_answer),
        (said("-p Reply --model haiku\n", "", 0), another, no_answer),
        (said("", "\n", 0), another, no_answer),
        // It may have been cut short.
        (said("", "", 1), no_answer, no_answer),
        (said("", "a warning\n", 0), no_answer, no_answer),
        (
            said("{\"type\":\"system\",\"subtype\":\"init\",\"apiKeySource\":\"none\"}\n", "", 0),
            no_answer,
            no_answer,
        ),
        (
            said("", "Unable to verify organization", 0),
            Said::Unknown("organisation"),
            Said::Unknown("organisation"),
        ),
    ] {
        for (version, expected) in [(None, of_no_version), (Some(MIN_VERSION_FOR_REFUSALS), of_some_version)]
        {
            let probed = classify_probe(&ended, || version);
            let refreshed = classify_refresh(&ended, FileAfterRun::Unchanged, || version);
            assert!(expected.is(&probed) && expected.is(&refreshed), "{ended:?} {version:?}: {probed:?}");
        }
    }
}

#[test]
fn no_reason_repeats_what_a_server_said() {
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

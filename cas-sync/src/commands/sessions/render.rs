//! The words for what was found, for people and for programs. No value of a token is in any of it.

use std::collections::BTreeMap;

use cas_core::text::{escape_c1_in_json, sanitize_line};
use serde::Serialize;

use super::Of;

use crate::processes::{Session, TokenStatus};
use crate::term::Terminal;

/// The version of the JSON: members may be added to it, and none changes its meaning or goes.
const SCHEMA: u32 = 1;

/// 1 when somebody's process holds an old token, or somebody could not be looked at.
pub(super) fn exit_code(all: &BTreeMap<String, Of>) -> u8 {
    let is_amiss =
        |of: &Of| of.as_ref().map_or(true, |sessions| sessions.iter().any(|found| found.holds.is_old()));
    u8::from(all.values().any(is_amiss))
}

/// One object for programs.
pub(super) fn json(all: &BTreeMap<String, Of>) {
    #[derive(Serialize)]
    struct Told<'all> {
        schema: u32,
        people: Vec<Person<'all>>,
    }
    #[derive(Serialize)]
    struct Person<'all> {
        user: &'all str,
        sessions: &'all [Session],
        problem: Option<&'all str>,
    }
    let people = all.iter().map(|(user, of)| Person {
        user,
        sessions: of.as_deref().unwrap_or_default(),
        problem: of.as_ref().err().map(String::as_str),
    });
    let told = Told { schema: SCHEMA, people: people.collect() };
    println!("{}", escape_c1_in_json(&serde_json::to_string(&told).unwrap_or_default()));
}

/// Lines for people: what is old, or with `every` all of it.
pub(super) fn people(all: &BTreeMap<String, Of>, every: bool) {
    let terminal = Terminal::for_stdout();
    for line in lines(all, every) {
        println!("{}", terminal.sanitize(&line));
    }
}

fn lines(all: &BTreeMap<String, Of>, every: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut seen, mut old) = (0, 0);
    for (user, of) in all {
        let sessions = match of {
            Ok(sessions) => sessions,
            Err(why) => {
                lines.push(format!("{user}: {}", sanitize_line(why)));
                continue;
            }
        };
        seen += sessions.len();
        old += sessions.iter().filter(|found| found.holds.is_old()).count();
        for found in sessions.iter().filter(|found| every || found.holds.is_old()) {
            lines.push(format!("{user}: {} {} {}", found.pid, found.name, holds(found)));
            if found.holds.is_old() {
                lines.push(format!("    {}", found.restart.text()));
            }
        }
    }
    lines.push(match old {
        0 => format!("No process holds an old token ({seen} looked at that have one, or run Claude Code)."),
        1 => "1 process holds an old token until it is started again.".into(),
        _ => format!("{old} processes hold an old token until they are started again."),
    });
    lines
}

fn holds(found: &Session) -> &'static str {
    match found.holds {
        TokenStatus::Current => "has the setup-token in use",
        TokenStatus::Replaced => "has a setup-token that was replaced",
        TokenStatus::Withdrawn => "has a setup-token that was withdrawn",
        TokenStatus::Other => "has a token of its own, which was never in the env file",
        TokenStatus::Login => "has no token: it reads the login file at each turn",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::RestartHint;

    fn session(pid: u32, holds: TokenStatus) -> Session {
        Session {
            pid,
            name: "claude".into(),
            is_claude: true,
            holds,
            restart: RestartHint::Words("start it again".into()),
        }
    }

    #[test]
    fn what_is_old_is_named_with_what_to_do_and_the_rest_counted() {
        let all: BTreeMap<String, Of> = [
            ("ada".into(), Ok(vec![session(1, TokenStatus::Current), session(2, TokenStatus::Withdrawn)])),
            ("bob".into(), Err("no answer\u{7}".into())),
        ]
        .into();
        let expected = [
            "ada: 2 claude has a setup-token that was withdrawn",
            "    (start it again)",
            "bob: no answer?",
            "1 process holds an old token until it is started again.",
        ];
        assert_eq!(lines(&all, false), expected);
        assert_eq!(lines(&all, true).len(), 5);
        assert_eq!(exit_code(&all), 1);
        let fine: BTreeMap<String, Of> = [("ada".into(), Ok(vec![session(1, TokenStatus::Login)]))].into();
        assert_eq!(exit_code(&fine), 0);
        assert_eq!(lines(&fine, false).len(), 1);
        let unseen: BTreeMap<String, Of> = [("bob".into(), Err("no answer".into()))].into();
        assert_eq!(exit_code(&unseen), 1, "nobody knows");
    }
}

//! Text and JSON output. It never contains the value of a token.

use std::collections::BTreeMap;

use cas_core::outcome::ExitStatus;
use cas_core::text::sanitize_line;
use serde::Serialize;

use super::UserSessions;

use crate::processes::{Session, TokenStatus, UserProcesses};
use crate::term::print_line;
use crate::term::{Terminal, json};

/// Returns a failure if a process holds an old token, a background session waits for a login, or a
/// user could not be inspected.
pub(super) fn exit_status(all: &BTreeMap<String, UserSessions>) -> ExitStatus {
    let has_problem = |found: &UserSessions| {
        let is_old = |session: &Session| session.holds.is_old();
        found.as_ref().map_or(true, |found| found.sessions.iter().any(is_old) || !found.waiting.is_empty())
    };
    ExitStatus::failure_if(all.values().any(has_problem))
}

/// Prints one JSON object.
pub(super) fn print_json(all: &BTreeMap<String, UserSessions>) {
    #[derive(Serialize)]
    struct SessionsOutput<'all> {
        users: Vec<UserOutput<'all>>,
    }
    #[derive(Serialize)]
    struct UserOutput<'all> {
        user: &'all str,
        sessions: &'all [Session],
        waiting: &'all [String],
        error: Option<&'all str>,
    }
    let users = all.iter().map(|(user, found)| UserOutput {
        user,
        sessions: found.as_ref().map(|found| found.sessions.as_slice()).unwrap_or_default(),
        waiting: found.as_ref().map(|found| found.waiting.as_slice()).unwrap_or_default(),
        error: found.as_ref().err().map(String::as_str),
    });
    json::print(&SessionsOutput { users: users.collect() });
}

/// Prints the processes with an old token, or with `every` all processes.
pub(super) fn print_text(all: &BTreeMap<String, UserSessions>, every: bool) {
    let terminal = Terminal::for_stdout();
    for line in lines(all, every) {
        print_line(&terminal.sanitize(&line));
    }
}

fn lines(all: &BTreeMap<String, UserSessions>, every: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut count, mut old) = (0, 0);
    for (user, found) in all {
        let UserProcesses { sessions, waiting } = match found {
            Ok(found) => found,
            Err(why) => {
                lines.push(format!("{user}: {}", sanitize_line(why)));
                continue;
            }
        };
        count += sessions.len();
        old += sessions.iter().filter(|found| found.holds.is_old()).count();
        for found in sessions.iter().filter(|found| every || found.holds.is_old()) {
            lines.push(format!("{user}: {} {} {}", found.pid, found.name, holds(found)));
            if found.holds.is_old() {
                lines.push(format!("    {}", found.restart.text()));
            }
        }
        for id in waiting {
            lines.push(format!("{user}: background session {id} waits for a login"));
            lines.push(format!("    claude attach {id}  (send it a message when the login works)"));
        }
    }
    lines.push(match old {
        0 => format!("No process holds an old token ({count} hold a token or run Claude Code)."),
        1 => "1 process holds an old token until it is restarted.".into(),
        _ => format!("{old} processes hold an old token until they are restarted."),
    });
    lines
}

fn holds(found: &Session) -> &'static str {
    match found.holds {
        TokenStatus::Current => "has the active setup token",
        TokenStatus::Replaced => "has a replaced setup token",
        TokenStatus::Withdrawn => "has a withdrawn setup token",
        TokenStatus::Other => "has another token, which was never in the env file",
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
            restart: RestartHint::Text("start it again".into()),
        }
    }

    fn processes(sessions: Vec<Session>) -> UserProcesses {
        UserProcesses { sessions, ..UserProcesses::default() }
    }

    #[test]
    fn old_tokens_are_listed_with_remedies_and_others_counted() {
        let all: BTreeMap<String, UserSessions> = [
            (
                "ada".into(),
                Ok(processes(vec![session(1, TokenStatus::Current), session(2, TokenStatus::Withdrawn)])),
            ),
            ("bob".into(), Err("no answer\u{7}".into())),
        ]
        .into();
        let expected = [
            "ada: 2 claude has a withdrawn setup token",
            "    (start it again)",
            "bob: no answer?",
            "1 process holds an old token until it is restarted.",
        ];
        assert_eq!(lines(&all, false), expected);
        assert_eq!(lines(&all, true).len(), 5);
        assert_eq!(exit_status(&all), ExitStatus::Failure);
        let current: BTreeMap<String, UserSessions> =
            [("ada".into(), Ok(processes(vec![session(1, TokenStatus::Login)])))].into();
        assert_eq!(exit_status(&current), ExitStatus::Success);
        assert_eq!(lines(&current, false).len(), 1);
        let waiting = UserProcesses { waiting: vec!["0000000a".into()], ..UserProcesses::default() };
        let waiting: BTreeMap<String, UserSessions> = [("ada".into(), Ok(waiting))].into();
        assert_eq!(exit_status(&waiting), ExitStatus::Failure);
        assert!(lines(&waiting, false)[1].contains("claude attach 0000000a"), "{:?}", lines(&waiting, false));
        let failed: BTreeMap<String, UserSessions> = [("bob".into(), Err("no answer".into()))].into();
        assert_eq!(exit_status(&failed), ExitStatus::Failure, "unknown");
    }
}

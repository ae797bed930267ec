//! Classifies processes by the token that they hold, and determines how to restart each. Pure.

use cas_core::credential::fingerprint::Fingerprint;
use cas_core::text::sanitize_line;
use serde::{Deserialize, Serialize};

use super::scan::Process;

/// The known setup tokens of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownTokens {
    /// The token in the env file.
    pub(super) current: Option<Fingerprint>,
    /// Earlier tokens of the env file.
    pub(super) withdrawn: Vec<Fingerprint>,
}

/// A process that runs Claude Code, or passes a token to its children.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Its process id.
    pub(crate) pid: u32,
    /// Its own name; a control character is shown as `?`.
    pub(crate) name: String,
    /// True if it is Claude Code.
    pub(crate) is_claude: bool,
    /// The credential that it holds.
    pub(crate) holds: TokenStatus,
    /// The way to restart it with the active credential.
    pub(crate) restart: RestartHint,
}

/// The way to restart a process, because a process keeps its environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RestartHint {
    /// A command for the user.
    User(String),
    /// Instructions.
    Text(String),
}

impl RestartHint {
    /// Returns the text for the user.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::User(command) => command.clone(),
            Self::Text(what) => format!("({what})"),
        }
    }
}

/// The credential that a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TokenStatus {
    /// The active setup token.
    Current,
    /// A setup token that was replaced by another.
    Replaced,
    /// A setup token that was removed.
    Withdrawn,
    /// A token that was never in the env file.
    Other,
    /// No token: Claude Code reads the login file at each turn, so it uses the current login.
    Login,
}

impl KnownTokens {
    /// Creates the list from the token in the env file and the earlier ones. The current token may
    /// also be an earlier one.
    pub(super) fn new(current: Option<Fingerprint>, withdrawn: Vec<Fingerprint>) -> Self {
        Self { current, withdrawn }
    }

    #[cfg(test)]
    pub(super) fn current(&self) -> Option<Fingerprint> {
        self.current
    }
}

impl TokenStatus {
    /// Returns true if the process should be restarted.
    pub(crate) fn is_old(self) -> bool {
        matches!(self, Self::Replaced | Self::Withdrawn)
    }
}

/// Returns the processes that run Claude Code or hold a token.
pub(super) fn classify(processes: &[Process], tokens: &KnownTokens) -> Vec<Session> {
    processes.iter().filter_map(|process| session(process, tokens)).collect()
}

fn session(process: &Process, tokens: &KnownTokens) -> Option<Session> {
    let is_claude = process.program == "claude" || process.name == "claude";
    let holds = match process.token {
        None if is_claude => TokenStatus::Login,
        None => return None,
        Some(token) if tokens.current == Some(token) => TokenStatus::Current,
        Some(token) if tokens.withdrawn.contains(&token) => match tokens.current {
            Some(_) => TokenStatus::Replaced,
            None => TokenStatus::Withdrawn,
        },
        Some(_) => TokenStatus::Other,
    };
    Some(Session {
        pid: process.id,
        name: sanitize_line(&process.name),
        is_claude,
        holds,
        restart: restart(process, is_claude),
    })
}

fn restart(process: &Process, is_claude: bool) -> RestartHint {
    if process.name.starts_with("tmux") {
        return RestartHint::Text(
            "`tmux kill-server`, which ends what runs in it, and start tmux again".into(),
        );
    }
    // The supervisor passes its own environment to each new session, also after `claude respawn`.
    if process.is_background {
        return RestartHint::Text(
            "log in again and run `claude daemon stop --any`; `claude attach` then continues each background session"
                .into(),
        );
    }
    if let Some(how) = by_unit(&process.group) {
        return how;
    }
    RestartHint::Text(match is_claude {
        true => "end it, and start it again with `claude --continue`".into(),
        false => "log out there, and in again".into(),
    })
}

/// Returns how to restart the innermost service of the path. The scope of a session is not a
/// service.
fn by_unit(group: &str) -> Option<RestartHint> {
    let parts: Vec<&str> = group.split('/').filter(|part| !part.is_empty()).collect();
    let user_manager = parts.iter().position(|part| part.starts_with("user@") && part.ends_with(".service"));
    let service = parts.iter().rposition(|part| part.ends_with(".service"))?;
    let name = parts.get(service)?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.@".contains(&byte);
    if !name.bytes().all(is_name) {
        return None;
    }
    match user_manager {
        // All units of the user inherit its environment.
        Some(manager) if manager == service => {
            let what = format!("`sudo systemctl restart {name}`, which ends all units of the user");
            (parts.last() == Some(&"init.scope")).then_some(RestartHint::Text(what))
        }
        Some(_) => Some(RestartHint::User(format!("systemctl --user restart {name}"))),
        // A system service may also host sessions of other users.
        None => {
            let what = format!("`sudo systemctl restart {name}`, if it runs only for this user");
            Some(RestartHint::Text(what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, token: Option<&str>, group: &str) -> Process {
        Process {
            id: 7,
            name: name.into(),
            program: name.into(),
            token: token.map(Fingerprint::from_bytes),
            is_background: false,
            group: group.into(),
        }
    }

    fn classify_one(process: Process, current: Option<&str>) -> Option<Session> {
        let tokens = KnownTokens {
            current: current.map(Fingerprint::from_bytes),
            withdrawn: vec![Fingerprint::from_bytes("old")],
        };
        classify(&[process], &tokens).pop()
    }

    #[test]
    fn token_removed_from_env_file_is_old() {
        let holds = |name: &str, token, current| {
            classify_one(process(name, token, ""), current).map(|found| found.holds)
        };
        for (name, token, current, expected) in [
            ("claude", Some("new"), Some("new"), Some(TokenStatus::Current)),
            ("bash", Some("new"), Some("new"), Some(TokenStatus::Current)),
            ("claude", Some("old"), Some("new"), Some(TokenStatus::Replaced)),
            ("bash", Some("old"), None, Some(TokenStatus::Withdrawn)),
            // A token that is active again is not old.
            ("bash", Some("old"), Some("old"), Some(TokenStatus::Current)),
            ("bash", Some("mine"), Some("new"), Some(TokenStatus::Other)),
            ("claude", None, Some("new"), Some(TokenStatus::Login)),
            ("claude", None, None, Some(TokenStatus::Login)),
            ("bash", None, Some("new"), None),
        ] {
            assert_eq!(holds(name, token, current), expected, "{name} {token:?} {current:?}");
        }
        for holds in [TokenStatus::Current, TokenStatus::Other, TokenStatus::Login] {
            assert!(!holds.is_old(), "{holds:?}");
        }
        assert!(TokenStatus::Replaced.is_old() && TokenStatus::Withdrawn.is_old());
    }

    #[test]
    fn restart_hint_matches_process_origin() {
        let manager = "/user.slice/user-1000.slice/user@1000.service";
        for (name, group, expected) in [
            ("tmux: server", "/user.slice/user-1000.slice/session-3.scope", "tmux kill-server"),
            (
                "node",
                "/system.slice/t3-serve@alice.service",
                "(`sudo systemctl restart t3-serve@alice.service`, if",
            ),
            ("node", &format!("{manager}/app.slice/mine.service"), "systemctl --user restart mine.service"),
            ("systemd", &format!("{manager}/init.scope"), "sudo systemctl restart user@1000.service"),
            ("bash", &format!("{manager}/tmux-spawn-1.scope"), "log out there"),
            ("bash", "/user.slice/user-1000.slice/session-3.scope", "log out there"),
            ("claude", "/user.slice/user-1000.slice/session-3.scope", "`claude --continue`"),
            ("claude", "/a;reboot.service", "`claude --continue`"),
            ("claude", "", "`claude --continue`"),
        ] {
            let session = classify_one(process(name, Some("old"), group), None).expect("it is old");
            assert!(session.restart.text().contains(expected), "{name} {group}: {:?}", session.restart);
        }
    }

    #[test]
    fn background_session_restarts_with_its_supervisor() {
        let process = Process { is_background: true, ..process("claude", Some("old"), "") };
        let session = classify_one(process, Some("new")).expect("it is old");
        assert_eq!(session.holds, TokenStatus::Replaced);
        assert!(session.restart.text().contains("claude daemon stop --any"), "{:?}", session.restart);
    }

    #[test]
    fn process_name_is_sanitized() {
        let session =
            classify_one(process("\u{1b}[2Jclaude\u{7}", Some("old"), ""), None).expect("it is old");
        assert_eq!(session.name, "?[2Jclaude?");
        assert!(!session.is_claude);
    }
}

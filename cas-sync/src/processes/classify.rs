//! Which processes hold a token that is no longer the one in use, and how each comes to the new one. Pure.

use cas_core::credential::fingerprint::Fingerprint;
use cas_core::text::sanitize_line;
use serde::{Deserialize, Serialize};

use super::scan::Process;

/// What a person's tokens are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownTokens {
    /// The one in the env file.
    pub(super) current: Option<Fingerprint>,
    /// Those that lay there before.
    pub(super) withdrawn: Vec<Fingerprint>,
}

/// A process that runs Claude Code, or hands a token on to what it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// Its process id.
    pub(crate) pid: u32,
    /// What it calls itself; a control character is a `?`.
    pub(crate) name: String,
    /// Whether it is Claude Code.
    pub(crate) is_claude: bool,
    /// Which credential it was started with.
    pub(crate) holds: TokenStatus,
    /// How it comes to the credential in use.
    pub(crate) restart: RestartHint,
}

/// How a process comes to another environment: only by being started anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RestartHint {
    /// By this command of the person's.
    Person(String),
    /// By what somebody has to do.
    Words(String),
}

impl RestartHint {
    /// What the person is told.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Person(command) => command.clone(),
            Self::Words(what) => format!("({what})"),
        }
    }
}

/// Which credential a process was started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TokenStatus {
    /// The setup-token in use.
    Current,
    /// A setup-token that was replaced by another.
    Replaced,
    /// A setup-token that was taken away.
    Withdrawn,
    /// A token that was never in the env file: somebody set it.
    Other,
    /// None: Claude Code reads the login file at each turn, so it has the login in use.
    Login,
}

impl KnownTokens {
    /// The one in the env file, if any, and those that lay there once; a token may be put back.
    pub(super) fn new(current: Option<Fingerprint>, withdrawn: Vec<Fingerprint>) -> Self {
        Self { current, withdrawn }
    }

    #[cfg(test)]
    pub(super) fn current(&self) -> Option<Fingerprint> {
        self.current
    }
}

impl TokenStatus {
    /// Whether it should be started again.
    pub(crate) fn is_old(self) -> bool {
        matches!(self, Self::Replaced | Self::Withdrawn)
    }
}

/// Those of the processes that are worth naming.
pub(super) fn judge(processes: &[Process], tokens: &KnownTokens) -> Vec<Session> {
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
        return RestartHint::Words(
            "`tmux kill-server`, which ends what runs in it, and start tmux again".into(),
        );
    }
    if let Some(how) = by_unit(&process.group) {
        return how;
    }
    RestartHint::Words(match is_claude {
        true => "end it, and start it again with `claude --continue`".into(),
        false => "log out there, and in again".into(),
    })
}

/// The innermost service of the path, and whose it is. A session's scope is none.
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
        // Its own environment is what every unit of the person gets.
        Some(manager) if manager == service => {
            let what = format!("`sudo systemctl restart {name}`, which ends all units of the person");
            (parts.last() == Some(&"init.scope")).then_some(RestartHint::Words(what))
        }
        Some(_) => Some(RestartHint::Person(format!("systemctl --user restart {name}"))),
        // One of the machine's may be the home of other people's sessions as well.
        None => {
            let what =
                format!("`sudo systemctl restart {name}`, once it is sure that it runs for them alone");
            Some(RestartHint::Words(what))
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
            group: group.into(),
        }
    }

    fn judged(process: Process, current: Option<&str>) -> Option<Session> {
        let tokens = KnownTokens {
            current: current.map(Fingerprint::from_bytes),
            withdrawn: vec![Fingerprint::from_bytes("old")],
        };
        judge(&[process], &tokens).pop()
    }

    #[test]
    fn a_token_is_old_when_it_lay_in_the_env_file_once_and_does_no_more() {
        let holds =
            |name: &str, token, current| judged(process(name, token, ""), current).map(|found| found.holds);
        for (name, token, current, expected) in [
            ("claude", Some("new"), Some("new"), Some(TokenStatus::Current)),
            ("bash", Some("new"), Some("new"), Some(TokenStatus::Current)),
            ("claude", Some("old"), Some("new"), Some(TokenStatus::Replaced)),
            ("bash", Some("old"), None, Some(TokenStatus::Withdrawn)),
            // One that is in use again is not old.
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
    fn each_is_restarted_in_its_own_way() {
        let manager = "/user.slice/user-1000.slice/user@1000.service";
        for (name, group, expected) in [
            ("tmux: server", "/user.slice/user-1000.slice/session-3.scope", "tmux kill-server"),
            (
                "node",
                "/system.slice/t3-serve@alice.service",
                "(`sudo systemctl restart t3-serve@alice.service`, once",
            ),
            ("node", &format!("{manager}/app.slice/mine.service"), "systemctl --user restart mine.service"),
            ("systemd", &format!("{manager}/init.scope"), "sudo systemctl restart user@1000.service"),
            ("bash", &format!("{manager}/tmux-spawn-1.scope"), "log out there"),
            ("bash", "/user.slice/user-1000.slice/session-3.scope", "log out there"),
            ("claude", "/user.slice/user-1000.slice/session-3.scope", "`claude --continue`"),
            ("claude", "/a;reboot.service", "`claude --continue`"),
            ("claude", "", "`claude --continue`"),
        ] {
            let session = judged(process(name, Some("old"), group), None).expect("it is old");
            assert!(session.restart.text().contains(expected), "{name} {group}: {:?}", session.restart);
        }
    }

    #[test]
    fn no_name_says_anything_to_a_terminal() {
        let session = judged(process("\u{1b}[2Jclaude\u{7}", Some("old"), ""), None).expect("it is old");
        assert_eq!(session.name, "?[2Jclaude?");
        assert!(!session.is_claude);
    }
}

//! One's own state: what is known of it, and what that comes to. Nothing is asked of a network or of `claude`, and nothing
//! here holds a secret.

use cas_core::credential::login::LoginSummary;
use cas_core::credential::login_file::LoginFileState;
use cas_core::outcome::Status;
use cas_core::time::format::format_relative;
use cas_core::time::timestamp::Timestamp;

use crate::precedence::{Effective, Kind, Sources};
use crate::published_state::report::PublishedReport;

/// What there is to know.
#[derive(Debug)]
pub(crate) struct SelfReport {
    /// Whose it is.
    pub(crate) user: String,
    /// The name of the machine.
    pub(crate) machine: String,
    /// When it is known.
    pub(crate) now: Timestamp,
    /// What Claude Code has to choose from.
    pub(crate) sources: Sources,
    /// What it chooses.
    pub(crate) effective: Effective,
    /// How the last sync ended; nothing where there was none, and why where that cannot be read.
    pub(crate) standing: Result<Option<PublishedReport>, String>,
    /// Whether somebody has enrolled the person.
    pub(crate) is_enrolled: bool,
    /// The newest login of which a copy is kept here, and since when.
    pub(crate) kept: Result<Option<(LoginSummary, Timestamp)>, String>,
    /// The store.
    pub(crate) store: Store,
    /// What happens next.
    pub(crate) next: Schedule,
}

/// Where logins are backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// In the state directory alone.
    Local,
    /// At a server.
    Server {
        /// Its address, where one is configured.
        address: Option<String>,
        /// When it answered last.
        answered_at: Option<Timestamp>,
        /// When it did not, since then.
        failed_at: Option<Timestamp>,
    },
    /// The configuration cannot be used.
    Unknown(String),
}

/// What happens next, as systemd says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// When the timer starts a sync.
    pub(crate) sync_at: Option<Timestamp>,
    /// Whether the watch runs; nothing where systemd cannot be asked.
    pub(crate) is_watched: Option<bool>,
    /// Why systemd does not say.
    pub(crate) unknown: Option<String>,
}

/// What it all comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The status.
    pub(crate) status: Status,
    /// Why, and what to do.
    pub(crate) reason: String,
    /// The exit code.
    pub(crate) exit_code: u8,
}

impl SelfReport {
    /// What it all comes to.
    pub(crate) fn judgement(&self) -> Summary {
        let warn = |exit_code, reason: String| Summary { status: Status::Warn, reason, exit_code };
        let standing = match &self.standing {
            Ok(standing) => standing.as_ref(),
            Err(why) => {
                return warn(
                    1,
                    format!(
                        "the result of the last sync cannot be read: {why}; `cas-sync run` writes it anew"
                    ),
                );
            }
        };
        let Some(chosen) = self.effective.chosen else { return self.no_login_summary(standing) };
        if !chosen.is_managed() {
            let because = chosen.reason();
            return warn(
                1,
                format!(
                    "Claude Code uses {}, {because}, which nobody here looks after or verifies; `cas-sync doctor` says how to change that",
                    chosen.kind.text()
                ),
            );
        }
        let Some(standing) = standing else {
            return warn(75, "no sync has looked at it yet; `cas-sync run` does".into());
        };
        if standing.is_in_future(self.now) {
            return warn(
                1,
                format!("the last sync was {}: look at the clock", format_relative(standing.at, self.now)),
            );
        }
        if self.has_changed(standing) && standing.exit_code != 0 {
            return warn(
                75,
                "it has changed since the last sync found fault with it; `cas-sync run` looks again".into(),
            );
        }
        if standing.is_outdated(self.now) && standing.status != Status::Fail {
            let ago = format_relative(standing.at, self.now);
            return warn(1, format!("the last sync was {ago}: {}", self.restart_hint()));
        }
        Summary { status: standing.status, reason: standing.text.clone(), exit_code: standing.exit_code }
    }

    /// Whether another credential is there than the last sync saw. Claude Code also changes a login by itself, several times
    /// a day.
    pub(crate) fn has_changed(&self, standing: &PublishedReport) -> bool {
        let seen = standing.credential.as_ref().and_then(|credential| credential.fingerprint.clone());
        let here = match self.effective.chosen.map(|chosen| chosen.kind) {
            Some(Kind::Login) => self.sources.login.login().map(|login| login.generation),
            Some(Kind::Token(_)) => self.sources.env_file,
            _ => None,
        };
        match (here, seen) {
            (None, _) => false,
            (Some(here), Some(seen)) => seen != here.to_string(),
            // A sync that got nowhere near a credential says nothing of one.
            (Some(_), None) => is_of_a_lost_login(standing),
        }
    }

    fn no_login_summary(&self, standing: Option<&PublishedReport>) -> Summary {
        let fail = |reason: String| Summary { status: Status::Fail, reason, exit_code: 79 };
        if self.effective.token_not_here {
            let reason = "Claude Code would say that nobody is logged in: there is a setup-token, and this session began without it; log in again, or start it by `cas-session exec`";
            return Summary { status: Status::Warn, reason: reason.into(), exit_code: 1 };
        }
        let found = match &self.sources.login {
            LoginFileState::Missing => "there is no login",
            LoginFileState::ClearedByClient => "the login was emptied after a refresh that was refused",
            LoginFileState::Invalid(_) => "the login is damaged",
            LoginFileState::Unreadable(_) => "the login cannot be read",
            LoginFileState::Valid(_)
            | LoginFileState::AccessTokenExpired(_)
            | LoginFileState::NotRefreshable(_) => "there is a login it does not use",
        };
        let why = match standing.filter(|standing| standing.status == Status::Fail) {
            Some(standing) if is_of_a_lost_login(standing) => standing.text.clone(),
            Some(standing) => format!("{found}; {}", standing.text),
            None => format!(
                "{found}; `cas-sync run` mends it where that is possible; else sign in with `cas-sync login`"
            ),
        };
        fail(format!("Claude Code would say that nobody is logged in: {why}"))
    }

    fn restart_hint(&self) -> String {
        match self.is_enrolled {
            true => format!(
                "`systemctl status claude-auth-sync@{}.timer` says why; `cas-sync run` looks now",
                self.user
            ),
            false => format!(
                "nothing runs by itself until root runs `cas-sync enroll {}`; `cas-sync run` looks now",
                self.user
            ),
        }
    }
}

/// Whether what a sync said was that there is no login, and why.
fn is_of_a_lost_login(standing: &PublishedReport) -> bool {
    matches!(standing.finding.as_str(), "beyond-repair" | "unmended" | "no-login")
}

#[cfg(test)]
#[path = "self_report_tests.rs"]
mod tests;

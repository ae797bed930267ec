//! The words for an outcome: what people read in the journal, the log and the terminal.

use std::fmt;

use super::{BackupLocation, Detail, Finding, Outcome};
use crate::claude_files::email::Email;
use crate::credential::expiry::CredentialKind;
use crate::credential::expiry_warning::ExpiryWarning;
use crate::credential::verification::Verification;
use crate::text::sanitize_line;

/// The text after the status word: one line, without control characters, that ends in what to do.
impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        // First what is wrong: that the login is complete is no news beside it.
        if let Some(Verification::ClientUnusable(why)) = self.verdict() {
            text = format!("claude cannot be used: {why}; ");
        }
        text.push_str(&self.finding.to_string());
        for note in &self.notes {
            text.push_str("; ");
            text.push_str(&note.to_string());
        }
        if let Some(lapsing) = &self.lapsing {
            text.push_str("; ");
            text.push_str(&of_the_end(lapsing));
        }
        let text = with_login_email(&text, self.sign_in_as.as_ref());
        formatter.write_str(&sanitize_line(&text))
    }
}

/// What a person signs in with.
const SIGN_IN_COMMAND: &str = "cas-sync login";

/// Names the address in the command to sign in with, wherever that is in `text`.
pub fn with_login_email(text: &str, address: Option<&Email>) -> String {
    match address {
        Some(address) => text.replace(SIGN_IN_COMMAND, &format!("{SIGN_IN_COMMAND} --email {address}")),
        None => text.to_owned(),
    }
}

impl Outcome {
    /// Whether the person is told the command to sign in with, into which their address belongs.
    pub fn requires_sign_in(&self) -> bool {
        self.to_string().contains(SIGN_IN_COMMAND)
    }
}

/// What is said of a credential that lapses soon, or should have: when, and what to do.
pub(super) fn of_the_end(lapsing: &ExpiryWarning) -> String {
    let when = lapsing.describe();
    match lapsing.kind {
        CredentialKind::Login => format!("login {when}; {SIGN_IN_AGAIN}"),
        CredentialKind::SetupToken => format!("setup-token {when}; {RENEW_TOKEN}"),
    }
}

const SIGN_IN_AGAIN: &str = "sign in again: run `cas-sync login`";
pub(super) const SIGN_IN: &str = "interactive SSO login required: run `cas-sync login`";

pub(super) const RENEW_TOKEN: &str =
    "make a new one with `claude setup-token` and hand it in with `cas-sync token set`";
pub(super) const SPENT: &str = "find what put it back, then run `cas-sync login`";

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetupToken { verdict: Some(Verification::Rejected { account_level: false }), .. } => {
                write!(formatter, "setup-token in use, rejected by the server; {RENEW_TOKEN}")
            }
            Self::SetupToken { verdict, .. } => write!(formatter, "setup-token in use, {}", Shown(verdict)),
            Self::Login { login, verdict }
            | Self::Stale { login, verdict: verdict @ Some(Verification::Rejected { .. }) } => {
                write!(
                    formatter,
                    "login complete, access token until {}, {}",
                    login.expires_at,
                    Shown(verdict)
                )
            }
            Self::Stale { login, verdict } => write!(
                formatter,
                "login complete, access token until {}: Claude Code refreshes it at its next start, {}",
                login.expires_at,
                Shown(verdict)
            ),
            Self::Refreshing(login) => write!(
                formatter,
                "login complete, access token until {}: Claude Code is refreshing it just now, not verified by inference",
                login.expires_at
            ),
            Self::StaleCopy { login, is_certain: true } => write!(
                formatter,
                "the login file holds an old copy again (access token until {}), whose refresh token was exchanged since; it is left alone: {SPENT}",
                login.expires_at
            ),
            Self::StaleCopy { login, is_certain: false } => write!(
                formatter,
                "the login file holds a login that ends (access token until {}) before another one known here: an old copy, or the clock was wrong; it is not refreshed by us: if `claude` does not work, {SIGN_IN}",
                login.expires_at
            ),
            Self::Restored { login, is_fresh, source, verdict } => {
                write!(formatter, "login put back from {source} (generation {}), ", login.generation)?;
                if !is_fresh {
                    formatter
                        .write_str("whose access token Claude Code has to refresh at its next start, ")?;
                }
                Shown(verdict).fmt(formatter)
            }
            Self::Unrecoverable { state } => {
                write!(formatter, "{state} and there is no good copy to put back; {SIGN_IN}")
            }
            Self::RestoreFailed { state, why } => {
                write!(formatter, "{state}, and none could be put back: {why}")
            }
            Self::LoginUnusable { state } => {
                write!(
                    formatter,
                    "{state}: `cas-sync restore` puts a good copy back if there is one; else {SIGN_IN}"
                )
            }
            Self::RequestRefused(why) => formatter.write_str(why),
            Self::NoLogin => write!(formatter, "no login yet; {SIGN_IN}"),
            Self::Skipped(why) => write!(formatter, "login file left alone: {why}"),
            Self::Misconfigured(why) => write!(formatter, "configuration: {why}"),
            Self::AnotherRunActive => formatter.write_str("another run is at work"),
        }
    }
}

struct Shown<'a>(&'a Option<Verification>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => formatter.write_str("not verified by inference"),
            Some(Verification::Ok) => formatter.write_str("verified by inference"),
            Some(Verification::RateLimited) => {
                formatter.write_str("verified: alive, its usage limit is reached")
            }
            Some(Verification::Rejected { account_level: false }) => {
                write!(formatter, "rejected by the server; {SIGN_IN}")
            }
            Some(Verification::Rejected { account_level: true }) => {
                formatter.write_str("refused for this account or organisation; ask its administrator")
            }
            Some(Verification::ClientUnusable(_)) => formatter.write_str("not verified"),
            Some(Verification::Inconclusive(why)) => {
                write!(formatter, "not verified: {why}; it is tried again later")
            }
        }
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnvFileWritten => formatter.write_str("setup-token taken over from the store"),
            Self::EnvFileRemoved => {
                formatter.write_str("setup-token withdrawn in the store, env file removed")
            }
            Self::EnvFileInvalid(why) => write!(formatter, "env file not used: {why}"),
            Self::EnvFileUpdateFailed(why) => {
                write!(formatter, "env file not changed as the store says: {why}")
            }
            Self::SetupTokenFieldInvalid(why) => {
                write!(
                    formatter,
                    "field setup_token of the store not used: {why}; store the bare token again"
                )
            }
            Self::BackedUp(source) => write!(formatter, "backed up to {source}"),
            Self::NotBackedUp(why) => write!(formatter, "not backed up: {why}"),
            Self::RolledBack => formatter.write_str("what lay there before is back"),
            Self::NotRolledBack(why) => {
                write!(formatter, "what lay there before could not be put back: {why}")
            }
            Self::Store(failure) => write!(formatter, "store {failure}"),
            Self::StoreToken(why) => write!(formatter, "vault token: {why}"),
            Self::Configuration(what) => write!(formatter, "configuration: {what}"),
            Self::BackupsRemain(places) => {
                let places: Vec<_> = places.iter().map(BackupLocation::to_string).collect();
                let places = places.join(" and ");
                write!(
                    formatter,
                    "no copy is kept (oauth_backup = false); earlier ones are still in {places}"
                )
            }
        }
    }
}

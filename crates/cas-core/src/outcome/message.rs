//! The text of an outcome for the journal, the log and the terminal.

use std::fmt;

use super::{BackupLocation, Detail, Finding, Outcome};
use crate::claude_files::email::Email;
use crate::credential::expiry::CredentialKind;
use crate::credential::expiry_warning::ExpiryWarning;
use crate::credential::sign_out::SignOut;
use crate::credential::verification::Verification;
use crate::text::sanitize_line;

/// The text after the status word: one line without control characters, which ends in the remedy.
impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        // The problem comes first.
        if let Some(Verification::ClientUnusable(why)) = self.verdict() {
            text = format!("claude cannot be used: {why}; ");
        }
        text.push_str(&self.finding.to_string());
        for note in &self.notes {
            text.push_str("; ");
            text.push_str(&note.to_string());
        }
        if let Some(warning) = &self.expiry_warning {
            text.push_str("; ");
            text.push_str(&expiry_text(warning));
        }
        let text = with_login_email(&text, self.sign_in_as.as_ref());
        formatter.write_str(&sanitize_line(&text))
    }
}

/// The command with which a user signs in.
const SIGN_IN_COMMAND: &str = "cas-sync login";

/// Adds the email to each sign-in command in `text`.
pub fn with_login_email(text: &str, email: Option<&Email>) -> String {
    match email {
        Some(email) => text.replace(SIGN_IN_COMMAND, &format!("{SIGN_IN_COMMAND} --email {email}")),
        None => text.to_owned(),
    }
}

impl Outcome {
    /// Returns true if the text contains the sign-in command, which should name the user's email.
    pub fn requires_sign_in(&self) -> bool {
        self.to_string().contains(SIGN_IN_COMMAND)
    }
}

/// Returns the text for an expiry: the date, and the remedy.
pub(super) fn expiry_text(warning: &ExpiryWarning) -> String {
    let when = warning.describe();
    match warning.kind {
        CredentialKind::Login => format!("login {when}; {SIGN_IN_AGAIN}"),
        CredentialKind::SetupToken => format!("setup-token {when}; {RENEW_TOKEN}"),
    }
}

const SIGN_IN_AGAIN: &str = "sign in again: run `cas-sync login`";
pub(super) const SIGN_IN: &str = "interactive SSO login required: run `cas-sync login`";

pub(super) const RENEW_TOKEN: &str =
    "create a new one with `claude setup-token` and store it with `cas-sync token set`";
pub(super) const OUTDATED: &str = "find the process that wrote it, then run `cas-sync login`";

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetupToken { verdict: Some(Verification::Rejected { account_level: false }), .. } => {
                write!(formatter, "setup-token in use, rejected by the Anthropic API; {RENEW_TOKEN}")
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
            Self::UnrefreshedToken { verdict, .. } => {
                write!(formatter, "login in use that Claude Code does not refresh, {}", Shown(verdict))
            }
            Self::Stale { login, verdict } => write!(
                formatter,
                "login complete, access token until {}: Claude Code refreshes it at its next start, {}",
                login.expires_at,
                Shown(verdict)
            ),
            Self::Refreshing(login) => write!(
                formatter,
                "login complete, access token until {}: Claude Code is refreshing it, not verified by inference",
                login.expires_at
            ),
            Self::StaleCopy { login, is_certain: true } => write!(
                formatter,
                "the login file contains an outdated login (access token until {}), whose refresh token was already used; file not changed: {OUTDATED}",
                login.expires_at
            ),
            Self::StaleCopy { login, is_certain: false } => write!(
                formatter,
                "the login file contains a login that expires (access token until {}) before another known one: it is an old copy, or the clock was wrong; file not changed: if `claude` does not work, {SIGN_IN}",
                login.expires_at
            ),
            Self::Restored { login, is_fresh, source, verdict } => {
                write!(formatter, "login restored from {source} (generation {}), ", login.generation)?;
                if !is_fresh {
                    formatter
                        .write_str("its access token is refreshed by Claude Code at its next start, ")?;
                }
                Shown(verdict).fmt(formatter)
            }
            Self::Unrecoverable { state } => {
                write!(formatter, "{state}, and there is no backup to restore; {SIGN_IN}")
            }
            Self::RestoreFailed { state, why } => {
                write!(formatter, "{state}, and no backup could be restored: {why}")
            }
            Self::Obstructed { state, obstacle } => write!(formatter, "{state}: {obstacle}"),
            Self::LoginUnusable { state } => {
                write!(
                    formatter,
                    "{state}: `cas-sync restore` restores a backup if there is one; otherwise {SIGN_IN}"
                )
            }
            Self::RequestRefused(why) => formatter.write_str(why),
            Self::NoLogin => write!(formatter, "no login yet; {SIGN_IN}"),
            Self::SignedOut(SignOut::Logout) => write!(formatter, "{}; {SIGN_IN}", SignOut::Logout),
            Self::SignedOut(sign_out) => sign_out.fmt(formatter),
            Self::Skipped(why) => write!(formatter, "login file not changed: {why}"),
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
            Some(Verification::RateLimited) => formatter.write_str("verified: valid, usage limit reached"),
            Some(Verification::Rejected { account_level: false }) => {
                write!(formatter, "rejected by the Anthropic API; {SIGN_IN}")
            }
            Some(Verification::Rejected { account_level: true }) => {
                formatter.write_str("refused for this account or organization; ask its administrator")
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
            Self::EnvFileWritten => formatter.write_str("setup-token copied from the store"),
            Self::EnvFileRemoved => {
                formatter.write_str("setup-token removed from the store, env file removed")
            }
            Self::EnvFileInvalid(why) => write!(formatter, "env file not used: {why}"),
            Self::EnvFileUpdateFailed(why) => {
                write!(formatter, "env file not updated from the store: {why}")
            }
            Self::SetupTokenFieldInvalid(why) => {
                write!(
                    formatter,
                    "field setup_token of the store not used: {why}; store the bare token again"
                )
            }
            Self::SetupTokenRejected => write!(
                formatter,
                "the new setup-token in the store is rejected by the Anthropic API and not activated; {RENEW_TOKEN}"
            ),
            Self::SetupTokenRefused => formatter.write_str(
                "the new setup-token in the store is not activated, because its account or organization is refused by the Anthropic API; ask its administrator",
            ),
            Self::SetupTokenPostponed(why) => write!(
                formatter,
                "the new setup-token in the store is not activated, because it could not be verified ({why}); it is tried again later"
            ),
            Self::SetupTokenNotInStore => formatter.write_str(
                "the setup-token in use is not in the store; store it with `cas-sync token import`, or remove it with `cas-sync token clear`",
            ),
            Self::SetupTokenCopied => formatter.write_str("setup-token copied from the local store to Vault"),
            Self::SetupTokenNotCopied(why) => write!(
                formatter,
                "setup-token of the local store not copied to Vault: {why}; it stays active, and `cas-sync token import` stores it"
            ),
            Self::BackedUp(source) => write!(formatter, "backed up to {source}"),
            Self::NotBackedUp(why) => write!(formatter, "not backed up: {why}"),
            Self::RolledBack => formatter.write_str("restore rolled back"),
            Self::NotRolledBack(why) => {
                write!(formatter, "restore could not be rolled back: {why}")
            }
            Self::Store(failure) => write!(formatter, "store {failure}"),
            Self::StoreToken(why) => write!(formatter, "vault token: {why}"),
            Self::ClientState(problem) => problem.fmt(formatter),
            Self::Configuration(what) => write!(formatter, "configuration: {what}"),
            Self::BackupsRemain(places) => {
                let places: Vec<_> = places.iter().map(BackupLocation::to_string).collect();
                let places = places.join(" and ");
                write!(
                    formatter,
                    "backups are disabled (oauth_backup = false); earlier backups are still in {places}"
                )
            }
        }
    }
}

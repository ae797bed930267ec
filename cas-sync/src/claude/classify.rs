//! Classifies the output of a run of `claude`: pure and total. Only certain answers of the API
//! itself decide about a credential; everything else is *inconclusive* and changes nothing. (Shown
//! with the real client in `docs/design/claude-code.md`.)
//!
//! The reasons are constants, because they are logged: no text of a server goes into them.

use cas_core::credential::verification::{ORGANIZATION_DISABLED, Verification};

use super::child::{ChildOutput, End};
use super::stream::{RunResult, Stream};
use super::version::{MIN_VERSION_FOR_REFUSALS, Version};
use crate::precedence::managed_settings::OVERRIDE_VAR;

const IGNORES_THE_LOGIN: &str =
    "claude does not use the given login, as with --bare; set claude.program to the regular client";
const TOO_OLD_FOR_REFUSALS: &str =
    "claude is too old to distinguish a refusal from a proxy's page; update Claude Code to 2.1.324 or later";
const TOO_OLD_FOR_OPTIONS: &str =
    "claude does not support the required options; update Claude Code to 2.1.197 or later";
const NO_SOURCE: &str = "claude does not report which credential it used; update claude-auth-sync";
const NO_ORGANIZATION: &str = "the organization that the managed settings require could not be confirmed";
const NOT_CLAUDE: &str = "the program that runs as claude neither answers nor prints its version as Claude Code does; set claude.program to Claude Code";
const NO_ANSWER: &str = "claude ended without an answer";
const NOT_CONFIRMED: &str = "the API refused the credential, and a second request did not confirm it";
const PROXY: &str = "a proxy or another server answered instead of the API";

/// Classifies a probe. `ask_version` is called if the result depends on the version and the client
/// did not report it.
pub(super) fn classify_probe(
    ended: &ChildOutput,
    ask_version: impl FnOnce() -> Option<Version>,
) -> Verification {
    match classify(ended) {
        Classified::Certain(verdict) => verdict,
        Classified::Refused { account_level } => Verification::Rejected { account_level },
        Classified::UnidentifiedRefusal(said) => match said.or_else(ask_version) {
            Some(version) if version < MIN_VERSION_FOR_REFUSALS => unusable(TOO_OLD_FOR_REFUSALS),
            _ => unknown(PROXY),
        },
        Classified::NoLogin => unusable(IGNORES_THE_LOGIN),
        Classified::NoOutput => classify_no_output(ask_version),
        // A probed token has no session.
        Classified::SessionExpired => unknown("claude did not use the token it was given"),
    }
}

/// Returns true if a second probe has to confirm this result of a probe. One refusal may come from
/// a server of the API that is being changed; a rejected access token (401) is refreshed, and that
/// is certain.
pub(super) fn needs_confirmation(verdict: &Verification, ended: &ChildOutput) -> bool {
    match verdict {
        Verification::Rejected { account_level: true } => true,
        Verification::Rejected { account_level: false } => {
            Stream::read(&ended.stdout).result.is_some_and(|result| result.status == Some(403))
        }
        _ => false,
    }
}

/// Returns the result of two probes of one credential, the first of which was a refusal.
pub(super) fn confirm(first: &Verification, second: Verification) -> Verification {
    match (first, second) {
        (
            Verification::Rejected { account_level: first },
            Verification::Rejected { account_level: second },
        ) => Verification::Rejected { account_level: *first || second },
        (_, second) if second.is_alive() => second,
        _ => unknown(NOT_CONFIRMED),
    }
}

/// Classifies a refresh run by its output and by the credential file afterwards. `ask_version` is
/// as for [`classify_probe`].
pub(super) fn classify_refresh(
    ended: &ChildOutput,
    left: FileAfterRun,
    ask_version: impl FnOnce() -> Option<Version>,
) -> Verification {
    match (classify(ended), left) {
        (Classified::Certain(verdict), FileAfterRun::Unchanged | FileAfterRun::Other)
            if verdict.is_alive() =>
        {
            unknown("claude answered, but did not refresh the login")
        }
        (Classified::Certain(verdict), _) => verdict,
        (Classified::SessionExpired, _) => Verification::Rejected { account_level: false },
        (Classified::NoLogin, FileAfterRun::Unchanged) => unusable(IGNORES_THE_LOGIN),
        (Classified::NoLogin, _) => unknown("claude found no login that it could use"),
        (Classified::NoOutput, _) => classify_no_output(ask_version),
        // The client prints "OAuth token has expired" also if a refresh was not possible for a
        // while.
        (Classified::Refused { .. } | Classified::UnidentifiedRefusal(_), _) => {
            unknown("the login was refused, and it is not certain that it was refreshed")
        }
    }
}

/// The content of the credential file after a refresh run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileAfterRun {
    /// A new login with a valid access token.
    Refreshed,
    /// The login that was there before.
    Unchanged,
    /// Anything else.
    Other,
}

enum Classified {
    /// The result for each kind of run.
    Certain(Verification),
    /// The API refused the credential.
    Refused { account_level: bool },
    /// A refusal without the API's error code, from a client of this version.
    UnidentifiedRefusal(Option<Version>),
    /// Success without any output of Claude Code.
    NoOutput,
    /// The client has no login.
    NoLogin,
    /// The client reports that the login is no longer valid.
    SessionExpired,
}

fn classify(ended: &ChildOutput) -> Classified {
    match ended.end {
        End::TimedOut => return certain(unknown("claude did not end in time")),
        End::OutputTooLarge => return certain(unknown("the output of claude is larger than any answer")),
        End::Killed => return certain(unknown("claude was killed")),
        End::Exited(_) => (),
    }
    let stream = Stream::read(&ended.stdout);
    let Some(result) = &stream.result else {
        let has_no_output = stream == Stream::default() && ended.stderr.trim_ascii().is_empty();
        if has_no_output && ended.end == End::Exited(0) {
            return Classified::NoOutput;
        }
        return certain(classify_stderr(&String::from_utf8_lossy(&ended.stderr)));
    };
    match stream.key_source.as_deref() {
        Some("none") if stream.served_by_anthropic != Some(false) => (),
        Some(_) => return certain(unusable(OVERRIDE_VAR)),
        None => return certain(unusable(NO_SOURCE)),
    }
    if result.is_error {
        return classify_error(&stream, result);
    }
    // An interrupted client exits with 0 as well.
    let answered = ended.end == End::Exited(0) && result.output_tokens > 0;
    certain(if answered { Verification::Ok } else { unknown(NO_ANSWER) })
}

/// Classifies a run that printed no result: the standard error has the reason.
fn classify_stderr(stderr: &str) -> Verification {
    if stderr.contains("unknown option") {
        unusable(TOO_OLD_FOR_OPTIONS)
    } else if stderr.contains("Unable to verify organization") {
        unknown(NO_ORGANIZATION)
    } else {
        unknown(NO_ANSWER)
    }
}

/// Classifies a run without output. An interrupted client also exits with 0, but prints its version
/// when asked.
fn classify_no_output(ask_version: impl FnOnce() -> Option<Version>) -> Verification {
    ask_version().map_or_else(|| unusable(NOT_CLAUDE), |_| unknown(NO_ANSWER))
}

fn classify_error(stream: &Stream, result: &RunResult) -> Classified {
    let Some(status) = result.status else { return classify_error_without_status(stream, result) };
    // The client's own reason comes before the status: a login of a refused organization is not
    // rejected, and a refresh would consume its refresh token for nothing.
    if matches!(status, 401 | 403) && stream.error.as_deref() == Some("oauth_org_not_allowed") {
        return Classified::Refused { account_level: true };
    }
    match (status, stream.error_type.as_deref()) {
        (400, kind) if says_disabled(result) && is_of_api(stream, kind) => {
            certain(unknown(ORGANIZATION_DISABLED))
        }
        (401, Some("authentication_error")) => Classified::Refused { account_level: false },
        (403, Some("permission_error")) => Classified::Refused { account_level: is_account_level(result) },
        (401 | 403, None) => Classified::UnidentifiedRefusal(stream.version),
        (429, _)
            if stream.limit_is_used_up || stream.error_detail.as_deref() == Some("usage_limit_reached") =>
        {
            certain(Verification::RateLimited)
        }
        (status, _) => certain(unknown(reason_for(status))),
    }
}

/// Returns true if another token of the account would be refused too. A revoked token and one
/// without a required scope are refused themselves.
fn is_account_level(result: &RunResult) -> bool {
    !["revoked", "scope"].iter().any(|word| result.text.contains(word))
}

fn says_disabled(result: &RunResult) -> bool {
    result.text.to_lowercase().contains("organization has been disabled")
}

/// Returns true if an error came from the API, as far as the client can tell.
fn is_of_api(stream: &Stream, error_type: Option<&str>) -> bool {
    error_type.is_some() || stream.version.is_some_and(|version| version < MIN_VERSION_FOR_REFUSALS)
}

fn classify_error_without_status(stream: &Stream, result: &RunResult) -> Classified {
    let text = result.text.as_str();
    if text.starts_with("Not logged in") {
        return Classified::NoLogin;
    }
    if text.starts_with("Failed to authenticate: OAuth session expired and could not be refreshed") {
        return Classified::SessionExpired;
    }
    if text.contains("another Claude Code process is refreshing") {
        return certain(unknown("another Claude Code is refreshing the login"));
    }
    let detail = stream.error_detail.as_deref().unwrap_or_default();
    let contains_any = |words: [&str; 2]| words.iter().any(|word| text.contains(word));
    certain(unknown(match stream.error.as_deref() {
        _ if detail.starts_with("tls_") || contains_any(["SSL", "certificate"]) => {
            "the server's certificate is not trusted"
        }
        _ if detail == "no_response"
            || detail.ends_with("_timeout")
            || contains_any(["timed out", "idle timeout"]) =>
        {
            "the API did not answer in time"
        }
        Some("server_error") => "the API could not be reached",
        _ => "claude printed an unknown answer",
    }))
}

fn reason_for(status: u64) -> &'static str {
    match status {
        400 => "the API refused the request (400)",
        401 | 403 => "the API refused the request, but not because of the login",
        404 => "the API does not have the model (404)",
        408 | 504 => "the API did not answer in time",
        407 => "the proxy requires authentication (407)",
        429 => "the API limits the request rate (429)",
        529 => "the API is overloaded (529)",
        500..=599 => "the API or a proxy failed (5xx)",
        _ => "the API gave an unknown answer",
    }
}

fn certain(verdict: Verification) -> Classified {
    Classified::Certain(verdict)
}

fn unknown(why: &str) -> Verification {
    Verification::Inconclusive(why.to_owned())
}

fn unusable(why: &str) -> Verification {
    Verification::ClientUnusable(why.to_owned())
}

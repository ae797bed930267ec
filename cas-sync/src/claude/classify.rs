//! What a run of `claude` says about the credential it was given: pure and total. Only certain answers of the API itself
//! count for or against a credential; everything else is *unknown* and changes nothing. (Shown with the real client in
//! `docs/design/claude-code.md`.)
//!
//! The reasons are fixed texts: each is the name of a state, and is logged. Nothing that a server said goes into them.

use cas_core::credential::verification::Verification;

use super::child::{ChildOutput, End};
use super::stream::{RunResult, Stream};
use super::version::{MIN_VERSION_FOR_REFUSALS, Version};
use crate::precedence::managed_settings::OVERRIDE_VAR;

const IGNORES_THE_LOGIN: &str =
    "claude does not use the login it is given, as with --bare; let claude.program name the ordinary client";
const TOO_OLD_TO_TELL: &str =
    "claude is too old to tell a refusal from a proxy's page; update Claude Code to 2.1.324 or later";
const TOO_OLD_TO_ASK: &str =
    "claude does not know the options it is given; update Claude Code to 2.1.197 or later";
const NO_SOURCE: &str = "claude no longer says which credential it used; update claude-auth-sync";
const NO_ORGANIZATION: &str = "the organisation that the managed settings ask for could not be confirmed";
const NOT_CLAUDE: &str = "the program that is run as claude neither answers nor says its version as Claude Code does; let claude.program name Claude Code";
const NO_ANSWER: &str = "claude ended without an answer";
const PROXY: &str = "a proxy or another server answered in the place of the API";

/// What a probe by value showed. `ask_version` is called where the verdict depends on it and the client did not say it.
pub(super) fn classify_probe(
    ended: &ChildOutput,
    ask_version: impl FnOnce() -> Option<Version>,
) -> Verification {
    match judge(ended) {
        Judged::Certain(verdict) => verdict,
        Judged::Refused { account_level } => Verification::Rejected { account_level },
        Judged::RefusedBySomebody(said) => match said.or_else(ask_version) {
            Some(version) if version < MIN_VERSION_FOR_REFUSALS => unusable(TOO_OLD_TO_TELL),
            _ => unknown(PROXY),
        },
        Judged::NotLoggedIn => unusable(IGNORES_THE_LOGIN),
        Judged::Wordless => of_a_wordless_program(ask_version),
        // A token given by its value has no session.
        Judged::SessionExpired => unknown("claude did not use the token it was given"),
    }
}

/// What a refresh run showed that left this in the credential file. `ask_version` is as for [`classify_probe`].
pub(super) fn classify_refresh(
    ended: &ChildOutput,
    left: FileAfterRun,
    ask_version: impl FnOnce() -> Option<Version>,
) -> Verification {
    match (judge(ended), left) {
        (Judged::Certain(verdict), FileAfterRun::Unchanged | FileAfterRun::Other) if verdict.is_alive() => {
            unknown("claude answered, but did not refresh the login")
        }
        (Judged::Certain(verdict), _) => verdict,
        (Judged::SessionExpired, _) => Verification::Rejected { account_level: false },
        (Judged::NotLoggedIn, FileAfterRun::Unchanged) => unusable(IGNORES_THE_LOGIN),
        (Judged::NotLoggedIn, _) => unknown("claude found no login that it could use"),
        (Judged::Wordless, _) => of_a_wordless_program(ask_version),
        // "OAuth token has expired" is also what follows when the refresh could not be made for a while.
        (Judged::Refused { .. } | Judged::RefusedBySomebody(_), _) => {
            unknown("the login was refused, and it is not certain that it was refreshed")
        }
    }
}

/// What lies in the credential file after a refresh run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileAfterRun {
    /// A fresh login that was not there before.
    Refreshed,
    /// The login that was there before.
    Unchanged,
    /// Anything else.
    Other,
}

enum Judged {
    /// It means the same for every kind of run.
    Certain(Verification),
    /// The API refused the credential.
    Refused { account_level: bool },
    /// A refusal without the API's own word for it, from a client of this version.
    RefusedBySomebody(Option<Version>),
    /// It ended well, and said nothing that Claude Code says.
    Wordless,
    /// There was no login for the client.
    NotLoggedIn,
    /// The client knows that the login is dead.
    SessionExpired,
}

fn judge(ended: &ChildOutput) -> Judged {
    match ended.end {
        End::TimedOut => return certain(unknown("claude did not come to an end in time")),
        End::OutputTooLarge => return certain(unknown("claude said more than any answer is long")),
        End::Killed => return certain(unknown("claude was killed")),
        End::Exited(_) => (),
    }
    let stream = Stream::read(&ended.stdout);
    let Some(result) = &stream.result else {
        let is_wordless = stream == Stream::default() && ended.stderr.trim_ascii().is_empty();
        if is_wordless && ended.end == End::Exited(0) {
            return Judged::Wordless;
        }
        return certain(of_a_complaint(&String::from_utf8_lossy(&ended.stderr)));
    };
    match stream.key_source.as_deref() {
        Some("none") if stream.served_by_anthropic != Some(false) => (),
        Some(_) => return certain(unusable(OVERRIDE_VAR)),
        None => return certain(unusable(NO_SOURCE)),
    }
    if result.is_error {
        return of_a_failure(&stream, result);
    }
    // An interrupted client exits with 0 as well.
    let answered = ended.end == End::Exited(0) && result.output_tokens > 0;
    certain(if answered { Verification::Ok } else { unknown(NO_ANSWER) })
}

/// A client that says nothing on standard output says why on the other.
fn of_a_complaint(stderr: &str) -> Verification {
    if stderr.contains("unknown option") {
        unusable(TOO_OLD_TO_ASK)
    } else if stderr.contains("Unable to verify organization") {
        unknown(NO_ORGANIZATION)
    } else {
        unknown(NO_ANSWER)
    }
}

/// A client that is interrupted before it says anything exits with 0 as well, but knows its version.
fn of_a_wordless_program(ask_version: impl FnOnce() -> Option<Version>) -> Verification {
    ask_version().map_or_else(|| unusable(NOT_CLAUDE), |_| unknown(NO_ANSWER))
}

fn of_a_failure(stream: &Stream, result: &RunResult) -> Judged {
    let Some(status) = result.status else { return of_a_failure_without_status(stream, result) };
    match (status, stream.error_type.as_deref()) {
        (401, Some("authentication_error")) => Judged::Refused { account_level: false },
        (403, Some("permission_error")) => {
            Judged::Refused { account_level: is_about_the_account(stream, result) }
        }
        (401 | 403, None) => Judged::RefusedBySomebody(stream.version),
        (429, _)
            if stream.limit_is_used_up || stream.error_detail.as_deref() == Some("usage_limit_reached") =>
        {
            certain(Verification::RateLimited)
        }
        (status, _) => certain(unknown(reason_for(status))),
    }
}

/// Another token of the same account would fare no better. A revoked token, and one that lacks a scope, are refused
/// themselves.
fn is_about_the_account(stream: &Stream, result: &RunResult) -> bool {
    let is_about_the_token = ["revoked", "scope"].iter().any(|word| result.text.contains(word));
    stream.error.as_deref() == Some("oauth_org_not_allowed") || !is_about_the_token
}

fn of_a_failure_without_status(stream: &Stream, result: &RunResult) -> Judged {
    let text = result.text.as_str();
    if text.starts_with("Not logged in") {
        return Judged::NotLoggedIn;
    }
    if text.starts_with("Failed to authenticate: OAuth session expired and could not be refreshed") {
        return Judged::SessionExpired;
    }
    if text.contains("another Claude Code process is refreshing") {
        return certain(unknown("another Claude Code is refreshing the login"));
    }
    let detail = stream.error_detail.as_deref().unwrap_or_default();
    let says = |words: [&str; 2]| words.iter().any(|word| text.contains(word));
    certain(unknown(match stream.error.as_deref() {
        _ if detail.starts_with("tls_") || says(["SSL", "certificate"]) => {
            "the server's certificate is not trusted"
        }
        _ if detail == "no_response"
            || detail.ends_with("_timeout")
            || says(["timed out", "idle timeout"]) =>
        {
            "the API did not answer in time"
        }
        Some("server_error") => "the API could not be reached",
        _ => "claude gave an answer that is not known here",
    }))
}

fn reason_for(status: u64) -> &'static str {
    match status {
        400 => "the API refused the request (400)",
        401 | 403 => "the API refused the request for another reason than the login",
        404 => "the API does not have the model (404)",
        408 | 504 => "the API did not answer in time",
        407 => "the proxy wants to know who is asking (407)",
        429 => "the API asked to wait (429)",
        529 => "the API is overloaded (529)",
        500..=599 => "the API, or a proxy, is in trouble (5xx)",
        _ => "the API gave an answer that is not known here",
    }
}

fn certain(verdict: Verification) -> Judged {
    Judged::Certain(verdict)
}

fn unknown(why: &str) -> Verification {
    Verification::Inconclusive(why.to_owned())
}

fn unusable(why: &str) -> Verification {
    Verification::ClientUnusable(why.to_owned())
}

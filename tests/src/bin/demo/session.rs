//! User sessions on the workstation. The commands and their output are printed.

use std::time::{Duration, Instant};

use cas_core::credential::fingerprint::Fingerprint;
use cas_tests::guest::{ClaudeGuest, Terminal};
use serde_json::Value;

use crate::page::{Page, Tone};
use crate::render::without_control_sequences;

pub(crate) const LAPTOP: &str = "laptop$";
pub(crate) const ALICE: &str = "alice@workstation$";
pub(crate) const ROOT: &str = "workstation#";

/// The question to Claude Code.
pub(crate) const QUESTION: &str = "claude -p 'Reply with AUTH_OK.'";
/// The answer of the simulated model.
pub(crate) const ANSWER: &str = "AUTH_OK";

/// Opens an interactive ssh session and prints it. Also returns the time until the prompt.
pub(crate) fn log_in(page: &Page, fixture: &ClaudeGuest, user: &str) -> (Terminal, Duration) {
    page.show_command(LAPTOP, &format!("ssh {user}@workstation"));
    let began = Instant::now();
    let mut session = fixture.guest.ssh_terminal(user);
    session.wait_for("$ ");
    (session, began.elapsed())
}

/// Asks Claude Code one question in a session, and shows both.
pub(crate) fn ask(page: &Page, session: &mut Terminal, remark: &str) -> String {
    type_and_show(page, session, QUESTION, remark)
}

/// Types a line in the session of alice, below a remark unless that is empty, and prints the
/// answer.
pub(crate) fn type_and_show(page: &Page, session: &mut Terminal, command: &str, remark: &str) -> String {
    match remark {
        "" => page.show_command(ALICE, command),
        remark => page.show_command_with(ALICE, command, remark),
    }
    let output = without_control_sequences(&session.at_prompt(command));
    page.show_answer(&output, tone_of(&output));
    output.trim().to_owned()
}

/// Returns the tone of an answer of Claude Code.
pub(crate) fn tone_of(output: &str) -> Tone {
    if output.trim() == ANSWER {
        Tone::Good
    } else if output.contains("Failed") {
        Tone::Bad
    } else {
        Tone::Plain
    }
}

/// Returns true if the servers got requests for inference with this token only; a refresh counts as
/// another token.
pub(crate) fn was_only_token_used(fixture: &ClaudeGuest, token: &str) -> bool {
    let expected = Fingerprint::from_bytes(token).to_string();
    let requests: Vec<_> =
        fixture.anthropic.essential_requests().into_iter().filter_map(|request| request.token).collect();
    !requests.is_empty() && requests.iter().all(|token| *token == expected)
}

/// Returns the access token of a login file.
pub(crate) fn access_token(file: &Value) -> &str {
    file["claudeAiOauth"]["accessToken"].as_str().unwrap_or_default()
}

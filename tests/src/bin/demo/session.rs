//! User sessions on the workstation: the commands and their output are shown.

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
/// What the stand-in for the model answers.
pub(crate) const ANSWER: &str = "AUTH_OK";

/// Opens an interactive ssh session, and shows that; with it, how long it took to the prompt.
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

/// Types a line in alice's session, below a remark unless that is empty, and shows what is
/// answered.
pub(crate) fn type_and_show(page: &Page, session: &mut Terminal, command: &str, remark: &str) -> String {
    match remark {
        "" => page.show_command(ALICE, command),
        remark => page.show_command_with(ALICE, command, remark),
    }
    let output = without_control_sequences(&session.at_prompt(command));
    page.show_answer(&output, tone_of(&output));
    output.trim().to_owned()
}

/// How an answer of Claude Code's is meant to be seen.
pub(crate) fn tone_of(output: &str) -> Tone {
    if output.trim() == ANSWER {
        Tone::Good
    } else if output.contains("Failed") {
        Tone::Bad
    } else {
        Tone::Plain
    }
}

/// Whether the servers were asked for inference, and with this token alone; a refresh counts as
/// another one.
pub(crate) fn was_only_token_used(fixture: &ClaudeGuest, token: &str) -> bool {
    let expected = Fingerprint::from_bytes(token).to_string();
    let requests: Vec<_> =
        fixture.anthropic.essential_requests().into_iter().filter_map(|request| request.token).collect();
    !requests.is_empty() && requests.iter().all(|token| *token == expected)
}

/// The access token in a login file.
pub(crate) fn access_token(file: &Value) -> &str {
    file["claudeAiOauth"]["accessToken"].as_str().unwrap_or_default()
}

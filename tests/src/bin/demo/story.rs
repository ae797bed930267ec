//! The story, part by part. Each part does what it prints, and fails when what it saw is not what it claims.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cas_core::fingerprint::Fingerprint;
use cas_tests::{
    claude_client::NEWEST,
    claude_login::parsed,
    guest::{Suite, Terminal, Workplace, is_emptied, login_path},
};
use serde_json::Value;

use crate::{
    page::{Page, Tone},
    shown::{seconds, show_login, without_control_sequences},
};

const LAPTOP: &str = "laptop$";
const ALICE: &str = "alice@workstation$";
const ROOT: &str = "workstation#";
const QUESTION: &str = "claude -p 'Reply with AUTH_OK.'";
const ANSWER: &str = "AUTH_OK";
const SESSION_EXPIRED: &str = "OAuth session expired and could not be refreshed";
const BOBS_TOKEN: &str = "sk-ant-oat01-bobs_setup-token";

/// What a login may take longer with us than without: the module's deadline.
const DEADLINE: Duration = Duration::from_secs(2);

/// Tells the whole story.
///
/// # Errors
/// The first claim that is not as it was claimed.
pub(crate) fn tell(page: &Page) -> anyhow::Result<()> {
    page.tell("Booting a throw-away Debian 12 …");
    let began = Instant::now();
    let desk = Workplace::start(Suite::Bookworm).context("there is no such guest")?;
    desk.guest.install_product();
    page.tell(&format!(
        "There it is, after {}: sshd, systemd, Claude Code {NEWEST}, and claude-auth-sync.\n\
         All of it is real but Anthropic's servers: a stand-in on its loopback, and no other\n\
         network. Alice's login of yesterday and bob's token were put there for this.",
        seconds(began.elapsed())
    ));

    page.heading("Alice works, until an old copy of her login comes back");
    let good = alice_loses_her_login(page, &desk)?;

    page.heading("Before: she logs in again, without claude-auth-sync");
    let without = without_us(page, &desk)?;

    page.heading("After: the same with claude-auth-sync");
    let with = with_us(page, &desk, &good)?;
    ensure!(with < without + DEADLINE, "the prompt took {with:?} instead of {without:?}");
    page.tell("");
    page.row("put back", "the login from before the old copy came, every key of it, hers alone");
    page.row("Claude Code", "asked the server with this access token, and needed no refresh");
    page.row("to the prompt", &format!("{}; without claude-auth-sync {}", seconds(with), seconds(without)));

    page.heading("Bob has no login, but a setup-token");
    bob_has_a_setup_token(page, &desk)?;

    page.heading("What whoever is on call finds: journalctl -t claude-auth-sync");
    page.answered(&desk.guest.product_journal(), Tone::Plain);
    page.tell("");
    Ok(())
}

/// The client exchanges her refresh token, the sync takes a backup, the copy with the spent token comes back, and the
/// client is refused. Returns the login file as it was before that copy came.
fn alice_loses_her_login(page: &Page, desk: &Workplace) -> anyhow::Result<Value> {
    page.typed(ROOT, "cas-sync enroll alice");
    page.answered(&desk.guest.enroll("alice"), Tone::Plain);
    desk.sign_in_yesterday("alice");
    let mut session = log_in(desk, "alice").0;
    type_and_show(page, &mut session, "cp -a .claude dotfiles", "a dotfiles tool copies her login");

    let said = ask(page, &mut session, "Claude Code exchanges her refresh token");
    ensure!(said == ANSWER, "a login that is good for a refresh was not answered");
    let said = type_and_show(page, &mut session, "cas-sync run", "the first backup");
    ensure!(said.contains("backed up"), "cas-sync run has not taken a backup");
    let good = parsed(&desk.guest.login_of("alice"));

    type_and_show(
        page,
        &mut session,
        "cp dotfiles/.credentials.json .claude/",
        "and brings it back, with its spent token",
    );
    let said = ask(page, &mut session, "the server refuses it");
    ensure!(said.contains(SESSION_EXPIRED), "Claude Code was expected to say: {SESSION_EXPIRED}");
    session.leave();

    let left = parsed(&desk.guest.login_of("alice"));
    page.tell("\n    and Claude Code has emptied her login:\n");
    show_login(page, &left);
    ensure!(is_emptied(&left), "Claude Code has not emptied the login");
    Ok(good)
}

/// A login with our line taken out of the session stack. Returns how long the prompt took.
fn without_us(page: &Page, desk: &Workplace) -> anyhow::Result<Duration> {
    page.typed(ROOT, "pam-auth-update --package --remove claude-auth-sync");
    desk.guest.disable_module();
    page.typed(LAPTOP, "ssh alice@workstation");
    let (mut session, took) = log_in(desk, "alice");
    let said = ask(page, &mut session, "");
    session.leave();
    ensure!(said.contains(SESSION_EXPIRED), "the login works although nobody has mended it");
    Ok(took)
}

/// The same login with our line in the session stack. Returns how long the prompt took.
fn with_us(page: &Page, desk: &Workplace, good: &Value) -> anyhow::Result<Duration> {
    page.typed(ROOT, "pam-auth-update --package");
    desk.guest.enable_module();
    desk.anthropic.forget_requests();
    page.typed(LAPTOP, "ssh alice@workstation");
    let (mut session, took) = log_in(desk, "alice");
    let mended = parsed(&desk.guest.login_of("alice"));
    page.tell("\n    and before her prompt appears:\n");
    show_login(page, &mended);
    page.tell("");
    let said = ask(page, &mut session, "");
    session.leave();

    ensure!(said == ANSWER, "Claude Code does not work after the login");
    ensure!(mended == *good, "what was put back is not what there was");
    let status = desk.guest.status_of(&login_path("alice"));
    ensure!(status == "600 alice:alice regular file", "her login file is now: {status}");
    ensure!(asked_with(desk) == [name_of(&good["claudeAiOauth"]["accessToken"])], "{:?}", asked_with(desk));
    Ok(took)
}

fn bob_has_a_setup_token(page: &Page, desk: &Workplace) -> anyhow::Result<()> {
    desk.anthropic.accept_setup_token(BOBS_TOKEN);
    page.typed(ROOT, "cas-sync enroll bob");
    page.answered(&desk.guest.enroll("bob"), Tone::Plain);
    desk.guest.put_token("bob", BOBS_TOKEN);
    desk.anthropic.forget_requests();
    page.typed(LAPTOP, &format!("ssh bob@workstation \"{QUESTION}\""));
    let said = desk.guest.ssh("bob", QUESTION).text();
    page.answered(&said, tone_of(&said));
    ensure!(said.trim() == ANSWER, "Claude Code does not work with the setup-token");
    ensure!(asked_with(desk) == [Fingerprint::of(BOBS_TOKEN).to_string()], "{:?}", asked_with(desk));
    page.tell("");
    page.row(
        "Claude Code",
        &format!("asked with his setup-token, fingerprint {}", Fingerprint::of(BOBS_TOKEN)),
    );
    Ok(())
}

/// Opens an interactive ssh session; with it, how long it took to the prompt.
fn log_in(desk: &Workplace, user: &str) -> (Terminal, Duration) {
    let began = Instant::now();
    let mut session = desk.guest.ssh_terminal(user);
    session.wait_for("$ ");
    (session, began.elapsed())
}

/// Asks Claude Code one question in a session, and shows both.
fn ask(page: &Page, session: &mut Terminal, remark: &str) -> String {
    type_and_show(page, session, QUESTION, remark)
}

fn type_and_show(page: &Page, session: &mut Terminal, command: &str, remark: &str) -> String {
    match remark {
        "" => page.typed(ALICE, command),
        remark => page.typed_with(ALICE, command, remark),
    }
    let said = without_control_sequences(&session.at_prompt(command));
    page.answered(&said, tone_of(&said));
    said.trim().to_owned()
}

fn tone_of(said: &str) -> Tone {
    if said.trim() == ANSWER {
        Tone::Good
    } else if said.contains("Failed") {
        Tone::Bad
    } else {
        Tone::Plain
    }
}

/// The fingerprints of the tokens with which the servers were asked for inference or a refresh, in order.
fn asked_with(desk: &Workplace) -> Vec<String> {
    desk.anthropic.essential_requests().into_iter().filter_map(|request| request.token).collect()
}

fn name_of(token: &Value) -> String {
    Fingerprint::of(token.as_str().unwrap_or_default()).to_string()
}

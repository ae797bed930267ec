//! The parts of the demo. Each part does what it prints, and fails when the result is another one.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cas_core::credential::fingerprint::Fingerprint;
use cas_tests::claude_client::NEWEST;
use cas_tests::claude_login::parsed;
use cas_tests::guest::{ClaudeGuest, Suite, is_cleared, login_path};
use serde_json::Value;

use crate::page::{Page, Tone};
use crate::render::{seconds, show_login};
use crate::session::{
    ANSWER, LAPTOP, QUESTION, ROOT, access_token, ask, log_in, tone_of, type_and_show, was_only_token_used,
};

const SESSION_EXPIRED: &str = "OAuth session expired and could not be refreshed";
const BOBS_TOKEN: &str = "sk-ant-oat01-bobs_setup-token";
/// A copy of the login of alice that another tool made yesterday.
const OLD_BACKUP: &str = "dotfiles/.credentials.json";

/// The maximum additional time of a login with the product: the deadline of the module.
const DEADLINE: Duration = Duration::from_secs(2);
/// Far longer than any work in the background takes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the complete demo.
///
/// # Errors
/// The first claim that does not hold.
pub(crate) fn run(page: &Page) -> Result<()> {
    page.print("Booting a throw-away Debian 12 …");
    let began = Instant::now();
    let fixture = ClaudeGuest::start(Suite::Bookworm).context("the guest did not start")?;
    fixture.guest.install_product();
    fixture.guest.resume(); // the fixture installs it paused
    page.print(&format!(
        "It runs after {}: sshd, systemd, Claude Code {NEWEST}, and claude-auth-sync.\n\
         Everything is real except the Anthropic servers: they are simulated on its loopback,\n\
         and there is no other network. Alice signed in yesterday; a dotfiles tool has a copy\n\
         of the login.",
        seconds(began.elapsed())
    ));

    page.heading("1. The administrator enrolls alice");
    let good = enroll_alice(page, &fixture)?;

    page.heading("2. The old copy of the login is restored, and Claude Code clears the login");
    lose_login_of_alice(page, &fixture)?;

    page.heading("3. Alice logs in again, first without claude-auth-sync …");
    let without = log_in_without_product(page, &fixture)?;

    page.heading("4. … and then with it");
    let with = log_in_with_product(page, &fixture, &good)?;
    ensure!(with < without + DEADLINE, "the prompt took {with:?} instead of {without:?}");
    page.print("");
    page.row("restored", "the login that the old copy replaced, with every key");
    page.row("Claude Code", "sent its request with this access token, without a refresh");
    page.row("to the prompt", &format!("{}; without claude-auth-sync {}", seconds(with), seconds(without)));

    page.heading("5. Cleared again during a session: no login happens, and the watcher restores it");
    restore_during_session(page, &fixture)?;

    page.heading("6. Bob has no login, but a setup token, which is valid for a year");
    log_in_bob_with_setup_token(page, &fixture)?;

    page.heading("The journal of all this");
    page.show_command(ROOT, "journalctl -t claude-auth-sync");
    page.show_answer(&fixture.guest.product_journal(), Tone::Plain);
    page.print(
        "\nThe guest is removed completely. To install the product on your machine: README.md, \"Install\".",
    );
    Ok(())
}

/// Enrolls alice. The first sync finds the login of yesterday: the real client refreshes it and
/// sends its question, and the result is backed up. Returns the login file.
fn enroll_alice(page: &Page, fixture: &ClaudeGuest) -> Result<Value> {
    fixture.sign_in_yesterday("alice");
    fixture
        .guest
        .run(&format!(
            "runuser -u alice -- sh -c 'cp -a ~alice/.claude ~alice/dotfiles && test -e ~alice/{OLD_BACKUP}'"
        ))
        .expect_success("a copy of the login");
    page.show_command_with(ROOT, "cas-sync enroll --no-watch alice", "the watcher is enabled later");
    page.show_answer(&fixture.guest.enroll("--no-watch alice"), Tone::Plain);
    page.print("\n    From now on the login is checked at each login of alice and every six hours,\n    for the first time now:\n");
    let output = first_sync(fixture, "alice")?;
    page.show_answer(&output, Tone::Good);
    ensure!(
        output.contains("verified by inference") && output.contains("backed up"),
        "not verified and backed up"
    );
    page.print("\n    Claude Code itself refreshed it and sent one short question to the model. So the\n    login is verified, and it was backed up (here on this machine; on many machines\n    to Vault or OpenBao).");
    Ok(parsed(&fixture.guest.read_login("alice")))
}

/// Restores the old copy. Its refresh token is consumed, so the server rejects it, and the client
/// clears the login.
fn lose_login_of_alice(page: &Page, fixture: &ClaudeGuest) -> Result<()> {
    let mut session = log_in(page, fixture, "alice").0;
    type_and_show(page, &mut session, &format!("cp {OLD_BACKUP} .claude/"), "");
    let output = ask(page, &mut session, "");
    session.leave();
    ensure!(output.contains(SESSION_EXPIRED), "expected from Claude Code: {SESSION_EXPIRED}");

    let left = parsed(&fixture.guest.read_login("alice"));
    page.print("\n    A refresh token works once, and that of the copy was consumed. The server rejected\n    it, and Claude Code has cleared the login:\n");
    show_login(page, &left);
    ensure!(is_cleared(&left), "Claude Code has not cleared the login");
    Ok(())
}

/// Logs in without the line of the module in the session stack. Returns the time until the prompt.
fn log_in_without_product(page: &Page, fixture: &ClaudeGuest) -> Result<Duration> {
    page.show_command(ROOT, "pam-auth-update --package --remove claude-auth-sync");
    fixture.guest.disable_module();
    let (mut session, took) = log_in(page, fixture, "alice");
    let output = ask(page, &mut session, "");
    session.leave();
    ensure!(output.contains(SESSION_EXPIRED), "the login works although it was not restored");
    Ok(took)
}

/// Logs in with the line of the module in the session stack. Returns the time until the prompt.
fn log_in_with_product(page: &Page, fixture: &ClaudeGuest, good: &Value) -> Result<Duration> {
    page.show_command(ROOT, "pam-auth-update --package");
    fixture.guest.enable_module();
    fixture.anthropic.forget_requests();
    let (mut session, took) = log_in(page, fixture, "alice");
    let fixed = parsed(&fixture.guest.read_login("alice"));
    page.print("\n    and before the prompt appears:\n");
    show_login(page, &fixed);
    page.print("");
    let output = ask(page, &mut session, "");
    session.leave();

    ensure!(output == ANSWER, "Claude Code does not work after the login");
    ensure!(fixed == *good, "the restored login is not the previous one");
    let status = fixture.guest.file_status(&login_path("alice"));
    ensure!(status == "600 alice:alice regular file", "the login file is now: {status}");
    ensure!(
        was_only_token_used(fixture, access_token(good)),
        "the server was asked with another token as well"
    );
    Ok(took)
}

/// Clears the login while a session is open. No new login happens.
fn restore_during_session(page: &Page, fixture: &ClaudeGuest) -> Result<()> {
    let before = parsed(&fixture.guest.read_login("alice"));
    let mut session = log_in(page, fixture, "alice").0;
    page.show_command(ROOT, "cas-sync enroll alice");
    page.show_answer(&fixture.guest.enroll("alice"), Tone::Plain);
    let watch = fixture.guest.run("systemctl is-active claude-auth-watch@alice.service").text();
    ensure!(watch == "active\n", "the watcher is {watch}");
    // The sync that enrolling started would restore the file too.
    wait_until_idle(fixture, "alice")?;
    page.print("");
    type_and_show(
        page,
        &mut session,
        ": >.claude/.credentials.json",
        "a script, an older client, a full disk",
    );
    let login = || fixture.guest.read(&login_path("alice")).unwrap_or_default();
    wait_until("the watcher has restored it", || !login().is_empty())?;
    let by_the_watch = || {
        fixture
            .guest
            .run("journalctl --sync; journalctl --quiet -o cat -u claude-auth-watch@alice.service")
            .text()
    };
    wait_until("the line of the watcher", || by_the_watch().contains("RECOVERED"))?;
    let fixed = parsed(&fixture.guest.read_login("alice"));
    page.print("\n    and a moment later:\n");
    show_login(page, &fixed);
    page.print("");
    let output = ask(page, &mut session, "");
    session.leave();
    // Claude Code adds members to a login when it uses it. The other members must be unchanged.
    for key in ["accessToken", "refreshToken"] {
        let (before, fixed) = (&before["claudeAiOauth"][key], &fixed["claudeAiOauth"][key]);
        ensure!(before == fixed, "the restored login is not the previous one");
    }
    ensure!(output == ANSWER, "Claude Code does not work");
    Ok(())
}

fn log_in_bob_with_setup_token(page: &Page, fixture: &ClaudeGuest) -> Result<()> {
    fixture.anthropic.accept_setup_token(BOBS_TOKEN);
    fixture.guest.put_token("bob", BOBS_TOKEN);
    page.show_command(ROOT, "cas-sync enroll bob");
    page.show_answer(&fixture.guest.enroll("bob"), Tone::Plain);
    let output = first_sync(fixture, "bob")?;
    page.show_answer(&output, Tone::Good);
    wait_until_idle(fixture, "alice")?; // the sync follows every repair
    fixture.anthropic.forget_requests();
    page.show_command(LAPTOP, &format!("ssh bob@workstation \"{QUESTION}\""));
    let output = fixture.guest.ssh("bob", QUESTION).text();
    page.show_answer(&output, tone_of(&output));
    ensure!(output.trim() == ANSWER, "Claude Code does not work with the setup token");
    ensure!(was_only_token_used(fixture, BOBS_TOKEN), "the server was asked with another token as well");
    page.print("");
    page.row(
        "Claude Code",
        &format!(
            "sent its request with the setup token, fingerprint {}",
            Fingerprint::from_bytes(BOBS_TOKEN)
        ),
    );
    Ok(())
}

/// Waits until no request is pending and no sync runs.
fn wait_until_idle(fixture: &ClaudeGuest, user: &str) -> Result<()> {
    let service = format!("claude-auth-sync@{user}.service");
    let rest = format!(
        "test \"$(systemctl show --property=ActiveState --property=Job --value {service} | tr -d '\\n')\" = inactive"
    );
    wait_until("the sync is over", || fixture.guest.run(&rest).succeeded())
}

/// Waits until the sync that enrolling has started is done, and returns its output.
fn first_sync(fixture: &ClaudeGuest, user: &str) -> Result<String> {
    let log = format!("/home/{user}/.local/state/claude-auth-sync/sync.log");
    let service = format!("claude-auth-sync@{user}.service");
    let said =
        || fixture.guest.run(&format!("systemctl is-active --quiet {service} || tail -n1 {log}")).text();
    wait_until("the first sync has ended", || fixture.guest.read(&log).is_some() && !said().is_empty())?;
    let journal = fixture.guest.product_journal();
    let of_user = format!("user={user} ");
    Ok(journal.lines().rfind(|line| line.starts_with(&of_user)).unwrap_or_default().to_owned())
}

fn wait_until(what: &str, condition: impl Fn() -> bool) -> Result<()> {
    let end = Instant::now() + TIMEOUT;
    while !condition() {
        ensure!(Instant::now() < end, "{what}: not within {TIMEOUT:?}");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

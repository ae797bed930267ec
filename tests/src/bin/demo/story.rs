//! The story, part by part. Each part does what it prints, and fails when what it saw is not what
//! it claims.

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
/// A copy of alice's login that some tool made yesterday.
const OLD_COPY: &str = "dotfiles/.credentials.json";

/// What a login may take longer with us than without: the module's deadline.
const DEADLINE: Duration = Duration::from_secs(2);
/// Far longer than anything takes that happens in the background.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the whole demo.
///
/// # Errors
/// The first claim that does not hold.
pub(crate) fn tell(page: &Page) -> Result<()> {
    page.tell("Booting a throw-away Debian 12 …");
    let began = Instant::now();
    let desk = ClaudeGuest::start(Suite::Bookworm).context("there is no such guest")?;
    desk.guest.install_product();
    desk.guest.resume(); // the bed installs it paused
    page.tell(&format!(
        "There it is, after {}: sshd, systemd, Claude Code {NEWEST}, and claude-auth-sync.\n\
         All of it is real but Anthropic's servers: a stand-in on its loopback, and no other\n\
         network. Alice signed in yesterday; a dotfiles tool has a copy of her login.",
        seconds(began.elapsed())
    ));

    page.heading("1. The admin lets claude-auth-sync look after alice");
    let good = enroll_alice(page, &desk)?;

    page.heading("2. The old copy of her login comes back, and Claude Code loses it");
    lose_login_of_alice(page, &desk)?;

    page.heading("3. She logs in again. First without claude-auth-sync …");
    let without = log_in_without_product(page, &desk)?;

    page.heading("4. … and then with it");
    let with = log_in_with_product(page, &desk, &good)?;
    ensure!(with < without + DEADLINE, "the prompt took {with:?} instead of {without:?}");
    page.tell("");
    page.row("put back", "her login from before the old copy came, every key of it");
    page.row("Claude Code", "asked the server with this access token, and needed no refresh");
    page.row("to the prompt", &format!("{}; without claude-auth-sync {}", seconds(with), seconds(without)));

    page.heading("5. Emptied again while she works: nobody logs in, and the watch puts it back");
    restore_during_session(page, &desk)?;

    page.heading("6. Bob has no login at all, but a setup-token that lasts a year");
    log_in_bob_with_setup_token(page, &desk)?;

    page.heading("What whoever is on call finds of all this");
    page.typed(ROOT, "journalctl -t claude-auth-sync");
    page.answered(&desk.guest.product_journal(), Tone::Plain);
    page.tell("\nThe guest is gone, and nothing of it is left. To have this on a machine of yours: README.md, \"Install\".");
    Ok(())
}

/// The first sync finds yesterday's login: the real client refreshes it, asks its question, and
/// what it wrote is backed up. Returns the login file.
fn enroll_alice(page: &Page, desk: &ClaudeGuest) -> Result<Value> {
    desk.sign_in_yesterday("alice");
    desk.guest
        .run(&format!(
            "runuser -u alice -- sh -c 'cp -a ~alice/.claude ~alice/dotfiles && test -e ~alice/{OLD_COPY}'"
        ))
        .expect_success("a copy of her login");
    page.typed_with(
        ROOT,
        "cas-sync enroll --no-watch alice",
        "the watch comes later, so that there is something to see",
    );
    page.answered(&desk.guest.enroll("--no-watch alice"), Tone::Plain);
    page.tell("\n    From now on she is looked after at her logins and every six hours, and for the\n    first time at once:\n");
    let said = first_sync(desk, "alice")?;
    page.answered(&said, Tone::Good);
    ensure!(
        said.contains("verified by inference") && said.contains("backed up"),
        "not verified and backed up"
    );
    page.tell("\n    Claude Code itself refreshed it and asked the model one short question. That is\n    how it is known to work, and why it was backed up (here on this machine; in a\n    fleet in Vault or OpenBao).");
    Ok(parsed(&desk.guest.login_of("alice")))
}

/// The refresh token of the copy is consumed: the server rejects it, and the client clears the
/// login.
fn lose_login_of_alice(page: &Page, desk: &ClaudeGuest) -> Result<()> {
    let mut session = log_in(page, desk, "alice").0;
    type_and_show(page, &mut session, &format!("cp {OLD_COPY} .claude/"), "");
    let said = ask(page, &mut session, "");
    session.leave();
    ensure!(said.contains(SESSION_EXPIRED), "Claude Code was expected to say: {SESSION_EXPIRED}");

    let left = parsed(&desk.guest.login_of("alice"));
    page.tell("\n    A refresh token works once, and the copy's was used up. The server refused it,\n    and this is what Claude Code has left of her login:\n");
    show_login(page, &left);
    ensure!(is_cleared(&left), "Claude Code has not emptied the login");
    Ok(())
}

/// A login with our line taken out of the session stack. Returns how long the prompt took.
fn log_in_without_product(page: &Page, desk: &ClaudeGuest) -> Result<Duration> {
    page.typed(ROOT, "pam-auth-update --package --remove claude-auth-sync");
    desk.guest.disable_module();
    let (mut session, took) = log_in(page, desk, "alice");
    let said = ask(page, &mut session, "");
    session.leave();
    ensure!(said.contains(SESSION_EXPIRED), "the login works although nobody has mended it");
    Ok(took)
}

/// The same login with our line in the session stack. Returns how long the prompt took.
fn log_in_with_product(page: &Page, desk: &ClaudeGuest, good: &Value) -> Result<Duration> {
    page.typed(ROOT, "pam-auth-update --package");
    desk.guest.enable_module();
    desk.anthropic.forget_requests();
    let (mut session, took) = log_in(page, desk, "alice");
    let fixed = parsed(&desk.guest.login_of("alice"));
    page.tell("\n    and before her prompt appears:\n");
    show_login(page, &fixed);
    page.tell("");
    let said = ask(page, &mut session, "");
    session.leave();

    ensure!(said == ANSWER, "Claude Code does not work after the login");
    ensure!(fixed == *good, "what was put back is not what there was");
    let status = desk.guest.status_of(&login_path("alice"));
    ensure!(status == "600 alice:alice regular file", "her login file is now: {status}");
    ensure!(was_only_token_used(desk, access_token(good)), "the server was asked with another token as well");
    Ok(took)
}

/// A session is open, its login is cleared, and no new login happens.
fn restore_during_session(page: &Page, desk: &ClaudeGuest) -> Result<()> {
    let before = parsed(&desk.guest.login_of("alice"));
    let mut session = log_in(page, desk, "alice").0;
    page.typed(ROOT, "cas-sync enroll alice");
    page.answered(&desk.guest.enroll("alice"), Tone::Plain);
    let watch = desk.guest.run("systemctl is-active claude-auth-watch@alice.service").text();
    ensure!(watch == "active\n", "the watch is {watch}");
    // The sync that enrolling started would restore the file too.
    at_rest(desk, "alice")?;
    page.tell("");
    type_and_show(
        page,
        &mut session,
        ": >.claude/.credentials.json",
        "a script, an older client, a full disk",
    );
    let login = || desk.guest.read(&login_path("alice")).unwrap_or_default();
    wait_until("the watch has put it back", || !login().is_empty())?;
    let by_the_watch = || {
        desk.guest
            .run("journalctl --sync; journalctl --quiet -o cat -u claude-auth-watch@alice.service")
            .text()
    };
    wait_until("the watch has said so", || by_the_watch().contains("RECOVERED"))?;
    let fixed = parsed(&desk.guest.login_of("alice"));
    page.tell("\n    and a moment later:\n");
    show_login(page, &fixed);
    page.tell("");
    let said = ask(page, &mut session, "");
    session.leave();
    // Claude Code adds members to a login when it uses it. The other members must be unchanged.
    for key in ["accessToken", "refreshToken"] {
        let (before, fixed) = (&before["claudeAiOauth"][key], &fixed["claudeAiOauth"][key]);
        ensure!(before == fixed, "what was put back is not what there was");
    }
    ensure!(said == ANSWER, "Claude Code does not work");
    Ok(())
}

fn log_in_bob_with_setup_token(page: &Page, desk: &ClaudeGuest) -> Result<()> {
    desk.anthropic.accept_setup_token(BOBS_TOKEN);
    desk.guest.put_token("bob", BOBS_TOKEN);
    page.typed(ROOT, "cas-sync enroll bob");
    page.answered(&desk.guest.enroll("bob"), Tone::Plain);
    let said = first_sync(desk, "bob")?;
    page.answered(&said, Tone::Good);
    at_rest(desk, "alice")?; // her sync looks after every repair
    desk.anthropic.forget_requests();
    page.typed(LAPTOP, &format!("ssh bob@workstation \"{QUESTION}\""));
    let said = desk.guest.ssh("bob", QUESTION).text();
    page.answered(&said, tone_of(&said));
    ensure!(said.trim() == ANSWER, "Claude Code does not work with the setup-token");
    ensure!(was_only_token_used(desk, BOBS_TOKEN), "the server was asked with another token as well");
    page.tell("");
    page.row(
        "Claude Code",
        &format!("asked with his setup-token, fingerprint {}", Fingerprint::from_bytes(BOBS_TOKEN)),
    );
    Ok(())
}

/// Waits until no request is pending and no sync runs.
fn at_rest(desk: &ClaudeGuest, user: &str) -> Result<()> {
    let service = format!("claude-auth-sync@{user}.service");
    let rest = format!(
        "test \"$(systemctl show --property=ActiveState --property=Job --value {service} | tr -d '\\n')\" = inactive"
    );
    wait_until("the sync is over", || desk.guest.run(&rest).succeeded())
}

/// Waits until the sync that enrolling has started is done; what it said.
fn first_sync(desk: &ClaudeGuest, user: &str) -> Result<String> {
    let log = format!("/home/{user}/.local/state/claude-auth-sync/sync.log");
    let service = format!("claude-auth-sync@{user}.service");
    let said = || desk.guest.run(&format!("systemctl is-active --quiet {service} || tail -n1 {log}")).text();
    wait_until("the first sync has ended", || desk.guest.read(&log).is_some() && !said().is_empty())?;
    let journal = desk.guest.product_journal();
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

//! `make demo`: somebody's Claude login breaks on a throw-away Debian, they log in by ssh, and `claude` works again.
//!
//! Everything is real but Anthropic: the Debian, its sshd and PAM, the release build installed by its own recipe, and
//! Claude Code, which empties the login file itself when a stand-in for its servers refuses a refresh token. The store is
//! the embedded one, so there is no other server anywhere.

mod shown;

use std::{io, process::ExitCode, time::Duration};

use cas_tests::{
    anthropic::RefreshAnswer,
    claude_login::parsed,
    guest::{Finished, Guest, Suite, Workplace, login_path},
};

use crate::shown::{milliseconds, show_claude, show_login, yes_or_no};

/// What an access token is good for, about.
const EIGHT_HOURS: Duration = Duration::from_secs(8 * 60 * 60 - 1);

fn main() -> ExitCode {
    println!("Booting a throw-away Debian 12 …");
    match workplace() {
        Ok(desk) if tell(&desk) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("It did not come up: {error}");
            ExitCode::FAILURE
        }
    }
}

fn workplace() -> io::Result<Workplace> {
    let guest = Guest::start(Suite::Bookworm)?;
    guest.install_product();
    Workplace::around(guest)
}

/// Tells the story; whether it ended well.
fn tell(desk: &Workplace) -> bool {
    let guest = &desk.guest;
    // sshd's first login of a boot starts more than later ones do; the comparison is with an ordinary one.
    guest.ssh("alice", "true").expect_success("a first login");
    let ordinary = guest.ssh("alice", "true").expect_success("an ordinary login");

    println!("claude-auth-sync is installed. As root:\n");
    println!("    # cas-sync enroll alice\n    {}", guest.enroll("alice").trim_end());
    desk.sign_in(EIGHT_HOURS);
    let login = guest.login_of("alice");
    println!("\nAlice has signed in to Claude. The first sync, as her:\n");
    println!(
        "    $ cas-sync run\n    {}",
        guest.sync("alice").expect_success("cas-sync run").text().trim_end()
    );

    let emptied = lose_the_login(desk, &login);
    println!(
        "\nThen another copy of her login spends the refresh token, and Claude Code empties this one:\n"
    );
    show_login(&guest.login_of("alice"));
    println!();
    show_claude(&emptied);

    println!("\nShe logs in again, and before her prompt appears:\n\n    laptop$ ssh alice@workstation\n");
    let session = guest.ssh("alice", "cat .claude/.credentials.json").expect_success("the login");
    show_login(&session.text());
    println!();
    let works = desk.ask_claude();
    show_claude(&works);

    let is_whole = parsed(&session.text()) == parsed(&login);
    let is_hers = guest.status_of(&login_path("alice")) == "600 alice:alice regular file";
    println!("\n    the file is as it was before it broke   {}", yes_or_no(is_whole));
    println!("    it is hers, and hers alone              {}", yes_or_no(is_hers));
    println!("    that login took                         {}", milliseconds(session.took));
    println!("    one before she was enrolled took        {}", milliseconds(ordinary.took));
    println!("\nWhat whoever is on call finds in the journal:\n");
    for line in guest.product_journal().lines() {
        println!("    {line}");
    }
    println!();
    is_whole && is_hers && works.succeeded() && !emptied.succeeded()
}

/// Lets Claude Code itself lose the login, and returns what it says from then on to a session that is already there.
fn lose_the_login(desk: &Workplace, login: &str) -> Finished {
    desk.anthropic.answer_refreshes(RefreshAnswer::InvalidGrant);
    let mut stale = parsed(login);
    stale["claudeAiOauth"]["expiresAt"] = 0.into();
    desk.guest.put_login("alice", &stale.to_string());
    desk.ask_claude_without_login();
    desk.ask_claude_without_login()
}

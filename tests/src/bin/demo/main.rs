//! `make demo`: somebody's Claude login breaks on a throw-away Debian, they log in by ssh, and it works again.
//!
//! Everything is real but Anthropic: the Debian, its sshd and PAM, the release build installed by its own recipe, and a
//! login file emptied as Claude Code empties it. The store is the embedded one, so there is no server anywhere.

mod shown;

use std::process::ExitCode;

use cas_tests::{
    claude_login,
    guest::{Guest, Suite, login_path},
};

use crate::shown::{milliseconds, show_login};

fn main() -> ExitCode {
    println!("Booting a throw-away Debian 12 …");
    match Guest::start(Suite::Bookworm) {
        Ok(guest) if tell(&guest) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("It did not come up: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells the story; whether it ended well.
fn tell(guest: &Guest) -> bool {
    guest.install_product();
    // sshd's first login of a boot starts more than later ones; the comparison is with an ordinary one.
    guest.ssh("alice", "true").expect_success("a first login");
    let ordinary = guest.ssh("alice", "true").expect_success("an ordinary login");

    println!("Installed claude-auth-sync. As root:\n");
    println!("    # cas-sync enroll alice\n    {}", guest.enroll("alice").trim_end());
    let login = claude_login::fresh("the-demo");
    guest.put_login("alice", &login);
    println!("\nAlice has signed in to Claude. The first sync, as her:\n");
    println!(
        "    $ cas-sync run\n    {}",
        guest.sync("alice").expect_success("cas-sync run").text().trim_end()
    );

    guest.put_login("alice", &claude_login::tombstone(&login));
    println!("\nThen Claude Code loses a race for the next refresh token, and empties her login:\n");
    show_login(&guest.login_of("alice"));

    println!("\nShe logs in:\n\n    laptop$ ssh alice@workstation");
    let session = guest.ssh("alice", "cat .claude/.credentials.json").expect_success("the login");
    println!("\nand before her prompt appears:\n");
    show_login(&session.text());

    let before = claude_login::parsed(&login);
    let after = claude_login::parsed(&session.text());
    let status = guest.status_of(&login_path("alice"));
    println!();
    let is_whole = before == after;
    let is_hers = status == "600 alice:alice regular file";
    println!("    the same as before it broke   {}", yes_or_no(is_whole));
    println!("    hers alone                    {}", yes_or_no(is_hers));
    println!(
        "    this login took               {} (one before she was enrolled: {})",
        milliseconds(session.took),
        milliseconds(ordinary.took)
    );
    println!("\nWhat whoever is on call finds in the journal:\n");
    for line in guest.product_journal().lines() {
        println!("    {line}");
    }
    println!();
    is_whole && is_hers
}

fn yes_or_no(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "NO" }
}

//! `cas-sync provision` on a workstation with a real OpenBao: from a roster to working users, and
//! what can prevent it.

mod accounts;
mod admin;
mod homes;
mod many_users;
mod new_users;
mod obstructions;
mod policies;
mod reused_names;
mod roster;
mod units;

use cas_tests::guest::{CommandResult, Guest, Suite, VaultGuest};
use cas_tests::openbao::Bao;
use serde_json::{Value, json};

/// Creates a workstation and a server on which nothing is set up: no role, no policies.
fn site() -> VaultGuest {
    let host = VaultGuest::start(Suite::Bookworm, "15min");
    delete_role(&host.bao);
    host
}

fn delete_role(bao: &Bao) {
    bao.admin().send_ok("DELETE", "auth/token/roles/workstation-claude", &Value::Null);
}

/// Writes the roster.
#[track_caller]
fn roster(guest: &Guest, text: &str) {
    guest.write("/etc/claude-auth-sync/roster.yaml", "root", "644", text.as_bytes());
}

/// Provisions as an administrator with all permissions.
fn provision(host: &VaultGuest, arguments: &str) -> CommandResult {
    provision_with(&host.guest, host.bao.root_token(), arguments)
}

/// Provisions as an administrator with this token.
fn provision_with(guest: &Guest, token: &str, arguments: &str) -> CommandResult {
    guest.run(&format!("VAULT_TOKEN={token} cas-sync provision {arguments}"))
}

/// Provisions as the hourly run does.
fn provision_alone(guest: &Guest) -> CommandResult {
    guest.run("cas-sync provision")
}

/// Returns all output.
fn text_and_errors(finished: &CommandResult) -> String {
    format!("{}{}", finished.text(), String::from_utf8_lossy(&finished.stderr))
}

/// Returns the server's data about the token in a user's file, or `None` if it is expired, revoked
/// or missing.
fn token_lookup(host: &VaultGuest, user: &str) -> Option<Value> {
    let token = token(&host.guest, user)?;
    let looked_up = host.bao.admin().ask("POST", "auth/token/lookup", Some(&json!({ "token": token })));
    (looked_up.status == 200).then(|| looked_up.body["data"].clone())
}

fn token(guest: &Guest, user: &str) -> Option<String> {
    let file = guest.read(&token_file(user))?;
    Some(String::from_utf8(file).expect("a token is text").trim_end().to_owned())
}

fn token_file(user: &str) -> String {
    format!("/home/{user}/.config/claude-auth-sync/vault-token")
}

/// Returns the tokens at the server.
fn tokens(bao: &Bao) -> usize {
    let listed = bao.admin().send_ok("LIST", "auth/token/accessors", &Value::Null);
    listed["data"]["keys"].as_array().map_or(0, Vec::len)
}

/// Returns the enrolled users, one per line.
fn enrolled(guest: &Guest) -> String {
    guest.run("ls /var/lib/claude-auth-sync/enrolled 2>/dev/null").text()
}

/// Returns the properties of these directories that reveal a change: names, owners, modes, sizes,
/// times, and targets of symlinks.
#[track_caller]
fn snapshot(guest: &Guest, folders: &str) -> String {
    guest
        .run(&format!("find {folders} -printf '%p %y %m %u %g %s %T@ %l\\n' | sort"))
        .expect_success("looking at folders")
        .text()
}

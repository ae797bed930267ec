//! Many users (per merge more than one batch of them): provisioning that is interrupted at any
//! point completes when it runs again, and then has nothing left to do.

use cas_tests::size::sized;
use serde_json::Value;

use super::{enrolled, provision, roster, site, snapshot, text_and_errors, token_file, tokens};

/// The exit code of a run that was terminated.
const INTERRUPTED: i32 = 75;
/// Users are provisioned in the order of their names, which is that of numbers of four digits.
const FIRST: usize = 1001;

#[test]
fn interrupted_provisioning_of_many_users_completes() {
    let users = sized(1000, 120);
    let last = FIRST + users - 1;
    let host = site();
    let guest = &host.guest;
    guest
        .run(&format!(
            "for i in $(seq {FIRST} {last}); do n=p$i; u=$((19000 + i)); echo \"$n:x:$u:$u::/home/$n:/bin/sh\" >&3; echo \"$n:x:$u:\" >&4; mkdir -m 700 /home/$n; echo >/home/$n/.profile; chown -R $u:$u /home/$n; done 3>>/etc/passwd 4>>/etc/group"
        ))
        .expect_success("a crowd");
    let text: String =
        (FIRST..=last).map(|number| format!("  p{number}:\n    tier: {}\n", number % 3)).collect();
    roster(guest, &format!("users:\n{text}"));

    // Killed while it provisions a user, each time a little later; then terminated, which takes
    // effect after the current user.
    let run = format!("VAULT_TOKEN={} cas-sync provision --json", host.bao.root_token());
    let eighths = [("KILL", 1, 137), ("KILL", 3, 137), ("KILL", 4, 137), ("TERM", 6, INTERRUPTED)];
    for (signal, eighth, code) in eighths {
        let file = token_file(&format!("p{}", FIRST + users * eighth / 8));
        let interrupted = guest.run(&format!(
            "{run} & run=$!; until [ -e {file} ]; do kill -0 $run || break; sleep 0.01; done; kill -{signal} $run; wait $run"
        ));
        println!(
            "{signal}: {:?} after {:?}, {} enrolled",
            interrupted.code,
            interrupted.took,
            enrolled(guest).lines().count()
        );
        assert_eq!(interrupted.code, Some(code), "{signal}: {}", text_and_errors(&interrupted));
        assert!(guest.read(&token_file(&format!("p{last}"))).is_none(), "{signal}: it was done already");
    }
    let interruptions = eighths.len();
    let finished = guest.run(&run).expect_success("after all interruptions");
    let report: Value = serde_json::from_slice(&finished.stdout).expect("JSON");
    assert_eq!(enrolled(guest).lines().count(), users);
    let lacking = guest
        .run(&format!("for i in $(seq {FIRST} {last}); do for f in /home/p$i/.config/claude-auth-sync/vault-token /etc/systemd/system/claude-auth-sync.target.wants/claude-auth-sync@p$i.timer /var/lib/claude-auth-sync/provisioned/p$i; do [ -s $f ] || [ -L $f ] || echo $f; done; done"))
        .text();
    assert_eq!(lacking, "");
    let number = tokens(&host.bao);
    let most = users + 1 + interruptions;
    assert!(
        (users + 1..=most).contains(&number),
        "{number} tokens: at most one is lost in each interruption"
    );

    let places = "/home /var/lib/claude-auth-sync /etc/systemd/system /etc/tmpfiles.d";
    let before = snapshot(guest, places);
    let again = provision(&host, "--json");
    let told_again: Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!(again.code, Some(0), "{told_again}");
    assert_eq!(told_again["requests"], users + 1, "one for each user, and one for the administrator");
    let is_untouched = |user: &Value| user["steps"].as_array().is_some_and(Vec::is_empty);
    assert!(told_again["users"].as_array().expect("users").iter().all(is_untouched));
    assert_eq!(snapshot(guest, places), before, "nothing was written");
    assert_eq!(tokens(&host.bao), number);
    println!(
        "{users} users, interrupted {interruptions} times: the last run {} requests in {} ms; again {} requests in {} ms",
        report["requests"], report["elapsed_ms"], told_again["requests"], told_again["elapsed_ms"]
    );
}

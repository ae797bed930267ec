//! A thousand people: interrupted wherever it may be and run again, it completes; and then nothing is left to do.

use serde_json::Value;

use super::{enrolled, provision, roster, said, site, snapshot, tokens};

const PEOPLE: usize = 1000;

#[test]
fn a_thousand_people_are_provisioned_however_often_that_is_interrupted() {
    let fleet = site();
    let guest = &fleet.guest;
    guest
        .run(&format!(
            "for i in $(seq 1 {PEOPLE}); do n=p$i; u=$((20000 + i)); echo \"$n:x:$u:$u::/home/$n:/bin/sh\" >&3; echo \"$n:x:$u:\" >&4; mkdir -m 700 /home/$n; echo >/home/$n/.profile; chown -R $u:$u /home/$n; done 3>>/etc/passwd 4>>/etc/group"
        ))
        .expect_success("a thousand people");
    let text: String =
        (1..=PEOPLE).map(|number| format!("  p{number}:\n    tier: {}\n", number % 3)).collect();
    roster(guest, &format!("users:\n{text}"));

    // Killed outright, a little later each time; then asked to end, which it does when it is done with somebody.
    let (mut interruptions, mut finished) = (0, None);
    for (signal, seconds) in [("KILL", 2), ("KILL", 5), ("KILL", 9)].into_iter().chain([("TERM", 60); 10]) {
        let run = guest.run(&format!(
            "VAULT_TOKEN={} timeout --signal={signal} {seconds} cas-sync provision --json",
            fleet.bao.root_token()
        ));
        println!(
            "{signal} {seconds}: {:?} after {:?}, {} enrolled",
            run.code,
            run.took,
            enrolled(guest).lines().count()
        );
        if run.succeeded() {
            finished = Some(run);
            break;
        }
        assert!(matches!(run.code, Some(124 | 137)), "it ended by itself: {:?} {}", run.code, said(&run));
        interruptions += 1;
    }
    let finished = finished.unwrap_or_else(|| panic!("not finished after {interruptions} interruptions"));
    let told: Value = serde_json::from_slice(&finished.stdout).expect("JSON");
    assert!(interruptions >= 3);
    assert_eq!(enrolled(guest).lines().count(), PEOPLE);
    let lacking = guest
        .run(&format!("for i in $(seq 1 {PEOPLE}); do for f in /home/p$i/.config/claude-auth-sync/vault-token /etc/systemd/system/claude-auth-sync.target.wants/claude-auth-sync@p$i.timer /var/lib/claude-auth-sync/provisioned/p$i; do [ -s $f ] || [ -L $f ] || echo $f; done; done"))
        .text();
    assert_eq!(lacking, "");
    let number = tokens(&fleet.bao);
    let most = PEOPLE + 1 + interruptions;
    assert!(
        (PEOPLE + 1..=most).contains(&number),
        "{number} tokens: at most one is lost in each interruption"
    );

    let places = "/home /var/lib/claude-auth-sync /etc/systemd/system /etc/tmpfiles.d";
    let before = snapshot(guest, places);
    let again = provision(&fleet, "--json");
    let told_again: Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!(again.code, Some(0), "{told_again}");
    assert_eq!(told_again["requests"], PEOPLE + 1, "one for each person, and one for the admin");
    let is_untouched = |person: &Value| person["steps"].as_array().is_some_and(Vec::is_empty);
    assert!(told_again["people"].as_array().expect("people").iter().all(is_untouched));
    assert_eq!(snapshot(guest, places), before, "nothing was written");
    assert_eq!(tokens(&fleet.bao), number);
    println!(
        "{PEOPLE} people, interrupted {interruptions} times: the last run {} requests in {} ms; again {} requests in {} ms",
        told["requests"], told["milliseconds"], told_again["requests"], told_again["milliseconds"]
    );
}

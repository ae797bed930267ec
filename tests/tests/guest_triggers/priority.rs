//! The settings of the unit for a refresh, which apply to no other process that it starts.

use cas_protocol::deadline::Deadline;
use cas_tests::claude_login::{cleared_login, new_login};
use cas_tests::guest::{ClaudeGuest, Guest, Suite};
use cas_tests::{TIMEOUT, wait_until};

use super::{is_inactive, property};

const SERVICE: &str = "claude-auth-sync@alice.service";

/// Records its score, and whether SIGXFSZ (bit 24) is blocked or ignored.
const NOTE: &str =
    "#!/bin/sh\n{ cat /proc/self/oom_score_adj; grep -E '^Sig(Blk|Ign):' /proc/self/status; } >>/home/alice/";

#[test]
fn memory_priority_is_for_a_refresh_alone_on_bookworm() {
    check_memory_priority(Suite::Bookworm);
}

#[test]
fn memory_priority_is_for_a_refresh_alone_on_trixie() {
    check_memory_priority(Suite::Trixie);
}

fn check_memory_priority(suite: Suite) {
    let machine = ClaudeGuest::with_product(suite, &[]);
    let guest = &machine.guest;
    let program = |name: &str, rest: &str| {
        guest.write(
            &format!("/usr/local/bin/{name}"),
            "root",
            "755",
            format!("{NOTE}{name}\n{rest}").as_bytes(),
        );
    };
    program("told", "");
    program("asked", "exec /usr/local/bin/claude \"$@\"\n");
    guest.configure(
        "[notify]\ncommand = [\"/usr/local/bin/told\"]\n[claude]\nprogram = \"/usr/local/bin/asked\"\n\
         environment = { NODE_EXTRA_CA_CERTS = \"/etc/anthropic-stand-in.pem\" }\n",
    );
    let can_protect = can_protect(guest);
    guest.resume();
    guest.run("cas-sync enroll --no-watch alice").expect_success("enrolling");
    wait_until("the first sync", || is_inactive(guest, "alice"));

    guest.put_login("alice", &cleared_login(&new_login("lost")));
    guest.run(&format!("systemctl start {SERVICE}")).expect_success("a sync that reports a lost login");
    assert_eq!(scores(guest, "told"), ["0"]);

    machine.sign_in_yesterday("alice");
    machine.anthropic.forget_requests();
    machine.anthropic.hold_refreshes(true);
    guest.run(&format!("systemctl start --no-block {SERVICE}")).expect_success("a sync that refreshes");
    assert!(machine.anthropic.wait_for(&Deadline::after(TIMEOUT), |request| request.is_refresh()));
    let group = property(guest, SERVICE, "ControlGroup");
    let at_work = guest
        .run(&format!("for p in $(cat '/sys/fs/cgroup{group}/cgroup.procs'); do echo $(cat /proc/$p/comm /proc/$p/oom_score_adj); done"))
        .text();
    machine.anthropic.hold_refreshes(false);
    wait_until("the sync has ended", || is_inactive(guest, "alice"));
    let protected = if can_protect { " -500" } else { " 0" };
    let (sync, client): (Vec<_>, Vec<_>) = at_work.lines().partition(|line| line.starts_with("cas-sync"));
    assert_eq!(sync, ["cas-sync 0"], "{at_work}");
    assert!(!client.is_empty() && client.iter().all(|line| line.ends_with(protected)), "{at_work}");

    guest.run("rm /home/alice/asked").expect_success("what the refresh noted");
    guest.run(&format!("systemctl start {SERVICE}")).expect_success("a sync that verifies a login");
    let requests = scores(guest, "asked");
    assert!(!requests.is_empty() && requests.iter().all(|score| score == "0"), "{requests:?}");
}

/// Returns true if root may protect a process. If root has no CAP_SYS_RESOURCE, systemd leaves the
/// scores unchanged; then the unit makes them worse, which must not reach the children either.
fn can_protect(guest: &Guest) -> bool {
    let may = guest.run("echo -500 >/proc/self/oom_score_adj").succeeded();
    if !may {
        guest
            .run("d=/etc/systemd/system/claude-auth-sync@.service.d; mkdir -p $d && printf '[Service]\\nOOMScoreAdjust=300\\n' >$d/score.conf && systemctl daemon-reload")
            .expect_success("a drop-in");
    }
    may
}

/// Returns the scores in these notes, each of a process with the default disposition of SIGXFSZ.
fn scores(guest: &Guest, name: &str) -> Vec<String> {
    const SIGXFSZ: u64 = 1 << 24;
    let notes = String::from_utf8(guest.read(&format!("/home/alice/{name}")).expect("notes")).expect("text");
    let (masks, scores): (Vec<_>, Vec<_>) = notes.lines().partition(|line| line.starts_with("Sig"));
    for mask in &masks {
        let bits = mask.split_whitespace().nth(1).and_then(|bits| u64::from_str_radix(bits, 16).ok());
        assert_eq!(bits.expect("a mask") & SIGXFSZ, 0, "{mask}");
    }
    assert_eq!(masks.len(), 2 * scores.len(), "{notes}");
    scores.into_iter().map(str::to_owned).collect()
}

//! What a user's unit can access: less of the machine than a session, and nothing of other users
//! that a session could not.

use cas_tests::guest::{Guest, Suite};

use super::drop_in;

/// A login of alice can write or read each of these; her units cannot.
const MACHINE_SERVICE: [&str; 4] =
    ["echo x >>/usr/local/share/hers", "echo x >>/etc/hers", "cat /tmp/of-her-session", "cat /proc/1/status"];
/// Operations that only the owners may perform, wherever they are attempted.
const OTHER_UNITS: [&str; 4] = [
    "ls /home/bob",
    "cat /home/bob/.claude/.credentials.json",
    "touch /home/carol/x",
    "ls /proc/$(cat /run/of-bob)",
];

#[test]
fn user_units_have_fewer_rights_than_sessions() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest
        .run("for f in /usr/local/share/hers /etc/hers /tmp/of-her-session; do echo hers >$f; chown alice $f; done
              runuser -u alice -- ipcmk --shmem 64
              install -d -m 700 -o bob -g bob /home/bob /home/bob/.claude; echo his >/home/bob/.claude/.credentials.json
              chmod 700 /home/bob; chmod 755 /home/carol
              systemd-run --quiet --collect --unit=of-bob --uid=bob sleep 600
              systemctl show --property=MainPID --value of-bob >/run/of-bob")
        .expect_success("files of alice and of others");
    for attempt in MACHINE_SERVICE {
        guest.ssh("alice", attempt).expect_success(attempt);
    }
    for attempt in &OTHER_UNITS[..3] {
        assert!(!guest.ssh("alice", attempt).succeeded(), "{attempt}");
    }
    for unit in ["claude-auth-sync@alice.service", "claude-auth-watch@alice.service"] {
        for attempt in MACHINE_SERVICE.iter().chain(&OTHER_UNITS) {
            assert!(!run_in_unit(&guest, unit, attempt), "{unit}: {attempt}");
        }
        assert!(
            run_in_unit(&guest, unit, "touch /home/alice/.claude.lock /tmp/x && ls /home/alice"),
            "{unit}"
        );
    }
}

/// Returns true if a command succeeds with all of the unit's directives.
#[track_caller]
fn run_in_unit(guest: &Guest, unit: &str, command: &str) -> bool {
    guest.run("rm -f /home/alice/result").expect_success("nothing known yet");
    let script =
        format!("#!/bin/sh\n{command} && echo yes >/home/alice/result || echo no >/home/alice/result\n");
    guest.write("/usr/local/bin/attempt", "root", "755", script.as_bytes());
    drop_in(guest, unit, "Type=oneshot\nRestart=no\nExecStart=\nExecStart=/usr/local/bin/attempt");
    guest.run(&format!("systemctl unmask --quiet claude-auth-sync.target; systemctl start claude-auth-sync.target && systemctl start {unit}")).expect_success(command);
    let output = String::from_utf8(guest.read("/home/alice/result").expect("it has run")).expect("text");
    output.trim() == "yes"
}

//! `cas-sync enroll` starts a user's units, and `unenroll` removes all of them.

use cas_tests::guest::{Guest, Suite};

use super::{failed, host, property, wait_for_runs, wait_until};

/// Returns everything that systemd has or stores of the units of users.
fn traces(guest: &Guest) -> String {
    guest
        .run("systemctl list-units --all --no-legend --plain 'claude-auth-*@*'; ls /etc/systemd/system/*.wants /var/lib/systemd/timers | grep 'claude-auth.*@'")
        .text()
}

#[test]
fn enroll_and_unenroll_start_and_stop_all_units_on_bookworm() {
    enrolling_and_unenrolling(Suite::Bookworm);
}

#[test]
fn enroll_and_unenroll_start_and_stop_all_units_on_trixie() {
    enrolling_and_unenrolling(Suite::Trixie);
}

fn enrolling_and_unenrolling(suite: Suite) {
    let guest = Guest::boot_with_product(suite);
    // As at a site whose systemd.preset(5) enables nothing by itself.
    guest
        .run("systemctl unmask --quiet claude-auth-sync.target && systemctl disable --quiet claude-auth-sync.target")
        .expect_success("no pause, and nothing enabled");
    let state = |unit: &str| (property(&guest, unit, "UnitFileState"), property(&guest, unit, "ActiveState"));
    let runs = ("enabled".to_owned(), "active".to_owned());
    let rests = ("disabled".to_owned(), "inactive".to_owned());
    let [timer, watch] = ["claude-auth-sync@alice.timer", "claude-auth-watch@alice.service"];

    guest.enroll("alice");
    wait_for_runs(&guest, "alice", 1);
    assert_eq!(state("claude-auth-sync.target"), runs);
    assert_eq!([timer, watch].map(state), [&runs; 2].map(Clone::clone));
    let again = guest.enroll("alice");
    assert!(again.contains("nothing was changed"), "{again}");
    let program = || property(&guest, watch, "MainPID");
    let before = program();
    guest
        .run("systemctl daemon-reload && systemctl restart claude-auth-sync.target")
        .expect_success("an upgrade");
    // systemctl(1) waits for the target only.
    wait_until("all units run again", || [timer, watch].map(state) == [&runs; 2].map(Clone::clone));
    assert_ne!(program(), before, "the watch is a new one");
    assert!(
        guest
            .run("cas-sync enroll --no-watch alice")
            .expect_success("no watch")
            .text()
            .contains("is enrolled")
    );
    assert_eq!([timer, watch].map(state), [runs.clone(), rests]);
    guest
        .run(&format!("systemctl stop {timer} && systemctl disable --quiet {timer}"))
        .expect_success("by hand");
    guest.enroll("alice");
    assert_eq!([timer, watch].map(state), [&runs; 2].map(Clone::clone), "the damaged enrollment is repaired");
    assert_eq!(failed(&guest), "");

    // In any state, including a running sync and failed units.
    guest
        .run("systemctl kill --signal=KILL claude-auth-watch@alice.service; for i in $(seq 30); do systemctl start claude-auth-sync@alice.service; done; true")
        .expect_success("the fault");
    wait_until("systemd has enough", || {
        property(&guest, "claude-auth-sync@alice.service", "ActiveState") == "failed"
    });
    guest.run("cas-sync unenroll alice").expect_success("unenrolling");
    wait_until("nothing is left", || traces(&guest).is_empty());
    assert_eq!(failed(&guest), "");
    let again = guest.run("cas-sync unenroll alice").expect_success("again").text();
    assert!(again.contains("nothing was changed"), "{again}");
    guest.enroll("alice");
    assert_eq!([timer, watch].map(state), [&runs; 2].map(Clone::clone), "and back");
}

/// A drop-in that refuses manual stops of two units does not keep the others running.
#[test]
fn unstoppable_unit_does_not_keep_others_running() {
    let guest = host(Suite::Bookworm, &[]);
    guest.enroll("alice");
    wait_for_runs(&guest, "alice", 1);
    let [timer, watch] = ["claude-auth-sync@alice.timer", "claude-auth-watch@alice.service"];
    let state = |unit: &str| (property(&guest, unit, "UnitFileState"), property(&guest, unit, "ActiveState"));
    for unit in [timer, watch] {
        guest
            .run(&format!("d=/etc/systemd/system/{unit}.d; mkdir $d && printf '[Unit]\\nRefuseManualStop=yes\\n' >$d/stay.conf"))
            .expect_success("a drop-in");
    }
    guest.run("systemctl daemon-reload").expect_success("reloading");

    let ended = guest.run("cas-sync unenroll alice");

    let output = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.code, Some(1), "{output}");
    assert!(output.contains("alice is unenrolled, but not completely: "), "{output}");
    assert!(output.contains(timer) && output.contains(watch), "{output}");
    let of_nobody = |active: &str| ("disabled".to_owned(), active.to_owned());
    assert_eq!([timer, watch].map(state), ["active", "active"].map(of_nobody));
    let left = guest.run("ls /var/lib/claude-auth-sync/enrolled /var/lib/claude-auth-sync/published").text();
    assert!(!left.contains("alice"), "everything else is undone: {left}");

    guest
        .run("rm -r /etc/systemd/system/claude-auth-*@alice.*.d && systemctl daemon-reload")
        .expect_success("the remedy");
    guest.run("cas-sync unenroll alice").expect_success("again");
    wait_until("nothing is left", || traces(&guest).is_empty());
    assert_eq!(failed(&guest), "");
}

/// In a chroot, or a container that boots later.
#[test]
fn enroll_without_a_running_systemd_enables_the_units() {
    let guest = host(Suite::Bookworm, &[]);
    let target = "claude-auth-sync.target";
    guest.run(&format!("systemctl disable --now --quiet {target}")).expect_success("no user is enrolled yet");
    let elsewhere = |script: &str| {
        guest.run(&format!("unshare --mount sh -c 'mount -t tmpfs tmpfs /run/systemd && {script}'"))
    };
    let output = elsewhere("cas-sync enroll alice").expect_success("enrolling").text();
    assert!(output.contains("systemd is not running"), "{output}");
    let links = "ls /etc/systemd/system/claude-auth-sync.target.wants | grep @";
    let expected = "claude-auth-sync@alice.timer\nclaude-auth-watch@alice.service\n";
    assert_eq!(guest.run(links).text(), expected);
    assert_eq!(
        property(&guest, target, "UnitFileState"),
        "enabled",
        "otherwise the units would not start with it"
    );
    let again = elsewhere("cas-sync enroll alice").expect_success("again").text();
    assert!(again.contains("nothing was changed"), "{again}");
    elsewhere("cas-sync unenroll alice").expect_success("unenrolling");
    assert_eq!(guest.run(links).text(), "");

    let output = elsewhere(
        "mount --bind /dev/null /usr/bin/systemctl && cas-sync enroll bob && cas-sync unenroll bob",
    );
    assert!(output.expect_success("without systemctl").text().contains("systemctl is not installed"));
}

/// Only `cas-sync` itself gets a signal when a sync ends, so the processes that a client has left
/// continue.
#[test]
fn unenroll_names_processes_that_still_run() {
    let guest = host(Suite::Bookworm, &["alice", "bob"]);
    guest
        .run("d=/run/systemd/system/claude-auth-sync@alice.service.d; mkdir $d && printf '[Service]\\nExecStart=\\nExecStart=sh -c \"setsid sleep 600 &\"\\n' >$d/leave.conf && systemctl daemon-reload && systemctl start claude-auth-sync@alice.service && rm -r $d && systemctl daemon-reload")
        .expect_success("a run that leaves something behind");
    let process = guest.run("pgrep -u alice -x sleep").expect_success("it runs").text();
    let output = guest.run("cas-sync unenroll alice").expect_success("unenrolling").text();
    assert!(output.contains(&format!("run `kill {}`", process.trim())), "{output}");
    let output = guest.run("cas-sync unenroll bob").expect_success("unenrolling").text();
    assert!(!output.contains("kill "), "{output}");
}

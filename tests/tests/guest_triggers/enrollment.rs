//! `cas-sync enroll` starts what runs for somebody, and `unenroll` leaves nothing of it.

use cas_tests::guest::{Guest, Suite};

use super::{failed, host, property, wait_for_runs, wait_until};

/// All that systemd knows or keeps of anybody's units.
fn traces(guest: &Guest) -> String {
    guest
        .run("systemctl list-units --all --no-legend --plain 'claude-auth-*@*'; ls /etc/systemd/system/*.wants /var/lib/systemd/timers | grep 'claude-auth.*@'")
        .text()
}

#[test]
fn enrolling_starts_everything_once_and_unenrolling_leaves_nothing_on_bookworm() {
    enrolling_and_unenrolling(Suite::Bookworm);
}

#[test]
fn enrolling_starts_everything_once_and_unenrolling_leaves_nothing_on_trixie() {
    enrolling_and_unenrolling(Suite::Trixie);
}

fn enrolling_and_unenrolling(suite: Suite) {
    let guest = Guest::boot(suite);
    guest.install_product();
    // As where a site's systemd.preset(5) enables nothing by itself.
    guest
        .run("systemctl unmask --quiet claude-auth-sync.target && systemctl disable --quiet claude-auth-sync.target")
        .expect_success("no pause, and nothing enabled");
    let state = |unit: &str| (property(&guest, unit, "UnitFileState"), property(&guest, unit, "ActiveState"));
    let runs = ("enabled".to_owned(), "active".to_owned());
    let rests = ("disabled".to_owned(), "inactive".to_owned());
    let [timer, path, watch] =
        ["claude-auth-sync@alice.timer", "claude-auth-sync@alice.path", "claude-auth-watch@alice.service"];

    guest.enroll("alice");
    wait_for_runs(&guest, "alice", 1);
    assert_eq!(state("claude-auth-sync.target"), runs);
    assert_eq!([timer, path, watch].map(state), [&runs; 3].map(Clone::clone));
    let again = guest.enroll("alice");
    assert!(again.contains("nothing had to be changed"), "{again}");
    let program = || property(&guest, watch, "MainPID");
    let before = program();
    guest
        .run("systemctl daemon-reload && systemctl restart claude-auth-sync.target")
        .expect_success("an upgrade");
    assert_eq!([timer, path, watch].map(state), [&runs; 3].map(Clone::clone));
    assert_ne!(program(), before, "the watch is a new one");
    assert!(
        guest
            .run("cas-sync enroll --no-watch alice")
            .expect_success("no watch")
            .text()
            .contains("is enrolled")
    );
    assert_eq!([timer, path, watch].map(state), [runs.clone(), runs.clone(), rests]);
    guest
        .run(&format!("systemctl stop {path} && systemctl disable --quiet {timer}"))
        .expect_success("by hand");
    guest.enroll("alice");
    assert_eq!([timer, path, watch].map(state), [&runs; 3].map(Clone::clone), "what was spoiled is mended");
    assert_eq!(failed(&guest), "");

    // Whatever state they are in, a sync at work and failed units included.
    guest
        .run("systemctl kill --signal=KILL claude-auth-watch@alice.service; chmod 500 /run/claude-auth-sync/alice; touch /run/claude-auth-sync/alice/request")
        .expect_success("trouble");
    wait_until("systemd has enough", || property(&guest, path, "ActiveState") == "failed");
    guest.run("cas-sync unenroll alice").expect_success("unenrolling");
    wait_until("nothing is left", || traces(&guest).is_empty());
    assert_eq!(failed(&guest), "");
    let again = guest.run("cas-sync unenroll alice").expect_success("again").text();
    assert!(again.contains("nothing had to be changed"), "{again}");
    guest.enroll("alice");
    assert_eq!([timer, path, watch].map(state), [&runs; 3].map(Clone::clone), "and back");
}

/// An admin's drop-in that lets two of them be stopped by nobody keeps no other one running.
#[test]
fn a_unit_that_cannot_be_stopped_keeps_no_other_one_running() {
    let guest = host(Suite::Bookworm, &[]);
    guest.enroll("alice");
    wait_for_runs(&guest, "alice", 1);
    let [timer, path, watch] =
        ["claude-auth-sync@alice.timer", "claude-auth-sync@alice.path", "claude-auth-watch@alice.service"];
    let state = |unit: &str| (property(&guest, unit, "UnitFileState"), property(&guest, unit, "ActiveState"));
    for unit in [timer, watch] {
        guest
            .run(&format!("d=/etc/systemd/system/{unit}.d; mkdir $d && printf '[Unit]\\nRefuseManualStop=yes\\n' >$d/stay.conf"))
            .expect_success("a drop-in");
    }
    guest.run("systemctl daemon-reload").expect_success("reloading");

    let ended = guest.run("cas-sync unenroll alice");

    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.code, Some(1), "{said}");
    assert!(said.contains("alice is unenrolled, but not without a trace: "), "{said}");
    assert!(said.contains(timer) && said.contains(watch) && !said.contains(path), "{said}");
    let of_nobody = |active: &str| ("disabled".to_owned(), active.to_owned());
    assert_eq!([timer, path, watch].map(state), ["active", "inactive", "active"].map(of_nobody));
    let left =
        guest.run("ls /var/lib/claude-auth-sync/enrolled /run/claude-auth-sync /etc/tmpfiles.d").text();
    assert!(!left.contains("alice"), "everything else is undone: {left}");

    guest
        .run("rm -r /etc/systemd/system/claude-auth-*@alice.*.d && systemctl daemon-reload")
        .expect_success("the remedy");
    guest.run("cas-sync unenroll alice").expect_success("again");
    wait_until("nothing is left", || traces(&guest).is_empty());
    assert_eq!(failed(&guest), "");
}

/// A chroot or a container: somebody installs there what boots later, or elsewhere.
#[test]
fn where_systemd_does_not_run_units_are_enabled_and_it_is_said() {
    let guest = host(Suite::Bookworm, &[]);
    let target = "claude-auth-sync.target";
    guest.run(&format!("systemctl disable --now --quiet {target}")).expect_success("nobody is enrolled yet");
    let elsewhere = |script: &str| {
        guest.run(&format!("unshare --mount sh -c 'mount -t tmpfs tmpfs /run/systemd && {script}'"))
    };
    let said = elsewhere("cas-sync enroll alice").expect_success("enrolling").text();
    assert!(said.contains("systemd does not run here"), "{said}");
    let links = "ls /etc/systemd/system/claude-auth-sync.target.wants | grep @";
    let expected =
        "claude-auth-sync@alice.path\nclaude-auth-sync@alice.timer\nclaude-auth-watch@alice.service\n";
    assert_eq!(guest.run(links).text(), expected);
    assert_eq!(property(&guest, target, "UnitFileState"), "enabled", "or they would not start with it");
    let again = elsewhere("cas-sync enroll alice").expect_success("again").text();
    assert!(again.contains("nothing had to be changed"), "{again}");
    elsewhere("cas-sync unenroll alice").expect_success("unenrolling");
    assert_eq!(guest.run(links).text(), "");

    let said = elsewhere(
        "mount --bind /dev/null /usr/bin/systemctl && cas-sync enroll bob && cas-sync unenroll bob",
    );
    assert!(said.expect_success("without systemctl").text().contains("there is no systemctl here"));
}

/// Only `cas-sync` itself is signalled when a sync ends, so what a client has left behind stays.
#[test]
fn what_a_client_has_left_running_is_named_when_its_person_is_unenrolled() {
    let guest = host(Suite::Bookworm, &["alice", "bob"]);
    guest
        .run("d=/run/systemd/system/claude-auth-sync@alice.service.d; mkdir $d && printf '[Service]\\nExecStart=\\nExecStart=sh -c \"setsid sleep 600 &\"\\n' >$d/leave.conf && systemctl daemon-reload && systemctl start claude-auth-sync@alice.service && rm -r $d && systemctl daemon-reload")
        .expect_success("a run that leaves something behind");
    let process = guest.run("pgrep -u alice -x sleep").expect_success("it runs").text();
    let said = guest.run("cas-sync unenroll alice").expect_success("unenrolling").text();
    assert!(said.contains(&format!("process {}", process.trim())), "{said}");
    let said = guest.run("cas-sync unenroll bob").expect_success("unenrolling").text();
    assert!(!said.contains("process "), "{said}");
}

/// What lies in a folder of requests is the person's own doing, and may be going on while root removes it.
#[test]
fn a_folder_of_requests_goes_however_deep_it_is_and_whoever_holds_it() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    guest
        .run("cd /run/claude-auth-sync/alice && runuser -u alice -- perl -e 'for (1..3900) { mkdir \"d\"; chdir \"d\" or die }'")
        .expect_success("as deep as the file system has room");
    guest.run("cas-sync unenroll alice").expect_success("unenrolling");
    guest
        .run("systemd-run --quiet --collect --unit=busy --uid=bob sh -c 'cd /run/claude-auth-sync/bob; while :; do touch a; rm -f a; mkdir -p b; touch b/c; rm -rf b; done'")
        .expect_success("never the same");
    guest.run("cas-sync unenroll bob").expect_success("unenrolling");
    assert_eq!(
        guest.run("ls -A /run/claude-auth-sync /var/lib/claude-auth-sync/enrolled").text(),
        "/run/claude-auth-sync:\n\n/var/lib/claude-auth-sync/enrolled:\n"
    );
}

/// However much somebody puts where only a small file of theirs belongs, root takes so much of it away, and says where the rest is.
#[test]
fn a_folder_that_somebody_has_filled_keeps_neither_an_admin_nor_dpkg() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob"]);
    guest.write("/root/kept", "root", "600", b"kept");
    guest
        .run("cd /var/lib/claude-auth-sync/people/alice && runuser -u alice -- perl -e 'for (1..100000) { open F, \">\", $_ } mkdir \"d\"; chdir \"d\"; symlink \"/root\", \"l\"; for (1..100000) { open F, \">\", $_ }'")
        .expect_success("far too much");
    let said = guest.run("cas-sync unenroll alice");
    let error = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.code, Some(1), "{said:?}");
    let left = error
        .split("`rm -rf --one-file-system ")
        .nth(1)
        .and_then(|rest| rest.split('`').next())
        .expect("a command");
    assert!(error.starts_with("cas-sync: alice is unenrolled, but not without a trace"), "{error}");
    let count = || guest.run(&format!("find {left} -mindepth 1 | wc -l")).text().trim().parse::<u32>();
    // Of 200002 files and folders; the folder among them may have been told of, and not yet removed.
    assert!(count().is_ok_and(|left| (180_002..=180_003).contains(&left)), "{:?}: {error}", count());
    assert_eq!(guest.status_of(left), "700 root:alice directory");
    assert_eq!(guest.status_of("/var/lib/claude-auth-sync/people/alice"), "");
    assert_eq!(guest.run("cas-sync unenroll alice").code, Some(0), "there is nothing more to undo");
    guest.enroll("alice");
    guest.run("cas-sync unenroll alice").expect_success("and nothing of it is in the way");

    let said = guest.remove_package().expect_success("removing it").text();
    assert!(said.contains("rm -rf /var/lib/claude-auth-sync"), "{said}");
    assert!(count().is_ok_and(|left| (180_002..=180_003).contains(&left)), "{:?}", count());
    assert_eq!(guest.read("/root/kept").as_deref(), Some(&b"kept"[..]));
}

#[test]
fn what_is_not_hers_in_her_folder_stays_as_it_is() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob", "carol"]);
    let folder = |user: &str| format!("/var/lib/claude-auth-sync/people/{user}");
    let (alice, bob, carol) = (folder("alice"), folder("bob"), folder("carol"));
    // As she moves it there from a folder that both may write to.
    guest
        .run(&format!("install -d -o bob -m 700 {alice}/bobs && echo kept >{alice}/bobs/kept"))
        .expect_success("a folder of somebody else's");
    guest
        .run(&format!(
            "runuser -u bob -- mkdir {bob}/m && mount -t tmpfs tmpfs {bob}/m && echo kept >{bob}/m/kept"
        ))
        .expect_success("something that is mounted in it");
    guest
        .run(&format!("mount -t tmpfs tmpfs {carol} && echo kept >{carol}/kept"))
        .expect_success("something that is mounted over it");
    for (user, why, kept) in [
        ("alice", "\"bobs\" in it belongs to user id 1001: give it back first", ".removed-alice-1/bobs/kept"),
        ("bob", "something is mounted over \"m\" in it", ".removed-bob-1/m/kept"),
        ("carol", "`umount --lazy /var/lib/claude-auth-sync/people/carol`", "carol/kept"),
    ] {
        let said = guest.run(&format!("cas-sync unenroll {user}"));
        let error = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.code == Some(1) && error.contains(why), "{said:?}");
        assert_eq!(guest.read(&folder(kept)).as_deref(), Some(&b"kept\n"[..]), "{user}");
    }
    assert_eq!(guest.status_of(&folder(".removed-alice-1/bobs")), "700 bob:root directory");
    guest.run(&format!("umount --lazy {carol}; cas-sync unenroll carol")).expect_success("as it was told");
}

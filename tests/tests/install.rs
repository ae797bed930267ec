//! `make install` while people log in.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// The folders that logins look into, below the prefix, and what is installed there.
const SEEN_BY_LOGINS: [(&str, &str, u32); 3] = [
    ("lib/a-machine/security", "pam_cas_session.so", 0o644),
    ("bin", "cas-session", 0o755),
    ("bin", "cas-sync", 0o711),
];

fn install(release: &Path, into: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/install.sh");
    let status = Command::new("sh")
        .args(["-c", "umask 077; exec \"$0\""])
        .arg(script)
        .env("DESTDIR", into)
        .env("RELEASE", release)
        .env("DEB_HOST_MULTIARCH", "a-machine")
        .status();
    assert!(status.is_ok_and(|status| status.success()), "installing into a folder");
}

/// A file that is opened while it is being written is half a file: a half module kills the sshd that loads it.
#[test]
fn no_login_ever_finds_half_a_file() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let (release, into) = (scratch.path().join("release"), scratch.path().join("root"));
    fs::create_dir(&release).expect("a folder");
    for name in ["libpam_cas.so", "cas-session", "cas-sync"] {
        fs::write(release.join(name), format!("the first {name}")).expect("a file");
    }
    install(&release, &into);
    let path = |folder: &str, name: &str| into.join("usr").join(folder).join(name);
    for (folder, name, mode) in SEEN_BY_LOGINS {
        let found = fs::metadata(path(folder, name)).expect("installed");
        assert_eq!(found.mode() & 0o7777, mode, "{name}, whatever the umask");
        assert_eq!(
            fs::metadata(into.join("usr").join(folder)).expect("a folder").permissions().mode() & 0o777,
            0o755
        );
    }

    for name in ["libpam_cas.so", "cas-session", "cas-sync"] {
        fs::write(release.join(name), format!("the second {name}")).expect("a file");
    }
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK).expect("a watch");
    for folder in ["lib/a-machine/security", "bin"] {
        inotify.add_watch(&into.join("usr").join(folder), AddWatchFlags::IN_ALL_EVENTS).expect("a watch");
    }
    install(&release, &into);
    let events = inotify.read_events().expect("something happened");
    for (folder, name, _) in SEEN_BY_LOGINS {
        let seen: Vec<_> = events
            .iter()
            .filter(|event| event.name.as_deref() == Some(name.as_ref()))
            .map(|event| event.mask)
            .collect();
        assert!(seen.contains(&AddWatchFlags::IN_MOVED_TO), "{name} is put in place whole: {seen:?}");
        let touched = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_CLOSE_WRITE;
        assert!(
            seen.iter().all(|mask| !mask.intersects(touched)),
            "{name} is never missing and never written: {seen:?}"
        );
        let text = fs::read_to_string(path(folder, name)).expect("installed");
        assert!(text.starts_with("the second "), "{text}");
        assert_eq!(
            fs::read_dir(into.join("usr").join(folder)).expect("listed").count(),
            if folder == "bin" { 2 } else { 1 },
            "nothing is left beside it"
        );
    }
}

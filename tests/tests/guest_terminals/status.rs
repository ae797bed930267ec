//! `cas-sync status`: of the own account, and root's table of all users.

use cas_tests::anthropic::Login;
use cas_tests::claude_client::in_hours as milliseconds_in_hours;
use cas_tests::claude_login::{cleared_login, new_login, valid_login};
use cas_tests::guest::{ClaudeGuest, Guest, Suite};
use serde_json::{Value, json};

use crate::elapsed_time::{advance_hours, in_hours};
use crate::recording::Recordings;
use crate::terminal_setting::{ALL_SETTINGS, C, CommandUser, NARROW, NO_COLOR, PIPE, WIDE};

/// Makes the timer of alice start the next sync in five hours, and nothing else.
#[track_caller]
fn schedule_sync_in_five_hours(guest: &Guest) {
    let at = in_hours(5).to_string().replace('T', " ").replace('Z', " UTC");
    let timer = format!("[Timer]\nOnCalendar=\nOnCalendar={at}\nRandomizedDelaySec=0\nPersistent=no\n");
    let folder = "/etc/systemd/system/claude-auth-sync@alice.timer.d";
    guest.run(&format!("install -d {folder}")).expect_success("a folder");
    guest.write(&format!("{folder}/recorded.conf"), "root", "644", timer.as_bytes());
    guest
        .run("systemctl daemon-reload && systemctl restart claude-auth-sync@alice.timer && systemctl stop claude-auth-request.service")
        .expect_success("another time");
}

/// Makes the watcher watch another file, so that moving the file's time causes no push.
#[track_caller]
fn redirect_watcher(guest: &Guest) {
    let elsewhere = "[Service]\nEnvironment=CLAUDE_CREDENTIALS_FILE=/home/alice/elsewhere/.credentials.json\n\
        Environment=CLAUDE_AUTH_STATE_DIR=/home/alice/elsewhere\n";
    let folder = "/etc/systemd/system/claude-auth-watch@alice.service.d";
    guest
        .run(&format!("install -d {folder}; install -d -m 700 -o alice -g alice /home/alice/elsewhere"))
        .expect_success("folders");
    guest.write(&format!("{folder}/recorded.conf"), "root", "644", elsewhere.as_bytes());
    guest.run("systemctl daemon-reload").expect_success("another file");
}

/// Signs in with an accepted login that expires in this many days.
#[track_caller]
fn sign_in_for_days(host: &ClaudeGuest, days: u64) -> Login {
    let login = host.sign_in("alice");
    let mut oauth = login.oauth_object(milliseconds_in_hours(8));
    oauth["refreshTokenExpiresAt"] = in_hours(days * 24).millis().into();
    host.guest.put_login("alice", &json!({ "claudeAiOauth": oauth }).to_string());
    login
}

#[test]
fn own_status_output_equals_its_recordings() {
    let (host, _bao, users) = ClaudeGuest::with_store(Suite::Bookworm, &["alice"]);
    let guest = &host.guest;
    let alice = CommandUser::new(guest, "alice");
    let mut recordings = Recordings::open("status").with_secrets(&[&users[0].token(), "key-of-hers"]);
    let mut take = |scenario: &str, settings: &[_], command_user: CommandUser<'_>, code: i32| {
        for setting in settings {
            let (ended, output) = command_user.run(*setting, &["status"]);
            assert_eq!(ended, Some(code), "{output}");
            recordings.compare(scenario, *setting, &output);
        }
    };
    take("never-synced", &[NARROW], alice, 79);

    redirect_watcher(guest);
    guest.resume();
    sign_in_for_days(&host, 30);
    guest.sync("alice").expect_success("the first sync");
    advance_hours(guest, "alice", 3);
    schedule_sync_in_five_hours(guest);
    take("healthy", &ALL_SETTINGS, alice, 0);
    let with_key = [("ANTHROPIC_API_KEY", "key-of-hers")];
    take("overridden", &[NARROW, C, PIPE], CommandUser { variables: &with_key, ..alice }, 1);
    advance_hours(guest, "alice", 20);
    take("overdue", &[NARROW], alice, 1);

    sign_in_for_days(&host, 3);
    guest.sync("alice").expect_success("a warning is no failure");
    advance_hours(guest, "alice", 3);
    take("expires-soon", &[NARROW, WIDE, C], alice, 0);

    // The login is cleared, here and in the store.
    let cleared = cleared_login(&guest.read_login("alice"));
    guest.forget_state("alice");
    users[0].put_document(&json!({}));
    guest.put_login("alice", &cleared);
    assert_eq!(guest.sync("alice").code, Some(79));
    advance_hours(guest, "alice", 3);
    take("cleared", &[NARROW, WIDE, C, NO_COLOR], alice, 79);
    guest.run("cas-sync unenroll alice").expect_success("unenrolling");
    take("not-enrolled", &[NARROW], alice, 79);
    recordings.end();
}

/// Returns the published state of a user's sync, without running one.
fn published(status: &str, code: u8, text: &str, hours: u64) -> Value {
    let at = cas_tests::now_ms() - hours * 3_600_000 - 1_200_000;
    json!({
        "schema": 1, "user": "x", "at_ms": at, "status": status, "text": text, "exit_code": code,
        "finding": "login", "details": [], "verification": "ok", "verified_at_ms": at,
    })
}

#[test]
fn status_of_all_users_equals_its_recordings() {
    let guest = Guest::with_product(Suite::Bookworm, &["alice", "bob", "carol"]);
    let root = CommandUser::new(&guest, "root");
    let mut recordings = Recordings::open("status-all");
    // One user is OK, one login is cleared, and one user has had no sync.
    let valid = valid_login("one", in_hours(6).millis());
    guest.put_login("alice", &valid);
    guest.put_login("bob", &cleared_login(&new_login("two")));
    for user in ["alice", "bob"] {
        // Not by its service, which starts the watcher again: the first of the two would store the
        // backup.
        let synced = guest.sync(user);
        assert!(matches!(synced.code, Some(0 | 79)), "{synced:?}");
        guest.publish(user);
        advance_hours(&guest, user, 3);
    }
    for setting in ALL_SETTINGS {
        let (code, output) = root.run(setting, &["status"]);
        assert_eq!(code, Some(79), "{output}");
        recordings.compare("three", setting, &output);
    }

    // Names of a directory server, and states that users can publish.
    let backed_up = "login complete, verified by inference; backed up to the store";
    for (number, (name, state)) in [
        ("jos\u{e9}", published("OK", 0, backed_up, 2)),
        ("jose\u{301}", published("OK", 0, backed_up, 2)),
        ("\u{674e}", published("WARN", 75, "not verified: \u{674e} \u{2026}; it is tried again later", 2)),
        ("a-login-name-that-is-as-long-as-they-may-be", published("OK", 0, backed_up, 40)),
        ("mallory", json!({ "unreadable": "it is not a JSON object" })),
    ]
    .into_iter()
    .enumerate()
    {
        let (uid, mut state) = (3000 + number, state);
        state["uid"] = uid.into();
        guest
            .run(&format!(
                "echo '{name}:x:{uid}:{uid}::/home/{name}:/bin/sh' >>/etc/passwd && echo '{name}:x:{uid}:' >>/etc/group
                 : >'/var/lib/claude-auth-sync/enrolled/{name}'"
            ))
            .expect_success("an account");
        let path = format!("/var/lib/claude-auth-sync/published/{name}");
        guest.write(&path, "root", "600", state.to_string().as_bytes());
    }
    for setting in [NARROW, WIDE, C, PIPE] {
        let (code, output) = root.run(setting, &["status"]);
        assert_eq!(code, Some(79), "{output}");
        recordings.compare("odd-names", setting, &output);
    }
    let (code, output) = root.run(NARROW, &["status", "dora"]);
    assert_eq!(code, Some(1), "{output}");
    recordings.compare("unknown-user", NARROW, &output);
    guest
        .run("cas-sync unenroll --all; rm -f /var/lib/claude-auth-sync/enrolled/*")
        .expect_success("unenrolling all users");
    let (code, output) = root.run(NARROW, &["status"]);
    assert_eq!(code, Some(0), "{output}");
    recordings.compare("no-users", NARROW, &output);
    recordings.end();
}

//! Two hundred concurrent logins of ten users with broken logins.

use std::thread;

use cas_tests::{
    claude_login::{new_login, parsed},
    guest::{Guest, Suite},
};

const USERS: usize = 10;
const LOGINS_EACH: usize = 20;

#[test]
fn parallel_logins_succeed_with_one_restore_per_user() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    let users: Vec<String> = (0..USERS).map(|number| format!("person{number}")).collect();
    for user in &users {
        guest.run(&format!("useradd --create-home --shell /bin/bash {user}")).expect_success("useradd");
        guest.enroll(user);
        guest.back_up_and_clear(user, &new_login(user));
    }
    let seen = thread::scope(|scope| {
        let sessions: Vec<_> = (0..LOGINS_EACH)
            .flat_map(|_| &users)
            .map(|user| {
                let guest = &guest;
                scope.spawn(move || (user, guest.ssh(user, "cat .claude/.credentials.json")))
            })
            .collect();
        sessions.into_iter().map(|session| session.join().expect("a login's thread")).collect::<Vec<_>>()
    });

    assert_eq!(seen.len(), USERS * LOGINS_EACH);
    for (user, finished) in seen {
        // The old one or the new one, never a part of one.
        parsed(&finished.expect_success(user).text());
    }
    let journal = guest.product_journal();
    for user in &users {
        let login = parsed(&guest.read_login(user));
        assert_eq!(login["claudeAiOauth"]["refreshToken"], format!("sk-ant-ort01-refresh-of-{user}"));
        assert_eq!(
            guest.file_status(&format!("/home/{user}/.claude/.credentials.json")),
            format!("600 {user}:{user} regular file")
        );
        assert_eq!(journal.matches(&format!("user={user} RECOVERED")).count(), 1, "{journal}");
    }
    assert_eq!(guest.run("pgrep -c cas-session").text(), "0\n", "no process is left behind");
}

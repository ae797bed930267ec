//! Two hundred concurrent logins of ten users with broken logins.

use std::thread;

use cas_tests::{
    claude_login::{fresh, parsed},
    guest::{Guest, Suite},
};

const PEOPLE: usize = 10;
const LOGINS_EACH: usize = 20;

#[test]
fn parallel_logins_succeed_with_one_restore_per_user() {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    let people: Vec<String> = (0..PEOPLE).map(|number| format!("person{number}")).collect();
    for person in &people {
        guest.run(&format!("useradd --create-home --shell /bin/bash {person}")).expect_success("useradd");
        guest.enroll(person);
        guest.back_up_and_clear(person, &fresh(person));
    }
    let seen = thread::scope(|scope| {
        let sessions: Vec<_> = (0..LOGINS_EACH)
            .flat_map(|_| &people)
            .map(|person| {
                let guest = &guest;
                scope.spawn(move || (person, guest.ssh(person, "cat .claude/.credentials.json")))
            })
            .collect();
        sessions.into_iter().map(|session| session.join().expect("a login's thread")).collect::<Vec<_>>()
    });

    assert_eq!(seen.len(), PEOPLE * LOGINS_EACH);
    for (person, finished) in seen {
        // The old one or the new one, never a part of one.
        parsed(&finished.expect_success(person).text());
    }
    let journal = guest.product_journal();
    for person in &people {
        let login = parsed(&guest.login_of(person));
        assert_eq!(login["claudeAiOauth"]["refreshToken"], format!("sk-ant-ort01-refresh-of-{person}"));
        assert_eq!(
            guest.status_of(&format!("/home/{person}/.claude/.credentials.json")),
            format!("600 {person}:{person} regular file")
        );
        assert_eq!(journal.matches(&format!("user={person} RECOVERED")).count(), 1, "{journal}");
    }
    assert_eq!(guest.run("pgrep -c cas-session").text(), "0\n", "no process is left behind");
}

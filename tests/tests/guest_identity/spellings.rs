//! A name service that resolves more than the account's own name. The own name decides, for every
//! spelling.

use cas_tests::claude_login::{cleared_login, new_login, parsed};
use cas_tests::guest::{Guest, Suite, login_path};

use super::printed;

const TOKEN: &str = "sk-ant-oat01-of-alice";

fn guest() -> Guest {
    let guest = Guest::boot_with_product(Suite::Bookworm);
    guest.accept_other_spellings();
    guest
}

/// Returns everything that a login of the product leaves for one of them.
fn traces(guest: &Guest) -> String {
    let homes = "find /home /var/lib/claude-auth-sync -printf '%p %i %T@ %s\\n' | sort";
    guest.run(homes).expect_success("looking at the homes").text() + &guest.product_journal()
}

#[test]
fn enroll_with_another_spelling_enrolls_the_account() {
    let guest = guest();
    let output = guest.run("cas-sync enroll ALICE").expect_success("enrolling").text();
    assert!(output.starts_with("alice is enrolled"), "{output}");
    let kept = "cd /var/lib/claude-auth-sync && ls enrolled published identities";
    assert_eq!(guest.run(kept).text(), "enrolled:\nalice\n\nidentities:\nalice\n\npublished:\n");
    assert!(guest.enroll("alice@corp").contains("alice was enrolled already"));
    assert!(guest.run("cas-sync status").text().contains("1 enrolled"));
    let output = guest.run("cas-sync unenroll 'CORP\\alice'").expect_success("unenrolling").text();
    assert!(output.starts_with("alice is no longer enrolled"), "{output}");
    assert_eq!(guest.run("ls /var/lib/claude-auth-sync/enrolled").text(), "");
}

#[test]
fn login_typed_in_another_spelling_is_repaired() {
    let guest = guest();
    guest.enroll("alice");
    let login = new_login("first");
    for typed in ["ALICE", "alice@corp", "CORP\\alice"] {
        guest.forget_state("alice");
        guest.run("rm -f ~alice/.config/claude-auth-sync/claude-oauth.env").expect_success("no token");
        guest.back_up_and_clear("alice", &login);
        let seen = guest.ssh(typed, "id -un; cat .claude/.credentials.json").expect_success("ssh").text();
        let (name, content) = seen.split_once('\n').expect("two lines");
        assert_eq!(name, "alice", "{typed}");
        assert_eq!(parsed(content), parsed(&login), "{typed}");
        guest.put_token("alice", TOKEN);
        assert_eq!(guest.variable_over_ssh(typed).as_deref(), Some(TOKEN), "{typed}");
    }
    let journal = guest.product_journal();
    assert_eq!(journal.matches("user=alice RECOVERED").count(), 3, "{journal}");
}

/// Returns the reply to the PAM module for a name, as typed.
fn reply(guest: &Guest, name: &[u8]) -> (Option<i32>, String) {
    let script = "IFS= read -r -d '' name; exec cas-session login --reply=1 --user=\"$name\"";
    let requests = guest
        .run_with_input(&format!("bash -c '{}'", script.replace('\'', "'\\''")), &[name, b"\0"].concat());
    (requests.code, printed(&requests))
}

#[test]
fn hostile_spelling_gets_no_token() {
    let guest = guest();
    guest.enroll("alice");
    guest.run("useradd --badname --create-home Dora && useradd --create-home eve").expect_success("users");
    for user in ["alice", "bob", "Dora", "eve"] {
        guest.put_token(user, &format!("sk-ant-oat01-of-{user}"));
        guest.put_login(user, &cleared_login(&new_login(user)));
    }
    // Eve was enrolled, and her name belongs to another account now.
    guest.enroll("eve");
    guest.run("echo 4711 >/var/lib/claude-auth-sync/identities/eve").expect_success("another uid");
    let broken = |user: &str| guest.read(&login_path(user)).expect("a file");
    let left_alone = ["bob", "Dora", "eve"].map(|user| (user, broken(user)));
    let nobody = (Some(0), "CAS1\n".to_owned());
    let hers = (Some(0), format!("CAS1 {TOKEN}\n"));

    for name in
        ["alice", "ALICE", "aLiCe", "alice@corp", "ALICE@CORP", "CORP\\alice", " alice", "alice ", "al"]
    {
        assert_eq!(reply(&guest, name.as_bytes()), hers, "{name:?}");
    }
    let before = traces(&guest);
    let long = "A".repeat(255);
    for name in [
        // Other accounts: not enrolled, root, below the minimum uid, and one that is not the user
        // it was enrolled for.
        "bob",
        "BOB",
        "bob@corp",
        "Dora",
        "DORA",
        "dora",
        "root",
        "ROOT",
        "daemon",
        "DAEMON",
        // No account at all.
        "alicia",
        "ALICIA",
        "alice@other",
        "alice@corp@other",
        "OTHER\\alice",
        "nobody-here",
        "%s%n",
        "$(id)",
        "аlice",
        &long,
    ] {
        assert_eq!(reply(&guest, name.as_bytes()), nobody, "{name:?}");
    }
    assert_eq!(traces(&guest), before, "no file of these users was changed, and nothing is in the journal");
    for name in [
        &b"../alice"[..],
        b"./alice",
        b"alice/",
        b"/",
        b".",
        b"..",
        b"",
        b"alice\nbob",
        b"\x1b[2Jalice",
        b"alice\x7f",
        &[b'a'; 256],
    ] {
        assert_eq!(reply(&guest, name), nobody, "{:?}", String::from_utf8_lossy(name));
    }
    let (code, output) = reply(&guest, b"ALIC\xc9");
    assert!(code == Some(2) && !output.contains("sk-ant"), "{output}");
    for name in ["eve", "EVE", "eve@corp"] {
        assert_eq!(reply(&guest, name.as_bytes()), nobody, "{name:?}");
    }
    assert!(guest.product_journal().contains("user=eve FAIL cannot use the credentials of eve"));

    // The session of an account that is not enrolled, and of a name that the module does not pass
    // on.
    for typed in ["bob", "BOB", "Dora", "eve", "EVE", "al"] {
        guest.run("rm -f /etc/profile.d/claude-auth-sync.sh").expect_success("the module alone");
        assert_eq!(guest.variable_over_ssh(typed), None, "{typed}");
    }
    for (user, before) in left_alone {
        assert!(broken(user) == before, "{user}'s login was touched");
    }
}

//! Who is to be served: everybody in the roster, and whom an earlier roster brought. Pure, but for looking up accounts.

use std::collections::BTreeMap;

use cas_core::system::account::Account;
use cas_vault::DocumentLayout;

use super::apply::Person;
use super::plan::Desired;
use crate::enrollment::enroll::is_person;
use crate::roster::{Entry, Roster};

/// One of the roster, with their account or why there is none.
type Known = Result<Account, String>;

/// Everybody, in the order of their names. `recorded` are those whom the roster brought so far, of whom some may be let go
/// already and wait for an admin who revokes their tokens; with `offboard` they go whatever the roster looks like.
pub(super) fn everybody(
    roster: &Roster,
    recorded: &[String],
    account: impl Fn(&str) -> Known,
    is_enrolled: impl Fn(&str) -> bool,
    layout: Option<&DocumentLayout>,
    offboard: bool,
) -> Vec<Person> {
    let accounts: BTreeMap<&str, Known> = roster
        .people
        .iter()
        .filter(|(_, entry)| entry.is_enabled())
        .map(|(name, _)| (name.as_str(), account(name)))
        .collect();
    let gone: Vec<&String> = recorded.iter().filter(|name| !roster.people.contains_key(*name)).collect();
    let doubt = match offboard {
        true => None,
        false => {
            let going = gone.iter().filter(|name| is_enrolled(name)).count();
            doubt(roster, &accounts, going, recorded.len() - gone.len() + going)
        }
    };
    let others: Vec<&str> = roster.people.keys().chain(recorded).map(String::as_str).collect();
    let listed = roster.people.iter().map(|(name, entry)| Person {
        name: name.clone(),
        wanted: wanted(*entry),
        unservable: accounts.get(name.as_str()).and_then(|known| {
            let unservable = unservable(name, known, layout).or_else(|| twin(name, &others, layout));
            unservable.map(|why| format!("line {} of the roster: {why}", entry.line))
        }),
    });
    let left = gone.into_iter().map(|name| Person {
        name: name.clone(),
        wanted: Desired::Removed { doubt: doubt.clone() },
        unservable: None,
    });
    let mut people: Vec<_> = listed.chain(left).collect();
    people.sort_by(|one, other| one.name.cmp(&other.name));
    people
}

fn wanted(entry: Entry) -> Desired {
    match entry {
        Entry { parked: true, .. } => Desired::Disabled("parked"),
        Entry { claude_auth: false, .. } => Desired::Disabled("claude_auth: false"),
        _ => Desired::Enrolled,
    }
}

/// Why those who are missing from this roster may not have been left out on purpose.
fn doubt(roster: &Roster, accounts: &BTreeMap<&str, Known>, gone: usize, recorded: usize) -> Option<String> {
    let stays = |why: String| Some(format!("not in the roster, but {why}; `--offboard` lets them go"));
    if !roster.is_whole {
        return stays("its last line has no end, as if it were half written".into());
    }
    let unknown = accounts.iter().find(|(_, known)| known.is_err());
    if let Some((name, entry)) = unknown.and_then(|(name, _)| Some((name, roster.people.get(*name)?))) {
        return stays(format!(
            "its line {} names {name}, who has no account here: it may be a slip",
            entry.line
        ));
    }
    if gone > 1 && gone * 2 > recorded {
        return stays(format!("{gone} of {recorded} people would go at once: a part of it may be missing"));
    }
    None
}

fn unservable(name: &str, known: &Known, layout: Option<&DocumentLayout>) -> Option<String> {
    let account = match known {
        Ok(account) => account,
        Err(why) => return Some(why.clone()),
    };
    if account.name != name {
        return Some(format!("write {} as the user database does: {}", name, account.name));
    }
    if !is_person(account) {
        return Some(format!("user id {} is no person's", account.uid));
    }
    if layout.is_some() && !DocumentLayout::is_valid_policy_user(name) {
        return Some(
            "a policy cannot name them: only letters, digits and . _ - @ stand for themselves there".into(),
        );
    }
    None
}

/// Policies are kept in lower case: two people whose names differ in that alone would share one.
fn twin(name: &str, others: &[&str], layout: Option<&DocumentLayout>) -> Option<String> {
    let layout = layout?;
    let policy = layout.policy_name(name);
    let other = others.iter().find(|other| **other != name && layout.policy_name(other) == policy)?;
    Some(format!("{other} would have the same policy {policy}: one of them needs another login name"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cas_core::config::VaultSettings;
    use nix::unistd::{Gid, Uid};

    use super::*;
    use crate::roster;

    fn known(name: &str) -> Known {
        let uid = match name {
            "nobody-here" => return Err("no such account".into()),
            "daemon" => 1,
            _ => 1000,
        };
        Ok(Account {
            name: name.into(),
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(100),
            home: "/home/x".into(),
        })
    }

    fn served(text: &str, recorded: &[&str], offboard: bool) -> Vec<Person> {
        let roster = roster::parse(text, Path::new("roster.yaml")).expect("a roster");
        let recorded: Vec<_> = recorded.iter().map(|name| (*name).to_owned()).collect();
        let layout = DocumentLayout::configured(&VaultSettings::default()).expect("the defaults");
        everybody(&roster, &recorded, known, |name| name != "left", Some(&layout), offboard)
    }

    fn doubts(text: &str, recorded: &[&str], offboard: bool) -> Vec<Option<String>> {
        let gone = |person: Person| match person.wanted {
            Desired::Removed { doubt } => Some(doubt),
            _ => None,
        };
        served(text, recorded, offboard).into_iter().filter_map(gone).collect()
    }

    #[test]
    fn everybody_of_this_roster_and_whom_an_earlier_one_brought() {
        let people = served(
            "users:\n  cy: {parked: true}\n  bob: {claude_auth: no}\n  ada:\n",
            &["ada", "dee", "cy"],
            false,
        );
        let found: Vec<_> =
            people.iter().map(|person| (person.name.as_str(), person.wanted.clone())).collect();
        assert_eq!(
            found,
            [
                ("ada", Desired::Enrolled),
                ("bob", Desired::Disabled("claude_auth: false")),
                ("cy", Desired::Disabled("parked")),
                ("dee", Desired::Removed { doubt: None }),
            ]
        );
        assert!(people.iter().all(|person| person.unservable.is_none()));
    }

    #[test]
    fn whoever_cannot_be_served_is_named_with_the_line() {
        for (name, expected) in [
            ("nobody-here", "line 2 of the roster: no such account"),
            ("daemon", "user id 1 is no person's"),
            ("a*", "a policy cannot name them"),
        ] {
            let people = served(&format!("users:\n  \"{name}\":\n"), &[], false);
            let why = people[0].unservable.clone().unwrap_or_default();
            assert!(why.contains(expected), "{name}: {why}");
        }
        let twins = served("users:\n  Ada:\n  ada:\n  bob:\n", &[], false);
        let why: Vec<_> = twins.iter().map(|person| person.unservable.is_some()).collect();
        assert_eq!(why, [true, true, false]);
    }

    #[test]
    fn nobody_goes_over_a_roster_that_may_be_a_mistake() {
        let reason =
            |text: &str, recorded: &[&str]| doubts(text, recorded, false)[0].clone().unwrap_or_default();
        assert!(reason("users:\n  ada:\n  bob:", &["dee"]).contains("half written"));
        assert!(reason("users:\n  ada:\n  nobody-here:\n", &["dee"]).contains("line 3 names nobody-here"));
        assert!(reason("users:\n  ada:\n", &["ada", "bob", "cy"]).contains("2 of 3 people"));
        assert_eq!(doubts("users:\n  ada:\n", &["bob"], false), [None], "one may go");
        assert_eq!(
            doubts("users:\n  ada:\n", &["ada", "bob", "left"], false),
            [None, None],
            "an earlier one who waits for an admin does not go now"
        );
        assert_eq!(doubts("users:\n  ada:\n  bob:", &["dee", "cy"], true), [None, None], "when that is said");
        let away = "users:\n  ada:\n  nobody-here: {parked: true}\n";
        assert_eq!(doubts(away, &["bob"], false), [None], "who is away needs no account");
    }
}

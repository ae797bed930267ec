//! Selects the users to provision: those in the roster, and those that an earlier roster listed.
//! Pure except for account lookups.

use std::collections::BTreeMap;

use cas_core::system::account::AccountEntry;
use cas_vault::DocumentLayout;

use super::apply::TargetUser;
use super::plan::{Desired, Offboarding};
use crate::enrollment::enroll::is_regular_user;
use crate::roster::{Roster, RosterEntry};

/// The account of a listed user, or the reason why it is missing.
type AccountLookup = Result<AccountEntry, String>;

/// Returns all users, sorted by name. `recorded` are users with a record; some of them can be
/// unenrolled already and wait for an administrator who revokes their tokens. Users that `offboard`
/// names are removed even if the roster is in doubt. `binding` returns why an account does not
/// match the user who was enrolled under its name.
pub(super) fn select_targets(
    roster: &Roster,
    recorded: &[String],
    account: impl Fn(&str) -> AccountLookup,
    binding: impl Fn(&AccountEntry) -> Option<String>,
    is_enrolled: impl Fn(&str) -> bool,
    layout: Option<&DocumentLayout>,
    offboard: &OffboardSelection,
) -> Vec<TargetUser> {
    let accounts: BTreeMap<&str, AccountLookup> = roster
        .users
        .iter()
        .filter(|(_, entry)| entry.is_enabled())
        .map(|(name, _)| (name.as_str(), account(name)))
        .collect();
    let gone: Vec<&String> = recorded.iter().filter(|name| !roster.users.contains_key(*name)).collect();
    let enrolled_removed = gone.iter().filter(|name| is_enrolled(name)).count();
    let doubt =
        find_doubt(roster, &accounts, enrolled_removed, recorded.len() - gone.len() + enrolled_removed);
    let others: Vec<&str> = roster.users.keys().chain(recorded).map(String::as_str).collect();
    let listed = roster.users.iter().map(|(name, entry)| TargetUser {
        name: name.clone(),
        desired: if offboard.is_named(name) {
            Desired::Removed { doubt: None }
        } else {
            desired_state(*entry)
        },
        skip_reason: accounts.get(name.as_str()).and_then(|lookup| {
            let mismatch = || lookup.as_ref().ok().and_then(&binding);
            let skip_reason = find_skip_reason(name, lookup, layout)
                .or_else(|| find_policy_conflict(name, &others, layout));
            skip_reason.or_else(mismatch).map(|why| format!("line {} of the roster: {why}", entry.line))
        }),
        offboarding: offboard.offboarding_for(name, false),
    });
    let unknown = offboard.names.iter().filter(|name| !others.contains(&name.as_str()));
    let left = gone.into_iter().chain(unknown).map(|name| TargetUser {
        name: name.clone(),
        desired: Desired::Removed {
            doubt: doubt.clone().filter(|_| offboard.offboarding_for(name, true).is_none()),
        },
        skip_reason: None,
        offboarding: offboard.offboarding_for(name, true),
    });
    let mut targets: Vec<_> = listed.chain(left).collect();
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    targets
}

/// The users that `--offboard` selects.
#[derive(Clone, Debug, Default)]
pub(super) struct OffboardSelection {
    /// True to select every recorded user that the roster does not list.
    pub(super) all: bool,
    /// The named users.
    pub(super) names: Vec<String>,
    /// True to delete the documents instead of marking them.
    pub(super) is_delete: bool,
}

impl OffboardSelection {
    fn is_named(&self, name: &str) -> bool {
        self.names.iter().any(|named| named == name)
    }

    fn offboarding_for(&self, name: &str, is_gone: bool) -> Option<Offboarding> {
        let kind = if self.is_delete { Offboarding::Delete } else { Offboarding::Mark };
        ((self.all && is_gone) || self.is_named(name)).then_some(kind)
    }
}

fn desired_state(entry: RosterEntry) -> Desired {
    match entry {
        RosterEntry { parked: true, .. } => Desired::Disabled("parked"),
        RosterEntry { claude_auth: false, .. } => Desired::Disabled("claude_auth: false"),
        _ => Desired::Enrolled,
    }
}

/// Returns why users can be missing from this roster by mistake.
fn find_doubt(
    roster: &Roster,
    accounts: &BTreeMap<&str, AccountLookup>,
    gone: usize,
    recorded: usize,
) -> Option<String> {
    let explain = |why: String| Some(format!("not in the roster, but {why}; confirm with `--offboard`"));
    if !roster.ends_with_newline {
        return explain("its last line has no newline, so that the file may be incomplete".into());
    }
    let unknown = accounts.iter().find(|(_, lookup)| lookup.is_err());
    if let Some((name, entry)) = unknown.and_then(|(name, _)| Some((name, roster.users.get(*name)?))) {
        return explain(format!(
            "its line {} names {name}, which has no account here and may be misspelled",
            entry.line
        ));
    }
    if gone > 1 && gone * 2 > recorded {
        return explain(format!(
            "{gone} of {recorded} users would be unenrolled at once, so that a part of it may be missing"
        ));
    }
    None
}

fn find_skip_reason(name: &str, lookup: &AccountLookup, layout: Option<&DocumentLayout>) -> Option<String> {
    let account = match lookup {
        Ok(account) => account,
        Err(why) => return Some(why.clone()),
    };
    if account.name != name {
        return Some(format!("write {} as the user database does: {}", name, account.name));
    }
    if !is_regular_user(account) {
        return Some(format!("user id {} is not that of a regular account", account.uid));
    }
    if layout.is_some() && !DocumentLayout::is_valid_policy_user(name) {
        return Some(
            "a policy cannot contain this name: only letters, digits and . _ - @ have no special meaning in it".into(),
        );
    }
    None
}

/// Returns why the user would share a policy: Vault stores policy names in lower case, so two names
/// that differ only in case have the same policy.
fn find_policy_conflict(name: &str, others: &[&str], layout: Option<&DocumentLayout>) -> Option<String> {
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

    fn lookup_account(name: &str) -> AccountLookup {
        let uid = match name {
            "missing-user" => return Err("no such account".into()),
            "daemon" => 1,
            _ => 1000,
        };
        Ok(AccountEntry {
            name: name.into(),
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(100),
            home: "/home/x".into(),
        })
    }

    fn select(text: &str, recorded: &[&str], offboard: bool) -> Vec<TargetUser> {
        let roster = roster::parse(text, Path::new("roster.yaml")).expect("a roster");
        let recorded: Vec<_> = recorded.iter().map(|name| (*name).to_owned()).collect();
        let layout = DocumentLayout::from_settings(&VaultSettings::default()).expect("the defaults");
        let offboard = OffboardSelection { all: offboard, ..OffboardSelection::default() };
        let binding = |account: &AccountEntry| (account.name == "reused").then(|| "another uid".to_owned());
        select_targets(
            &roster,
            &recorded,
            lookup_account,
            binding,
            |name| name != "left",
            Some(&layout),
            &offboard,
        )
    }

    fn doubts(text: &str, recorded: &[&str], offboard: bool) -> Vec<Option<String>> {
        let gone = |target: TargetUser| match target.desired {
            Desired::Removed { doubt } => Some(doubt),
            _ => None,
        };
        select(text, recorded, offboard).into_iter().filter_map(gone).collect()
    }

    #[test]
    fn listed_and_recorded_users_are_selected() {
        let targets = select(
            "users:\n  cy: {parked: true}\n  bob: {claude_auth: no}\n  ada:\n",
            &["ada", "dee", "cy"],
            false,
        );
        let found: Vec<_> =
            targets.iter().map(|target| (target.name.as_str(), target.desired.clone())).collect();
        assert_eq!(
            found,
            [
                ("ada", Desired::Enrolled),
                ("bob", Desired::Disabled("claude_auth: false")),
                ("cy", Desired::Disabled("parked")),
                ("dee", Desired::Removed { doubt: None }),
            ]
        );
        assert!(targets.iter().all(|target| target.skip_reason.is_none()));
    }

    #[test]
    fn unusable_user_is_reported_with_roster_line() {
        for (name, expected) in [
            ("missing-user", "line 2 of the roster: no such account"),
            ("daemon", "user id 1 is not that of a regular account"),
            ("a*", "a policy cannot contain this name"),
            ("reused", "line 2 of the roster: another uid"),
        ] {
            let targets = select(&format!("users:\n  \"{name}\":\n"), &[], false);
            let why = targets[0].skip_reason.clone().unwrap_or_default();
            assert!(why.contains(expected), "{name}: {why}");
        }
        let twins = select("users:\n  Ada:\n  ada:\n  bob:\n", &[], false);
        let why: Vec<_> = twins.iter().map(|target| target.skip_reason.is_some()).collect();
        assert_eq!(why, [true, true, false]);
    }

    #[test]
    fn named_user_is_offboarded_despite_roster() {
        let roster =
            roster::parse("users:\n  ada: {parked: true}\n  bob:", Path::new("r")).expect("a roster");
        let recorded = ["cy".to_owned(), "dee".to_owned()];
        let offboard = OffboardSelection {
            names: vec!["ada".into(), "cy".into(), "eve".into()],
            ..OffboardSelection::default()
        };
        let targets = select_targets(&roster, &recorded, lookup_account, |_| None, |_| true, None, &offboard);
        let found: Vec<_> = targets
            .iter()
            .map(|target| (target.name.as_str(), target.desired.clone(), target.offboarding))
            .collect();
        let gone = Desired::Removed { doubt: None };
        let mark = Some(Offboarding::Mark);
        assert_eq!(found[0], ("ada", gone.clone(), mark));
        assert_eq!(found[1], ("bob", Desired::Enrolled, None));
        assert_eq!(found[2], ("cy", gone.clone(), mark));
        assert!(matches!(&found[3], ("dee", Desired::Removed { doubt: Some(_) }, None)), "{found:?}");
        assert_eq!(found[4], ("eve", gone, mark), "a user without a record or roster entry");
    }

    #[test]
    fn doubtful_roster_removes_no_user() {
        let reason =
            |text: &str, recorded: &[&str]| doubts(text, recorded, false)[0].clone().unwrap_or_default();
        assert!(reason("users:\n  ada:\n  bob:", &["dee"]).contains("may be incomplete"));
        assert!(reason("users:\n  ada:\n  missing-user:\n", &["dee"]).contains("line 3 names missing-user"));
        assert!(reason("users:\n  ada:\n", &["ada", "bob", "cy"]).contains("2 of 3 users"));
        assert_eq!(doubts("users:\n  ada:\n", &["bob"], false), [None], "one removed user raises no doubt");
        assert_eq!(
            doubts("users:\n  ada:\n", &["ada", "bob", "left"], false),
            [None, None],
            "a user who is already unenrolled does not count"
        );
        assert_eq!(
            doubts("users:\n  ada:\n  bob:", &["dee", "cy"], true),
            [None, None],
            "--offboard overrides the doubt"
        );
        let unlisted = "users:\n  ada:\n  missing-user: {parked: true}\n";
        assert_eq!(doubts(unlisted, &["bob"], false), [None], "a parked user needs no account");
    }
}

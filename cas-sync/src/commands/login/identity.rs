//! Whose a new login is, and whether it may take the place of the one before. Pure.

use cas_core::credential::login::LoginSummary;
use cas_core::ledger::Ledger;

use crate::user::error::CommandError;

/// Refuses a login of another organisation than the expected one, and one of another account or organisation than the one
/// that lies there (`before`), or lay there last, unless the person wants to switch.
///
/// # Errors
/// [`CommandError`]: they have to sign in again, as somebody else.
pub(super) fn check(
    new: &LoginSummary,
    before: Option<&LoginSummary>,
    ledger: &Ledger,
    expected_organization: Option<&str>,
    wants_to_switch: bool,
) -> Result<(), CommandError> {
    let found = new.owner.organization.as_deref();
    if let Some(expected) = expected_organization.filter(|expected| found != Some(*expected)) {
        let found =
            found.map_or_else(|| "no organisation".to_owned(), |found| format!("the organisation {found:?}"));
        return Err(refused(&format!("it names {found}, and expected is {expected}"), "sign in to that one"));
    }
    let contradicts = |before: &LoginSummary| ledger.resolve_owner(before).contradicts(&new.owner);
    if !wants_to_switch && (ledger.belongs_to_other_account(new) || before.is_some_and(contradicts)) {
        let why = "it is another account's or organisation's than the one that is signed in here";
        return Err(refused(why, "sign in to that one, or give --switch-account"));
    }
    Ok(())
}

fn refused(why: &str, remedy: &str) -> CommandError {
    CommandError::new(79, format!("the new login is not taken: {why}; {remedy}; your login is as it was"))
}

#[cfg(test)]
mod tests {
    use cas_core::credential::fingerprint::RefreshTokenId;
    use cas_core::credential::login::Owner;
    use cas_core::time::timestamp::Timestamp;

    use super::*;

    fn login(generation: &str, account: Option<&str>, organization: Option<&str>) -> LoginSummary {
        LoginSummary {
            generation: RefreshTokenId::from_bytes(generation),
            expires_at: Timestamp::from_millis(9),
            login_expires_at: None,
            owner: Owner {
                account: account.map(str::to_owned),
                organization: organization.map(str::to_owned),
            },
        }
    }

    #[test]
    fn another_organisation_or_account_is_taken_only_where_it_is_meant() {
        let mut seen = Ledger::default();
        seen.record_login(&login("old", Some("alice"), Some("ours")), Timestamp::from_millis(1));
        let (fresh, same) = (Ledger::default(), login("new", Some("alice"), Some("ours")));
        let (other, foreign) =
            (login("new", Some("bob"), Some("ours")), login("new", Some("alice"), Some("theirs")));
        let nameless = login("new", None, None);
        let unnamed_before = login("old", None, None);
        for (new, before, ledger, expected, code) in [
            (&same, None, &fresh, None, None),
            (&other, None, &fresh, None, None),
            (&same, None, &seen, Some("ours"), None),
            (&other, None, &seen, None, Some(79)),
            (&foreign, None, &seen, None, Some(79)),
            (&other, Some(&same), &fresh, None, Some(79)),
            (&other, Some(&unnamed_before), &seen, None, Some(79)),
            (&foreign, None, &fresh, Some("ours"), Some(79)),
            (&nameless, None, &fresh, Some("ours"), Some(79)),
            (&nameless, None, &seen, None, None),
        ] {
            let of = |switch| check(new, before, ledger, expected, switch).err().map(|failed| failed.code);
            assert_eq!(of(false), code, "{new:?} {before:?} {expected:?}");
            let is_expected = expected.is_none() || expected == new.owner.organization.as_deref();
            assert_eq!(of(true), if is_expected { None } else { code }, "{new:?} {expected:?}");
        }
    }
}

//! Checks whether a new login may replace the current one, by its owner. Pure.

use cas_core::credential::login::LoginSummary;
use cas_core::ledger::Ledger;
use cas_core::outcome::ExitStatus;

use crate::user::error::CommandError;

/// Rejects a login of another organization than the expected one. Unless `can_switch`, also rejects
/// a login of another account or organization than the current login (`before`) or the last one in
/// the file.
///
/// # Errors
/// Returns [`CommandError`]: the user must sign in with another account.
pub(super) fn check(
    new: &LoginSummary,
    before: Option<&LoginSummary>,
    ledger: &Ledger,
    expected_organization: Option<&str>,
    can_switch: bool,
) -> Result<(), CommandError> {
    let found = new.owner.organization.as_deref();
    if let Some(expected) = expected_organization.filter(|expected| found != Some(*expected)) {
        let found =
            found.map_or_else(|| "no organization".to_owned(), |found| format!("the organization {found:?}"));
        return Err(rejected(
            &format!("it belongs to {found}, not to {expected}"),
            "sign in to that organization",
        ));
    }
    let contradicts = |before: &LoginSummary| ledger.resolve_owner(before).contradicts(&new.owner);
    if !can_switch && (ledger.belongs_to_other_account(new) || before.is_some_and(contradicts)) {
        let why = "it belongs to another account or organization than the current login";
        return Err(rejected(why, "sign in with the current account, or give --switch-account"));
    }
    Ok(())
}

fn rejected(why: &str, remedy: &str) -> CommandError {
    CommandError::new(
        ExitStatus::SignInRequired,
        format!("cannot install the new login: {why}; {remedy}; your login was not changed"),
    )
}

#[cfg(test)]
mod tests {
    use cas_core::credential::fingerprint::RefreshTokenId;
    use cas_core::credential::login::Owner;
    use cas_core::credential::login_file::LoginPlace;
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
    fn login_of_another_owner_needs_switch_account() {
        let mut seen = Ledger::default();
        seen.record_login(
            &login("old", Some("alice"), Some("own")),
            LoginPlace::File,
            Timestamp::from_millis(1),
        );
        let (fresh, same) = (Ledger::default(), login("new", Some("alice"), Some("own")));
        let (other, foreign) =
            (login("new", Some("bob"), Some("own")), login("new", Some("alice"), Some("other")));
        let nameless = login("new", None, None);
        let unnamed_before = login("old", None, None);
        for (new, before, ledger, expected, code) in [
            (&same, None, &fresh, None, None),
            (&other, None, &fresh, None, None),
            (&same, None, &seen, Some("own"), None),
            (&other, None, &seen, None, Some(79)),
            (&foreign, None, &seen, None, Some(79)),
            (&other, Some(&same), &fresh, None, Some(79)),
            (&other, Some(&unnamed_before), &seen, None, Some(79)),
            (&foreign, None, &fresh, Some("own"), Some(79)),
            (&nameless, None, &fresh, Some("own"), Some(79)),
            (&nameless, None, &seen, None, None),
        ] {
            let code_of = |switch| {
                check(new, before, ledger, expected, switch).err().map(|failed| failed.status.code())
            };
            assert_eq!(code_of(false), code, "{new:?} {before:?} {expected:?}");
            let is_expected = expected.is_none() || expected == new.owner.organization.as_deref();
            assert_eq!(code_of(true), if is_expected { None } else { code }, "{new:?} {expected:?}");
        }
    }
}
